"""What users do with a model: cells that change, committees, Hessians, replicas, training."""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from on_gpu import Trial
from on_gpu.engines import calculator_of, milliseconds, random_potential, shaken
from on_gpu.fast import _times
from schnet_calc import SchNetCalculator, load_model
from schnet_calc.engine.committee import Committee
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.simulate.ring_polymer_run import run_ring_polymers
from schnet_calc.structures.geometries import Geometries
from schnet_calc.studies.bench.cases import cage, diamond
from schnet_calc.studies.bench.training import make_run, training_cases


def uses(trial: Trial) -> dict[str, Any]:
    """Milliseconds, and whether the numbers are those of the CPU."""
    potential, found = random_potential(), {}
    count = 1 if trial.quick else 20
    calculator = calculator_of(potential, trial, "float32")
    crystal, rng = diamond(64), np.random.default_rng(0)
    crystal = crystal[:8] if trial.quick else crystal
    crystal.calc = calculator

    def cell_changes() -> None:
        crystal.set_cell(crystal.cell * (1.0 + 1e-4 * rng.normal()), scale_atoms=True)
        crystal.get_stress()

    found["cells that change, 64 atoms"] = milliseconds(_times(cell_changes, count))
    if not trial.quick:
        crystal = diamond(4000)
        crystal.calc = calculator
        found["ring polymers of a crystal"] = _ring_polymers(diamond(64), calculator, 100)
        found["cells that change, 4000 atoms"] = milliseconds(_times(cell_changes, count))
    for beads in (2,) if trial.quick else (8, 32, 128):
        geometries = Geometries.from_atoms([cage() for _ in range(beads)])
        found[f"totals of {beads} C20"] = milliseconds(
            _times(lambda: calculator.model.totals(geometries), count)  # noqa: B023
        )
    steps = 2 if trial.quick else 100
    found["ring polymers, a step of 8 beads"] = _ring_polymers(cage(), calculator, steps)
    members = Committee([calculator_of(potential, trial, "float32").engine for _ in range(3)])
    batch = [batch_of(cage())]
    found["committee of 3"] = milliseconds(_times(lambda: members.evaluate(batch), count))
    name = "h2co" if trial.quick else "ethanol"
    here = calculator_of(name, trial, "float64")
    exact = SchNetCalculator(name, device="cpu", dtype="float64", on_doubt="ignore")
    (atoms,) = shaken(name, 1)
    difference = here.engine.hessian(batch_of(atoms)) - load_model(name, device="cpu").hessian(atoms)
    found["Hessian, largest difference, eV/Å²"] = float(np.abs(difference).max())
    found["Hessian"] = milliseconds(_times(lambda: here.engine.hessian(batch_of(atoms)), 1))
    assert np.abs(exact.hessian(atoms)).max() > 1.0
    found["summary"] = ", ".join(
        f"{k} {v['median']:.2f} ms" for k, v in found.items() if isinstance(v, dict)
    )
    return found


def _ring_polymers(atoms: Atoms, calculator: SchNetCalculator, steps: int) -> dict[str, float]:
    """Milliseconds of a step without i-PI."""
    settings = PIMDSettings(beads=8, temperature=300.0, time=1e-3 * steps * 0.25, timestep=0.25)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run_ring_polymers(atoms, calculator.model, settings, Path(folder) / "run", replicas=1)
        return {"median": 1e3 * (time.perf_counter() - started) / steps}


def batch_of(atoms: Any) -> Any:
    """A structure as engines take it."""
    return Geometries.from_atoms([atoms]).structures()[0]


def training(trial: Trial) -> dict[str, Any]:
    """Milliseconds of training steps, as in ``schnet-calc bench --training``."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in list(training_cases())[: 1 if trial.quick else None]:
            for optimizer in ("adam",) if trial.quick else ("adam", "soap"):
                path = Path(folder) / f"{case.name.replace(' ', '_')}_{optimizer}"
                run = make_run(case, path, optimizer, device=trial.device)
                # SOAP turns its eigenvectors at every 20th step: the mean tells what that takes.
                times = _times(run.make_step, 1 if trial.quick else 60)
                found[f"{case.name}, {optimizer}"] = {
                    **milliseconds(times),
                    "mean": 1e3 * float(np.mean(times)),
                }
    return found
