"""What the final model is worth: fresh labels of its own dynamics, stability, frequencies."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import ase
import ase.io
import numpy as np

from schnet_calc import SchNetCalculator
from schnet_calc.data import read_frames
from schnet_calc.errors import in_a_line
from schnet_calc.learn.doubt import Judge
from schnet_calc.learn.dynamics import FAILURES, Say, trajectories
from schnet_calc.learn.labelling import Progress, Reference
from schnet_calc.learn.settings import LearnSettings
from schnet_calc.learn.start import Minimum
from schnet_calc.learn.store import TRIAL
from schnet_calc.simulate.md import MDSettings, run_md
from schnet_calc.simulate.mode_comparison import compare_modes
from schnet_calc.simulate.modes import normal_modes, write_modes
from schnet_calc.simulate.relax import relax
from schnet_calc.training.committee import assess

KIND = "check"
EARLY = 0.2
"""Share of a run that is left out: there it still remembers its start."""
FREE = 1.0
"""ps without thermostat, at most."""
LEAST = 5
"""Labels below which nothing can be said."""


class LastDynamics(NamedTuple):
    """The dynamics of a round, and what labels some of their frames."""

    starts: Sequence[ase.Atoms]
    settings: LearnSettings
    """How many frames are labelled."""
    folder: Path
    """Of the round."""
    reference: Reference
    """What labels."""
    say: Say
    """Told why the dynamics ended early, if it did."""

    def late_frames(self, models: Sequence[Path]) -> list[ase.Atoms]:
        """Return all frames without the beginnings, which models are there to run again."""
        runs = trajectories(
            models, self.starts, self.settings, self.folder, self.say, self.reference.progress
        )
        return [frame for frames in runs for frame in frames[int(EARLY * len(frames)) :]]

    def labelled(self, structures: Sequence[ase.Atoms], kind: str) -> list[ase.Atoms]:
        """Return those that could be labelled."""
        keys = self.reference.label(structures, kind)
        return [a for a in map(self.reference.store.result, keys) if a is not None]


def check_on_dynamics(
    rounds: Sequence[Sequence[Path]], dynamics: LastDynamics, limit: float
) -> dict[str, Any]:
    """Label a random sample of the last dynamics, for no other purpose, and compare all committees there were.

    Parameters
    ----------
    rounds : sequence of sequences of Path
        The model files of every round.
    dynamics : LastDynamics
        Of the last round.
    limit : float
        eV/Å, of the committee's standard deviation, from which on there is doubt.

    Returns
    -------
    dict
        Plain values for JSON: errors and calibration of the last committee, force errors of all.
    """
    frames = dynamics.late_frames(rounds[-1])
    _, picked = _samples(frames, dynamics.settings, len(rounds) - 1)
    labelled = dynamics.labelled(picked, KIND)
    if len(labelled) < LEAST:
        dynamics.say(
            f"{len(labelled)} of {len(picked)} structures of the dynamics have labels: too few for a proof"
        )
        return {"n_frames": len(labelled)}
    judged = Judge(rounds[-1], dynamics.settings.choose).judge(frames, limit)
    path = dynamics.folder / "check.extxyz"
    ase.io.write(path, labelled, format="extxyz")
    found = assess(list(rounds[-1]), read_frames(path), device="cpu")
    calibrated = [Judge(models).calibrate(labelled) for models in rounds]
    return {
        **found.to_dict(),
        "frames": len(frames),
        "doubtful_frames": len(judged.doubtful),
        "force_mae_mev_ang": 1e3 * calibrated[-1].force_mae,
        "rank_correlation": calibrated[-1].correlation,
        "error_per_spread": calibrated[-1].ratio,
        "rounds_force_mae_mev_ang": [1e3 * c.force_mae for c in calibrated],
    }


def try_on_dynamics(models: Sequence[Path], dynamics: LastDynamics, number: int, most: int) -> float | None:
    """Label a few structures of a round's dynamics, to learn whether another round is needed.

    Validation structures are hotter and farther from each other than what the model will meet. These here
    are what it does meet; a further round learns from them, so that they are no proof.

    Parameters
    ----------
    models : sequence of Path
        The committee.
    dynamics : LastDynamics
        Of the round.
    number : int
        Of the round.
    most : int
        Labels that may be spent.

    Returns
    -------
    float or None
        Mean absolute error of force components, eV/Å; None where too few have labels.
    """
    picked, _ = _samples(dynamics.late_frames(models), dynamics.settings, number)
    labelled = dynamics.labelled(picked[:most], TRIAL) if min(most, len(picked)) >= LEAST else []
    return Judge(models).calibrate(labelled).force_mae if len(labelled) >= LEAST else None


def _samples(
    frames: Sequence[ase.Atoms], settings: LearnSettings, number: int
) -> tuple[list[ase.Atoms], list[ase.Atoms]]:
    """Random frames for the trial of a round, and others for the proof."""
    order = np.random.default_rng([settings.seed, number]).permutation(len(frames))
    n_trial = min(settings.check // 2, len(frames) // 3)
    trial, proof = order[:n_trial], order[n_trial : n_trial + settings.check]
    return [frames[k] for k in trial], [frames[k] for k in proof]


def check_stability(
    models: Sequence[Path], atoms: ase.Atoms, settings: LearnSettings, folder: Path, progress: Progress
) -> dict[str, Any]:
    """Run the committee without thermostat; time that it lasted, and drift of the total energy.

    Parameters
    ----------
    models : sequence of Path
        The committee.
    atoms : Atoms
        Where to start.
    settings : LearnSettings
        Temperature, timestep.
    folder : Path
        For the run.
    progress : callable
        Told how far it is, equilibration and all.
    """
    shutil.rmtree(folder, ignore_errors=True)
    calculator = SchNetCalculator(list(models), device="cpu", on_doubt="ignore")
    time = min(FREE, settings.time)
    how = MDSettings(
        settings.temperature,
        time,
        settings.timestep,
        "none",
        interval=5,
        seed=settings.seed,
        equilibrate=min(time, 1.0),
    )
    before = round(1000.0 * min(time, 1.0) / settings.timestep)
    most = before + how.n_steps
    tell = partial(_tell, progress, before, most)
    try:
        run = run_md(atoms, calculator, how, folder, progress=tell)
        tell(how.n_steps, None)
    except FAILURES as error:
        return {"stable": False, "reason": in_a_line(error)}
    energies = run.table()["total_ev"]
    return {
        "stable": True,
        "time_ps": time,
        "drift_ev_atom_ps": run.drift(len(atoms)),
        "fluctuation_ev": float(np.std(energies)),
    }


def _tell(progress: Progress, before: int, most: int, step: int, _: Any) -> None:
    progress("without thermostat", before + step, most, "")


def check_frequencies(
    models: Sequence[Path], minimum: Minimum, theory: str, folder: Path
) -> dict[str, Any] | None:
    """Relax with the committee and compare its normal modes with the reference's; None where there are none.

    Parameters
    ----------
    models : sequence of Path
        The committee.
    minimum : Minimum
        Of the reference.
    theory : str
        Its name.
    folder : Path
        Gets ``modes.json``, as :func:`~schnet_calc.simulate.modes.write_modes` writes it.
    """
    if minimum.modes is None:
        return None
    calculator = SchNetCalculator(list(models), device="cpu", dtype="float64", on_doubt="ignore")
    try:
        relaxed = relax(minimum.atoms, calculator, fmax=1e-4, steps=500)
        modes = normal_modes(relaxed.atoms, calculator)
        compared = compare_modes(modes, minimum.modes)
    except (*FAILURES, ValueError) as error:
        return {"reason": in_a_line(error)}
    record = {"comparison": {"reference": theory, **compared.to_dict()}}
    write_modes(folder / "modes.json", modes, calculator, record)
    off = np.abs(compared.errors)
    return {
        **compared.to_dict(),
        "mean_error_cm1": float(off.mean()),
        "largest_error_cm1": float(off.max()),
        "zero_point_energy_ev": modes.zero_point_energy,
        "reference_zero_point_energy_ev": minimum.modes.zero_point_energy,
    }
