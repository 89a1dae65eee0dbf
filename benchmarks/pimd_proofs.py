"""Harmonic and Morse oscillators at finitely many beads: exact averages, ours without i-PI, and i-PI's.

    python benchmarks/pimd_proofs.py [--beads 1 4 16 64] [--time 1000] [--i-pi] [--write docs/pimd.md]

Twenty atoms in wells, in each of 24 replicas, at 300 K with PILE-L, after twenty time constants of the thermostat.
Exact are Gaussian normal modes (harmonic, with the time step) and powers of a matrix (Morse, without one). Morse is
run with two time steps, h and h/2, each replica with both: (4 E(h/2) - E(h))/3 has no error of the second order
whatever its size. i-PI integrates as many oscillators of one kind as one system, for less time.

The quantities of one run share its fluctuations, so a run is judged as a whole: Hotelling's T² of the replicas'
deviations from the exact values has a known distribution. Of single comparisons, some are beyond two standard
errors by chance; how many, and how far the largest of so many may be, is printed below the table. ``--write`` puts
these sentences into a page, and the table into ``docs/tables/pimd.csv``.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ase
import numpy as np
from ase import units
from scipy import stats

from schnet_calc.analysis.averages import Estimate, mean_of_independent
from schnet_calc.analysis.finite_beads import (
    HBAR,
    harmonic_averages,
)
from schnet_calc.analysis.path_integrals import heat_capacity, path_integral_estimators
from schnet_calc.ipi.input import INPUT, PIMDSettings, write_input
from schnet_calc.ipi.outputs import read_properties
from schnet_calc.ipi.server import Server
from schnet_calc.simulate.ring_polymers import Bath, Integrator
from verification.pages import fill
from verification.rings import harmonic_gyration, trotter_averages, trotter_gyration

KELVIN, QUANTUM, N_ATOMS, REPLICAS = 300.0, 0.1, 20, 24
TIME_CONSTANT, EQUILIBRATION = 20.0, 400.0
"""fs"""
CONSTANT = (QUANTUM / HBAR) ** 2
"""eV/Å², for atoms of mass one."""
DEPTH, STEEPNESS = 4.0, 2.2
"""Of the Morse wells, eV and 1/Å: 3200 cm⁻¹ for mass one."""
TIMESTEPS = {"harmonic": (0.25,), "Morse": (0.2, 0.1)}
"""fs; of two, the limit of none is taken."""
I_PI_ATOMS, I_PI_SHARE, I_PI_STRIDE = 100, 0.6, 8
"""i-PI's atoms, its time beside ours, and steps between its rows, for each of which it takes milliseconds."""
STRIDE = 2
NAMES = ("potential", "kinetic, virial", "kinetic, primitive", "heat capacity", "radius of gyration")
CONSTANT_OF_ONE = NAMES[1:3] + NAMES[4:]
"""Of a single bead these don't fluctuate."""
CERTAIN = 0.01
"""A verdict is wrong by chance so often."""
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


WELLS: dict[str, Wells] = {"harmonic": harmonic, "Morse": morse}


class Row(NamedTuple):
    """A comparison."""

    kind: str
    beads: int
    name: str
    exact: float
    ours: Estimate
    i_pi: Estimate | None


def ours(kind: str, beads: int, timestep: float, time: float) -> np.ndarray:
    """Return what each replica has (R, 5) for :data:`NAMES`: eV and k_B per oscillator, Å."""
    wells = WELLS[kind]
    integrator = Integrator(np.ones(N_ATOMS), beads, timestep, Bath(KELVIN, "pile_l", TIME_CONSTANT))
    s = integrator.start(np.zeros((REPLICAS, N_ATOMS, 3)), range(REPLICAS))
    integrator.take(s, *wells(integrator.places(s)))
    rows: list[dict[str, np.ndarray]] = []
    warm = round(EQUILIBRATION / timestep)
    for step in range(warm + round(time / timestep)):
        integrator.begin(s)
        integrator.take(s, *wells(integrator.places(s)))
        integrator.finish(s)
        if step >= warm and step % STRIDE == 0:
            rows.append(integrator.properties(s))
    series = {name: np.array([row[name] for row in rows]).T for name in rows[0]}
    means = [series[n].mean(axis=1) for n in ("potential", "kinetic_cv", "kinetic_td")]
    shares = np.stack([*means, capacities(series)]) / (3 * N_ATOMS)
    return np.column_stack([*shares, series["r_gyration"].mean(axis=1)])


def capacities(series: dict[str, np.ndarray]) -> np.ndarray:
    """The jackknife's pseudo-values (R,) of the heat capacity, k_B: as good as independent values of it."""
    virial, primitive = (series[n] + series["potential"] for n in ("kinetic_cv", "kinetic_td"))

    def of(rows: Sequence[int]) -> float:
        return heat_capacity(virial[rows], primitive[rows], N_ATOMS, KELVIN).value

    every = list(range(REPLICAS))
    without = np.array([of(every[:k] + every[k + 1 :]) for k in every])
    return REPLICAS * of(every) - (REPLICAS - 1) * without


def i_pi(kind: str, beads: int, timestep: float, time: float) -> list[Estimate]:
    """The same of one run of i-PI, with errors from autocorrelation times."""
    bohr, hartree = units.Bohr, units.Hartree
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        atoms = ase.Atoms(f"H{I_PI_ATOMS}", np.zeros((I_PI_ATOMS, 3)), masses=np.ones(I_PI_ATOMS))
        settings = PIMDSettings(
            beads=beads,
            temperature=KELVIN,
            time=1e-3 * (EQUILIBRATION + I_PI_SHARE * time),
            timestep=timestep,
            thermostat="pile_l",
            time_constant=TIME_CONSTANT,
            stride=I_PI_STRIDE,
            frame_stride=10**6,
        )
        write_input(atoms, settings, folder, models=["wells"])
        values: dict[str, Any] = {"harmonic": kind == "harmonic", "k": CONSTANT * bohr**2 / hartree}
        (folder / "pes.py").write_text(PES.format(**values, a=STEEPNESS * bohr, d=DEPTH / hartree))
        server = Server(folder, INPUT)
        try:
            if not server.wait(3600):
                raise RuntimeError(server.last_words())
        finally:
            server.stop()
        table = read_properties(folder / "simulation.out")
    first = round(EQUILIBRATION / timestep / I_PI_STRIDE)
    found = path_integral_estimators({n: x[first:] for n, x in table.items()}, I_PI_ATOMS, KELVIN)
    several = (found.potential, found.kinetic_virial, found.kinetic_thermodynamic, found.heat_capacity)
    return [*(estimate * (1.0 / (3 * I_PI_ATOMS)) for estimate in several), found.radius_of_gyration]


def exact(kind: str, beads: int) -> tuple[float, ...]:
    """In the order of the names."""
    if kind == "harmonic":
        (step,) = TIMESTEPS[kind]
        found = harmonic_averages(np.array([QUANTUM]), KELVIN, beads, step)
        return (*(float(x[0]) for x in found), harmonic_gyration(QUANTUM, 1.0, KELVIN, beads, step))
    fine, coarse = np.linspace(-0.6, 1.5, 600), np.linspace(-0.42, 0.78, 91)

    def potential(x: np.ndarray) -> np.ndarray:
        return DEPTH * (1 - np.exp(-STEEPNESS * x)) ** 2

    mean = trotter_averages(fine, potential(fine), 1.0, KELVIN, beads)
    radius = trotter_gyration(coarse, potential(coarse), 1.0, KELVIN, beads)
    return mean.potential, mean.kinetic, mean.kinetic, mean.heat_capacity, radius


def without_step(values: Sequence[Any]) -> Any:
    """The limit of no time step of what two have, the second being half of the first."""
    return values[0] if len(values) == 1 else (4.0 * values[1] - values[0]) / 3.0


def limit(found: Sequence[Sequence[Estimate]]) -> list[Estimate]:
    """The same of independent estimates."""
    weights = [1.0] if len(found) == 1 else [-1.0 / 3.0, 4.0 / 3.0]
    several = []
    for each in zip(*found, strict=True):
        value = sum(w * e.value for w, e in zip(weights, each, strict=True))
        error = np.sqrt(sum((w * e.error) ** 2 for w, e in zip(weights, each, strict=True)))
        several.append(Estimate(value, float(error), min(e.independent for e in each)))
    return several


def as_one(deviations: np.ndarray) -> float:
    """How probable deviations (R, K) of replicas from the truth are, or larger ones, by Hotelling's T²."""
    free = deviations[:, deviations.std(axis=0) > 1e-9 * np.abs(deviations).max()]
    (n, k), mean = free.shape, free.mean(axis=0)
    squared = n * mean @ np.linalg.solve(np.atleast_2d(np.cov(free.T)), mean)
    return float(stats.f.sf((n - k) / (k * (n - 1)) * squared, k, n - k))


def compare(kind: str, beads: int, time: float, with_i_pi: bool) -> tuple[list[Row], float]:
    """Comparisons of one kind and number of beads, and their probability."""
    truth, steps = exact(kind, beads), TIMESTEPS[kind]
    each = without_step([ours(kind, beads, h, time) for h in steps])
    theirs = limit([i_pi(kind, beads, h, time) for h in steps]) if with_i_pi else [None] * len(NAMES)
    rows = [
        Row(kind, beads, name, value, mean_of_independent(column), its)
        for name, value, column, its in zip(NAMES, truth, each.T, theirs, strict=True)
        if beads > 1 or name not in CONSTANT_OF_ONE
    ]
    return rows, as_one(each - np.array(truth))


def off(value: Estimate | None, exactly: float) -> float:
    """How many standard errors; none where the quantity doesn't fluctuate, as most of a single bead don't."""
    if value is None or not value.error > 1e-9 * abs(value.value):
        return 0.0
    return (value.value - exactly) / value.error


def verdict(who: str, several: np.ndarray, freedom: float, largest: bool) -> str:
    """What so many comparisons say together."""
    n, beyond = len(several), int((np.abs(several) > 2).sum())
    expected = n * 2 * stats.t.sf(2.0, freedom)
    bound = stats.t.isf(CERTAIN / (2 * n), freedom)
    text = f"{who}: {beyond} of {n} comparisons are beyond 2 σ ({expected:.1f} expected by chance)"
    if largest:
        text += f", the largest {np.abs(several).max():.1f} σ (in 99 % of such tables below {bound:.1f})"
    return text


def in_cells(found: Estimate | None, exact: float) -> list[str]:
    """An average, and how far off it is in standard errors; without one where the run is too short for that."""
    if found is None or np.isnan(found.error):
        return ["" if found is None else f"{found.value:.4g}", ""]
    return [str(found), f"{off(found, exact):+.1f}"]


def table(rows: Sequence[Row]) -> list[list[str]]:
    """The table, with its head."""
    beside = any(row.i_pi is not None for row in rows)
    head = ["wells", "beads", "quantity", "exact", "without i-PI", "σ"]
    lines = [head + ["i-PI", "σ of i-PI"] * beside]
    for row in sorted(rows, key=lambda r: list(WELLS).index(r.kind)):
        first = [row.kind, str(row.beads), row.name, f"{row.exact:.5f}"]
        lines.append(first + in_cells(row.ours, row.exact) + in_cells(row.i_pi, row.exact) * beside)
    return lines


def conclusion(rows: Sequence[Row], runs: Sequence[float]) -> str:
    """What the table says."""
    lines = []
    for who, freedom in (("ours", REPLICAS - 1.0), ("i_pi", np.inf)):
        found = np.array([off(getattr(row, who), row.exact) for row in rows])
        if np.any(found):
            name = "Without i-PI" if who == "ours" else "i-PI"
            lines.append(f"- {verdict(name, found[found != 0], freedom, who == 'ours')}.")
    together = stats.combine_pvalues(runs, method="fisher").pvalue
    text = (
        f"- The {len(runs)} runs as wholes (Hotelling's T²): the least probable has p = {min(runs):.2g}, "
    )
    return "\n".join([*lines, text + f"all together (Fisher) p = {together:.2g}."])


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beads", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument(
        "--time", type=float, default=1000.0, help="fs of each replica, after equilibration"
    )
    parser.add_argument("--i-pi", action="store_true")
    parser.add_argument("--write", type=Path, help="a page with the table's two marks")
    options = parser.parse_args()
    rows: list[Row] = []
    runs = []
    for beads in options.beads:
        for kind in WELLS:
            new, probability = compare(kind, beads, options.time, options.i_pi)
            rows += new
            runs.append(probability)
            print(f"{kind}, {beads} beads: p = {probability:.2g}", flush=True)
            if options.write is not None:
                fill(options.write, "pimd_proofs", conclusion(rows, runs), table(rows))
    print(*(" | ".join(line) for line in table(rows)), conclusion(rows, runs), sep="\n")


if __name__ == "__main__":
    main()
