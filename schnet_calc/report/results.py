"""What a folder holds of one molecule: the results of ``relax``, ``modes``, ``md`` and ``pimd``."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import ase

from schnet_calc.ipi.outputs import PREFIX, read_properties
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.simulate.md_files import MDRun
from schnet_calc.simulate.modes import NormalModes
from schnet_calc.simulate.pimd import IDENTITY, PIMDRun
from schnet_calc.simulate.records import restore

Record = tuple[Path, dict[str, Any]]
"""A JSON file and what is in it."""
MD_KEYS = {"model", "atomic_numbers", "thermostat", "temperature", "timestep"}
LEAST_ROWS = 2
"""Rows of a log from which on there is something to draw."""


@dataclass(frozen=True)
class Findings:
    """What there is; what isn't is None or empty."""

    atoms: ase.Atoms
    """The relaxed molecule."""
    relaxation: dict[str, Any] | None
    modes: NormalModes | None
    vibrations: dict[str, Any]
    """All that ``modes`` has written, comparison and anharmonic frequencies too; empty without modes."""
    runs: list[tuple[str, MDRun, dict[str, Any]]]
    """Name, run and settings of each."""
    others: list[tuple[str, str]]
    """Names of runs that are left out, and why."""
    spectra: list[tuple[str, dict[str, Any]]]
    """Name and content of each file of ``spectrum``: by kind of dynamics."""
    pimd: PIMDRun | None
    replicas: int | None
    """Of the path integrals, of those that ran without i-PI."""
    models: list[dict[str, str]]
    """Name and SHA-256 of the model, or of each member of a committee."""

    @property
    def comparison(self) -> dict[str, Any] | None:
        """Of the modes, with a reference."""
        return self.vibrations.get("comparison")

    @property
    def model_names(self) -> str:
        """As the reader would type them."""
        return "+".join(Path(m["name"]).name for m in self.models)


def collect(directory: Path) -> Findings:
    """Look through a folder.

    Raises
    ------
    FileNotFoundError
        There is no such folder, or neither relaxation nor modes in it.
    ValueError
        Its parts are of different molecules or models, there are two of a kind, or it is a crystal.
    """
    if not directory.is_dir():
        raise FileNotFoundError(f"there is no folder {directory}")
    records = list(_json_files(directory))
    relaxation = _only("relaxation", [r for r in records if r[1].get("task") == "relaxation"])
    modes = _only("set of normal modes", [r for r in records if r[1].get("task") == "modes"])
    pimd = _only("path-integral run", [r for r in records if r[0].name == IDENTITY and "beads" in r[1]])
    leading = modes or relaxation
    if leading is None:
        raise FileNotFoundError(
            f"{directory} holds no results of 'schnet-calc relax' or 'schnet-calc modes': "
            "have them written there with -o"
        )
    atoms, models = restore(leading[1]["atoms"]), leading[1]["model"]
    if atoms.pbc.any():
        raise ValueError(f"{leading[0]} is of a periodic structure: pages are of molecules")
    for record in filter(None, (relaxation, pimd)):
        _check_same(record, atoms, [m["sha256"] for m in models])
    runs, others = _classical_runs(directory, records, atoms, "+".join(m["sha256"] for m in models))
    quantum = _path_integral_run(*pimd) if pimd else None
    if pimd and quantum is None:
        others.append((_name(pimd[0], directory), "too short"))
    return Findings(
        atoms=atoms,
        relaxation=relaxation[1] if relaxation else None,
        modes=NormalModes.from_dict(modes[1]) if modes else None,
        vibrations=modes[1] if modes else {},
        runs=runs,
        others=others,
        spectra=[(path.name, values) for path, values in records if _is_spectra(values)],
        pimd=quantum,
        replicas=pimd[1].get("replicas") if pimd else None,
        models=models,
    )


def _json_files(directory: Path) -> Iterator[Record]:
    for path in sorted(directory.rglob("*.json")):
        try:
            values = json.loads(path.read_text()) if path.is_file() else None
        except (ValueError, RecursionError):
            continue  # not ours
        if isinstance(values, dict):
            yield path, values


def _is_spectra(values: dict[str, Any]) -> bool:
    """Whether a file is what ``spectrum --json`` writes."""
    return bool(values) and all(isinstance(v, dict) and "vibrational" in v for v in values.values())


def _only(what: str, records: list[Record]) -> Record | None:
    if len(records) > 1:
        names = ", ".join(str(path) for path, _ in records)
        raise ValueError(f"a page shows one {what}, and here are {len(records)}: {names}")
    return records[0] if records else None


def _check_same(record: Record, atoms: ase.Atoms, hashes: list[str]) -> None:
    path, values = record
    found = [m["sha256"] if isinstance(m, dict) else m for m in values["model"]]
    if found != hashes:
        raise ValueError(f"{path} is of another model than the rest of the folder: {'+'.join(found)}")
    numbers = values["atoms"]["numbers"] if "atoms" in values else values["atomic_numbers"]
    if numbers != atoms.numbers.tolist():
        raise ValueError(f"{path} is of another molecule than the rest of the folder")


def _name(path: Path, directory: Path) -> str:
    """Of the folder of a run."""
    return path.parent.relative_to(directory).as_posix() if path.parent != directory else path.stem


def _classical_runs(
    directory: Path, records: list[Record], atoms: ase.Atoms, sha256: str
) -> tuple[list[tuple[str, MDRun, dict[str, Any]]], list[tuple[str, str]]]:
    """The runs of this molecule with this model, and those that are left out."""
    runs, others = [], []
    for path, settings in records:
        if path.name != "md.json" or not settings.keys() >= MD_KEYS:
            continue
        name, log = _name(path, directory), path.parent / "md.csv"
        if settings["model"] != sha256:
            others.append((name, "another model"))
        elif settings["atomic_numbers"] != atoms.numbers.tolist() * len(settings.get("replicas", [0])):
            others.append((name, "another molecule"))
        elif not log.is_file() or len(log.read_text().splitlines()) <= LEAST_ROWS:
            others.append((name, "too short"))
        else:
            runs.append((name, MDRun(path.parent / "md.traj", log, 0), settings))
    return runs, others


def _path_integral_run(path: Path, values: dict[str, Any]) -> PIMDRun | None:
    """The run and how long it is; None if it has written too little."""
    first = min(path.parent.glob("replica_*"), default=path.parent)
    properties = first / f"{PREFIX}.out"
    if not properties.is_file():
        return None
    times = read_properties(properties)["time"]
    if len(times) < LEAST_ROWS:
        return None
    known = {f.name for f in fields(PIMDSettings)} - {"time"}
    settings = {k: v for k, v in values.items() if k in known}
    return PIMDRun(path.parent, PIMDSettings(time=float(times[-1]), **settings))
