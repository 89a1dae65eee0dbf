"""What a run of molecular dynamics leaves in its folder, and how it is mended after an interruption."""

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
from ase import units
from ase.io.trajectory import Trajectory

from schnet_calc.analysis.averages import Estimate, mean_with_error
from schnet_calc.folders import check_same, replace_text, replaced
from schnet_calc.simulate.settings import MDSettings as MDSettings

logger = logging.getLogger(__name__)
EQUILIBRATION = 0.2
"""Share of a run that is left out of averages and distributions."""
SAME = 1e-3
"""Å, within which two starting structures are the same: some are relaxed anew when a run goes on."""
GRADE = "largest_grade"
CSV_FIELDS = ("time_ps", "potential_ev", "kinetic_ev", "total_ev", "temperature_k", GRADE)


class Heat(NamedTuple):
    """What the energy of a log is shared by."""

    n_free: int
    """Momenta that take up heat, of all replicas together."""
    n_replicas: int = 1


@dataclass(frozen=True)
class MDRun:
    """Outcome of :func:`run_md`; the frames stay on disk."""

    trajectory: Path
    """ASE trajectory with positions, momenta, energies and forces."""
    log: Path
    """CSV of :data:`CSV_FIELDS`, a row per frame; means over replicas, but for the largest grade of any atom, which
    is not a number where the model has no grades."""
    steps: int
    """Steps of the whole run."""
    npt: bool = False
    """Whether the volume changes."""

    def table(self) -> dict[str, np.ndarray]:
        """Return the columns (rows,) of the log by name, which ends with the unit: ps, eV, K."""
        values = np.loadtxt(self.log, delimiter=",", skiprows=1, ndmin=2)
        return dict(zip(CSV_FIELDS, values.T, strict=False))  # older runs have no grades

    def drift(self, n_atoms: int) -> float:
        """Slope of the total energy, eV/atom/ps; meaningful without a thermostat."""
        table = self.table()
        return float(np.polyfit(table["time_ps"], table["total_ev"], 1)[0] / n_atoms)

    def averages(self) -> dict[str, Estimate]:
        """Return means of the log's columns, by name, without the first part (:data:`EQUILIBRATION`) of the run."""
        table = self.table()
        first = int(EQUILIBRATION * len(table["time_ps"]))
        return {
            name: mean_with_error(x[first:]) for name, x in table.items() if name not in ("time_ps", GRADE)
        }

    def volume(self) -> Estimate:
        """Return the mean volume, Å³, without the first part of the run."""
        return mean_with_error(np.array([atoms.get_volume() for atoms in self.late_frames()]))

    def late_frames(self) -> list[ase.Atoms]:
        """The frames without the first part (:data:`EQUILIBRATION`) of the run."""
        with Trajectory(self.trajectory) as trajectory:
            first = int(EQUILIBRATION * len(trajectory))
            return [trajectory[k] for k in range(first, len(trajectory))]


def start_of(atoms: ase.Atoms) -> dict[str, Any]:
    """Return where a run begins, as it is kept beside its settings: positions and cell, Å."""
    return {"start_ang": np.round(np.vstack([atoms.cell.array, atoms.positions]), 6).tolist()}


def check_start(directory: Path, atoms: ase.Atoms) -> None:
    """Compare a structure with where the run of a folder began; runs of earlier versions did not keep it.

    Raises
    ------
    ValueError
        Another structure of the same atoms.
    """
    saved = json.loads((directory / "md.json").read_text()).get("start_ang")
    if saved is None:
        return
    off = np.abs(np.asarray(saved, dtype=float) - start_of(atoms)["start_ang"]).max()
    if not off < SAME:
        raise ValueError(
            f"the run in {directory} began from another structure: positions or cell differ by up to {off:.3g} Å"
        )


def last_frame(
    run: MDRun, identity: dict[str, Any], settings: MDSettings, heat: Heat
) -> tuple[ase.Atoms, int] | None:
    """Return the last whole frame and its step, None if there is none; mend the files to fit it.

    A trajectory that ends within a frame is cut back to its last whole one. The log gets the rows of the
    frames that there are: what is missing or damaged is computed from them.

    Parameters
    ----------
    run : MDRun
        Whose trajectory exists.
    identity : dict
        What has to be the same for the run to go on.
    settings : MDSettings
        Of the run.
    heat : Heat
        Momenta and replicas that share the energy.

    Raises
    ------
    ValueError
        The folder's run is another one, or can't be read.
    """
    if not run.trajectory.stat().st_size:
        return None
    n_frames = _whole_frames(run.trajectory)
    if not n_frames:
        return None
    directory = run.trajectory.parent
    try:
        saved = {"equilibrate": 0.0, **json.loads((directory / "md.json").read_text())}
    except (OSError, ValueError) as error:
        raise ValueError(f"{directory / 'md.json'} of the run there can't be read ({error})") from error
    check_same(directory, saved, identity)
    with Trajectory(run.trajectory) as trajectory:
        _mend_log(run.log, trajectory, settings, heat)
        return trajectory[-1], (n_frames - 1) * settings.interval


def _whole_frames(path: Path) -> int:
    """The number of frames that can be read; the file is cut to them."""
    try:
        with Trajectory(path) as trajectory:
            n_frames = len(trajectory)
            readable = n_frames
            while readable and not _readable(trajectory, readable - 1):
                readable -= 1
            if readable in (0, n_frames):
                return readable
            frames = [trajectory[k] for k in range(readable)]
        logger.warning(
            "%s ends within a frame: it goes on from its last whole one, number %d", path, readable
        )
    except Exception as error:  # ASE's reader raises anything for a damaged file
        raise ValueError(f"{path} is no trajectory, or damaged ({error!r:.200})") from error
    with replaced(path) as scratch, Trajectory(scratch, "w") as mended:
        for frame in frames:
            mended.write(frame)
    return readable


def _readable(trajectory: Any, k: int) -> bool:
    try:
        frame = trajectory[k]
        # A run that is stopped while it writes may leave a frame with positions alone.
        return bool(np.isfinite(frame.positions).all() and np.isfinite(frame.get_potential_energy()))
    except Exception:  # as above
        return False


def _mend_log(log: Path, trajectory: Any, settings: MDSettings, heat: Heat) -> None:
    """Keep the rows that are whole and in their place, compute the others from the frames."""
    text = log.read_text() if log.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()  # what follows is a row that was cut
    lost = len(lines) - 2 - len(trajectory)  # a heading, and a row that is written before its frame
    if lost > 0:
        noise = "" if settings.thermostat == "none" else ", with other random numbers from there on"
        logger.warning(
            "the trajectory of %s lacks %d frames that its log has: they are computed again%s",
            log.parent,
            lost,
            noise,
        )
    first = log_row(0, trajectory[0], settings, heat)[:-1] if len(trajectory) else ()
    if len(lines) > 1 and tuple(lines[1].split(",")[: len(first)]) != first:
        lines = []  # of a version that wrote sums over replicas
    rows = []
    for k in range(len(trajectory)):
        step = k * settings.interval
        kept = lines[k + 1].split(",") if k + 1 < len(lines) else []
        known = len(CSV_FIELDS) - 1  # rows of older versions have no grade
        whole = len(kept) in (known, known + 1) and kept[0] == _time(step, settings)
        whole = whole and all(_is_number(x) for x in kept[:known])
        if not whole or len(kept) == known:  # frames are read for these rows alone
            computed = log_row(step, trajectory[k], settings, heat)
            kept = [*kept, computed[-1]] if whole else list(computed)
        rows.append(",".join(kept))
    replace_text(log, "\r\n".join([",".join(CSV_FIELDS), *rows]) + "\r\n")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _time(step: int, settings: MDSettings) -> str:
    return f"{step * settings.timestep / 1000.0:.6f}"


def log_row(step: int, atoms: ase.Atoms, settings: MDSettings, heat: Heat) -> tuple[str, ...]:
    """Return a row of :data:`CSV_FIELDS`, per replica.

    Parameters
    ----------
    step : int
        Of the run.
    atoms : Atoms
        With momenta and energy.
    settings : MDSettings
        Of the run.
    heat : Heat
        Momenta and replicas that share the energy.
    """
    potential, kinetic = (
        e / heat.n_replicas for e in (atoms.get_potential_energy(), atoms.get_kinetic_energy())
    )
    shared = max(heat.n_free, 1) / heat.n_replicas
    return (
        _time(step, settings),
        f"{potential:.9f}",
        f"{kinetic:.9f}",
        f"{potential + kinetic:.9f}",
        f"{2.0 * kinetic / (shared * units.kB):.4f}",
        f"{_largest_grade(atoms):.4f}",
    )


def _largest_grade(atoms: ase.Atoms) -> float:
    grades = getattr(atoms.calc, "results", {}).get("grades")
    return math.nan if grades is None or not len(grades) else float(np.max(grades))
