"""Harmonic and Morse oscillators at finitely many beads: exact averages, ours without i-PI, and i-PI's.

    python benchmarks/pimd_proofs.py [--beads 1 4 16 64] [--steps 3000] [--i-pi]

Sixty oscillators in each of twenty replicas at 300 K, PILE-L. Exact are normal modes (harmonic, with the time step)
and powers of a matrix (Morse, with the harmonic part of what the time step changes). The last column says how many
standard errors ours is off. With --i-pi a run of i-PI on the same wells stands beside it, a tenth as long.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase import units

from schnet_calc.analysis.averages import Estimate
from schnet_calc.analysis.finite_beads import harmonic_averages, trotter_averages
from schnet_calc.analysis.path_integrals import PathIntegralEstimators, path_integral_estimators
from schnet_calc.ipi.input import INPUT, PIMDSettings, write_input
from schnet_calc.ipi.outputs import read_properties
from schnet_calc.ipi.server import Server
from schnet_calc.simulate.ring_polymers import HBAR, Bath, Integrator

KELVIN, QUANTUM, N_ATOMS, REPLICAS = 300.0, 0.1, 20, 20
CONSTANT = (QUANTUM / HBAR) ** 2
"""eV/Å², for atoms of mass one."""
DEPTH, STEEPNESS = 4.0, 2.2
"""Of the Morse wells, eV and 1/Å: 3200 cm⁻¹ for mass one."""
TIMESTEPS = {"harmonic": 0.25, "Morse": 0.2}
PES = """
import numpy as np
__DRIVER_NAME__, __DRIVER_CLASS__ = "wells", "Wells"
def one(q):
    if {harmonic}:
        return 0.5 * {k} * (q**2).sum(), -{k} * q
    decay = np.exp(-{a} * q)
    return {d} * ((1 - decay) ** 2).sum(), -2 * {d} * {a} * decay * (1 - decay)
class Wells:
    def __init__(self, **kwargs): pass
    def __call__(self, cell, pos):
        if not isinstance(cell, list):
            return *one(pos), np.zeros((3, 3)), ""
        return [(*one(q), np.zeros((3, 3)), "") for q in pos]
"""
Wells = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def harmonic(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies (R, P) and forces."""
    return 0.5 * CONSTANT * (places**2).sum(axis=(2, 3)), -CONSTANT * places


def morse(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same of Morse wells."""
    decay = np.exp(-STEEPNESS * places)
    return DEPTH * ((1 - decay) ** 2).sum(axis=(2, 3)), -2 * DEPTH * STEEPNESS * decay * (1 - decay)


def ours(wells: Wells, beads: int, timestep: float, n_steps: int) -> PathIntegralEstimators:
    """Estimators of twenty replicas."""
    integrator = Integrator(np.ones(N_ATOMS), beads, timestep, Bath(KELVIN, "pile_l", 20.0))
    s = integrator.start(np.zeros((REPLICAS, N_ATOMS, 3)), range(REPLICAS))
    integrator.take(s, *wells(integrator.places(s)))
    rows: list[dict[str, np.ndarray]] = []
    for step in range(n_steps + n_steps // 4):
        integrator.begin(s)
        integrator.take(s, *wells(integrator.places(s)))
        integrator.finish(s)
        if step >= n_steps // 4:
            rows.append(integrator.properties(s))
    tables = [{name: np.array([row[name][k] for row in rows]) for name in rows[0]} for k in range(REPLICAS)]
    return path_integral_estimators(tables, N_ATOMS, KELVIN)


def i_pi(kind: str, beads: int, timestep: float, n_steps: int) -> PathIntegralEstimators:
    """Estimators of one run of i-PI, twice as long."""
    bohr, hartree = units.Bohr, units.Hartree
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        atoms = ase.Atoms(f"H{N_ATOMS}", np.zeros((N_ATOMS, 3)), masses=np.ones(N_ATOMS))
        settings = PIMDSettings(
            beads=beads,
            temperature=KELVIN,
            time=2e-3 * n_steps * timestep,
            timestep=timestep,
            thermostat="pile_l",
            time_constant=20.0,
            stride=1,
            frame_stride=2 * n_steps,
        )
        write_input(atoms, settings, folder, models=["wells"])
        values: dict[str, Any] = {"harmonic": kind == "harmonic", "k": CONSTANT * bohr**2 / hartree}
        (folder / "pes.py").write_text(PES.format(**values, a=STEEPNESS * bohr, d=DEPTH / hartree))
        server = Server(folder, INPUT)
        if not server.wait(3600):
            server.stop()
            raise RuntimeError(server.last_words())
        table = read_properties(folder / "simulation.out")
    late = {name: column[len(column) // 5 :] for name, column in table.items()}
    return path_integral_estimators(late, N_ATOMS, KELVIN)


def exact(kind: str, beads: int, timestep: float) -> dict[str, float]:
    """Per oscillator, in eV and k_B."""
    if kind == "harmonic":
        found = harmonic_averages(np.array([QUANTUM]), KELVIN, beads, timestep)
        ends = [harmonic_averages(np.array([QUANTUM]), KELVIN + d, beads).energy[0] for d in (-0.5, 0.5)]
        values = [float(x[0]) for x in found]
        return dict(zip(NAMES, [*values, (ends[1] - ends[0]) / units.kB], strict=True))
    grid = np.linspace(-0.6, 1.5, 600)
    mean = trotter_averages(grid, DEPTH * (1 - np.exp(-STEEPNESS * grid)) ** 2, 1.0, KELVIN, beads)
    values = np.array([mean.potential, mean.kinetic, mean.kinetic])
    quanta = np.array([STEEPNESS * np.sqrt(2 * DEPTH) * HBAR])
    with_step, without = (np.ravel(harmonic_averages(quanta, KELVIN, beads, h)) for h in (timestep, 0.0))
    return dict(zip(NAMES, [*(values * with_step / without), mean.heat_capacity], strict=True))


NAMES = ("potential", "kinetic, virial", "kinetic, primitive", "heat capacity")


def per_oscillator(found: PathIntegralEstimators) -> list[Estimate]:
    """In the order of the names."""
    several = (found.potential, found.kinetic_virial, found.kinetic_thermodynamic, found.heat_capacity)
    return [estimate * (1.0 / (3 * N_ATOMS)) for estimate in several]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--i-pi", action="store_true")
    options = parser.parse_args()
    print("| oscillator | beads | | exact | without i-PI | i-PI | off by |\n|---|---|---|---|---|---|---|")
    for kind, wells in (("harmonic", harmonic), ("Morse", morse)):
        for beads in options.beads:
            step = TIMESTEPS[kind]
            found = per_oscillator(ours(wells, beads, step, options.steps))
            beside: list[Any] = [""] * len(NAMES)
            if options.i_pi:
                beside = [str(e) for e in per_oscillator(i_pi(kind, beads, step, options.steps))]
            for name, ours_is, its in zip(NAMES, found, beside, strict=True):
                value = exact(kind, beads, step)[name]
                off = (ours_is.value - value) / ours_is.error if ours_is.error else 0.0
                print(
                    f"| {kind} | {beads} | {name} | {value:.5f} | {ours_is} | {its} | {off:+.1f} σ |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
