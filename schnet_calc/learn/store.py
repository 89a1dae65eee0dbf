"""All labels of a run in one ASE database: planned, done or failed, each structure once."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect

from schnet_calc.folders import replaced

PLANNED, DONE, FAILED = "planned", "done", "failed"
DOUBT, TRIAL = "doubt", "trial"
"""Kinds of structures that a round asks for, and the next one is trained on."""
TRAINED_ON = ("minimum", "modes", "dynamics", DOUBT, TRIAL)
"""Kinds of structures that go into the training; all others are for relaxations, Hessians and proofs."""


@dataclass
class StoredLabel:
    """What is known of a row without reading it."""

    row: int
    """In the database, from 1."""
    kind: str
    """Why it is labelled."""
    round: int
    status: str
    seconds: float = 0.0
    """That the label took."""


def structure_key(atoms: ase.Atoms) -> str:
    """Return a digest of all that an energy may depend on, to the last bit."""
    parts = (
        atoms.numbers.astype(np.int64),
        atoms.positions.astype(float),
        atoms.cell.array.astype(float),
        atoms.pbc.astype(bool),
        atoms.get_initial_charges().astype(float),
        atoms.get_initial_magnetic_moments().astype(float),
    )
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))
    # A letter first: ASE's database takes text that looks like a number for an error.
    return "k" + digest.hexdigest()[:32]


class LabelStore:
    """Structures and labels in ``labels.db``; every change is on disk before the call returns.

    Parameters
    ----------
    path : path
        An SQLite file for ``ase.db``; it is made if it isn't there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.entries: dict[str, StoredLabel] = {}
        if not self.path.exists():
            self._create()
        with self._open() as database:
            for row in database.select():
                values = row.key_value_pairs
                self.entries[values["key"]] = StoredLabel(
                    row.id,
                    values["kind"],
                    int(values["round"]),
                    values["status"],
                    float(values.get("seconds", 0.0)),
                )

    def _create(self) -> None:
        """Make an empty database, whole or not there: half of its tables, after a kill, would be of no use."""
        with replaced(self.path) as scratch:
            scratch.unlink(missing_ok=True)
            connect(str(scratch), type="db", use_lock_file=False).count()

    def _open(self) -> Any:
        # One process writes, kept alone by the lock of the run's folder; a lock file of ASE's would outlive
        # a process that is killed.
        return connect(str(self.path), type="db", use_lock_file=False)

    def plan(self, structures: Sequence[ase.Atoms], kind: str, round_: int) -> list[str]:
        """Add structures to be labelled, all of them or none; what is known already stays as it is.

        Parameters
        ----------
        structures : sequence of Atoms
            What is to be labelled.
        kind : str
            What they are for.
        round_ : int
            That they belong to.

        Returns
        -------
        list of str
            The key of each.
        """
        keys = [structure_key(atoms) for atoms in structures]
        added: dict[str, StoredLabel] = {}
        with self._open() as database:
            for key, atoms in zip(keys, structures, strict=True):
                if key in self.entries or key in added:
                    continue
                values = {"key": key, "kind": kind, "round": round_, "status": PLANNED}
                # What calculators may look for: charge, spin ...
                plain = {k: v for k, v in atoms.info.items() if isinstance(v, (bool, int, float, str))}
                row = database.write(_bare(atoms), values, data={"info": plain})
                added[key] = StoredLabel(row, kind, round_, PLANNED)
        self.entries |= added
        return keys

    def finish(self, key: str, results: dict[str, Any], seconds: float) -> None:
        """Keep a label.

        Parameters
        ----------
        key : str
            Of a planned structure.
        results : dict
            ``energy`` (eV), ``forces`` (N, 3) (eV/Å), and what else there is.
        seconds : float
            That it took.

        Raises
        ------
        ValueError
            It has a label already.
        """
        self._end(key, DONE, seconds, results)

    def fail(self, key: str, reason: str, seconds: float) -> None:
        """Note that there will be no label, and why; errors as for :meth:`finish`.

        Parameters
        ----------
        key : str
            Of the structure.
        reason : str
            In a line.
        seconds : float
            That were spent.
        """
        self._end(key, FAILED, seconds, reason=reason)

    def _end(
        self, key: str, status: str, seconds: float, results: dict[str, Any] | None = None, reason: str = ""
    ) -> None:
        entry = self.entries[key]
        if entry.status != PLANNED:
            raise ValueError(f"row {entry.row} of {self.path} is {entry.status} already")
        with self._open() as database:
            row = database.get(id=entry.row)
            atoms, data = row.toatoms(), dict(row.data)
            if results is not None:
                atoms.calc = SinglePointCalculator(atoms, **results)
            values = {**row.key_value_pairs, "status": status, "seconds": round(seconds, 4)}
            database.write(atoms, values, data={**data, "reason": reason}, id=entry.row)
        entry.status, entry.seconds = status, seconds

    def reuse(self, keys: Collection[str], kind: str) -> None:
        """Give structures another kind: what was labelled for one reason serves another, too."""
        with self._open() as database:
            for key in keys:
                if self.entries[key].kind != kind:
                    database.update(self.entries[key].row, kind=kind)
        for key in keys:
            self.entries[key].kind = kind

    def pending(self) -> list[tuple[str, ase.Atoms]]:
        """Return keys and structures that wait for a label, in the order of planning."""
        waiting = [(e.row, key) for key, e in self.entries.items() if e.status == PLANNED]
        with self._open() as database:
            return [(key, _restored(database.get(id=row))) for row, key in sorted(waiting)]

    def labelled(
        self, kinds: Collection[str] = TRAINED_ON, before_round: int | None = None
    ) -> list[ase.Atoms]:
        """Return the labelled structures of some kinds, in the order of planning, with their results.

        Parameters
        ----------
        kinds : collection of str
            Why they were labelled.
        before_round : int, optional
            Leave out what this round or a later one has asked for.

        Returns
        -------
        list of Atoms
            ``info`` has ``kind`` and ``row``.
        """
        found = []
        with self._open() as database:
            for row in database.select(status=DONE, sort="id"):
                late = before_round is not None and row.kind in (DOUBT, TRIAL) and row.round >= before_round
                if row.kind in kinds and not late:
                    atoms = _restored(row)
                    atoms.info |= {"kind": row.kind, "row": row.id}
                    found.append(atoms)
        return found

    def result(self, key: str) -> ase.Atoms | None:
        """Return a structure with its results; None if it has none yet."""
        if key not in self.entries or self.entries[key].status != DONE:
            return None
        with self._open() as database:
            return _restored(database.get(id=self.entries[key].row))

    def failures(self) -> list[str]:
        """Return why structures have no label."""
        with self._open() as database:
            return [str(row.data.get("reason", "")) for row in database.select(status=FAILED)]

    def count(self, status: str = DONE, kinds: Collection[str] | None = None) -> int:
        """Return how many structures have a status, of all kinds or some."""
        return sum(e.status == status and (kinds is None or e.kind in kinds) for e in self.entries.values())

    @property
    def seconds(self) -> float:
        """That all calculations took together, failed ones too."""
        return sum(e.seconds for e in self.entries.values())


def _bare(atoms: ase.Atoms) -> ase.Atoms:
    """A copy without calculator, constraints and momenta: a label is of a place, not of a motion."""
    plain = atoms.copy()
    plain.calc = None
    plain.set_constraint()
    for name in [n for n in plain.arrays if n not in ("numbers", "positions", *KEPT)]:
        del plain.arrays[name]
    return plain


KEPT = ("initial_charges", "initial_magmoms", "masses")


def _restored(row: Any) -> ase.Atoms:
    atoms = row.toatoms()
    atoms.info = dict(row.data.get("info", {}))
    return atoms
