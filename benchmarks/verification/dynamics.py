"""Molecular dynamics: integrators, ensembles, errors of means."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import ase
import ase.io
import numpy as np
from ase import units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.md.verlet import VelocityVerlet
from ase.neighborlist import neighbor_list
from scipy.optimize import minimize_scalar
from scipy.signal import lfilter
from scipy.stats import gamma

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.averages import correlation_time, mean_with_error
from schnet_calc.simulate.md import degrees_of_freedom, first_momenta, run_md
from schnet_calc.simulate.md_files import MDSettings
from schnet_calc.simulate.replicas import run_replicas
from verification import row

SECTION = "Molecular dynamics"
BINS = 10


class Springs(Calculator):
    """A spring of the same length between any two atoms; none at all with a constant of zero."""

    implemented_properties = ("energy", "forces")

    def __init__(self, constant: float = 20.0, length: float = 1.5) -> None:
        super().__init__()
        self.constant, self.length = constant, length

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        """See ASE."""
        super().calculate(atoms, properties, system_changes)
        forces = np.zeros((len(atoms), 3))
        energy = 0.0
        if self.constant:
            i, j = np.triu_indices(len(atoms), 1)
            vectors = atoms.positions[j] - atoms.positions[i]
            lengths = np.sqrt((vectors**2).sum(axis=1))
            energy = 0.5 * self.constant * float(((lengths - self.length) ** 2).sum())
            pulls = (self.constant * (1 - self.length / lengths))[:, None] * vectors
            np.add.at(forces, i, pulls)
            np.add.at(forces, j, -pulls)
        self.results = {"energy": energy, "forces": forces}


def tetrahedron() -> ase.Atoms:
    """Four atoms of different masses at the minimum of :class:`Springs`."""
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    return ase.Atoms("CNOF", 1.5 / np.sqrt(8.0) * corners)


@cache
def formaldehyde():
    """The shipped model's calculator, and the molecule near its minimum with momenta."""
    atoms = molecule("H2CO")
    return SchNetCalculator("h2co", device="cpu", dtype="float64"), first_momenta(atoms, 300.0, 3)


def positions(path: Path) -> np.ndarray:
    """(frames, N, 3) Å."""
    return np.array([a.positions for a in ase.io.read(path, ":")])


@row(
    SECTION,
    "NVE positions after 50 steps",
    "ASE's VelocityVerlet, to the last bit",
    tolerance=0.0,
    unit="Å",
)
def nve():
    calculator, start = formaldehyde()
    with TemporaryDirectory() as folder:
        settings = MDSettings(300.0, 0.025, 0.5, "none", interval=50)
        ours = positions(run_md(start, calculator, settings, folder).trajectory)[-1]
    moving = start.copy()
    moving.calc = calculator
    VelocityVerlet(moving, 0.5 * units.fs).run(50)
    return ours, moving.positions


@row(SECTION, "three replicas after 50 steps of NVE", "three single runs", tolerance=1e-9, unit="Å")
def replicas():
    calculator, _ = formaldehyde()
    starts = [first_momenta(molecule("H2CO"), 300.0, seed) for seed in range(3)]
    settings = MDSettings(300.0, 0.025, 0.5, "none", interval=50)
    with TemporaryDirectory() as folder:
        run = run_replicas(starts, calculator, settings, f"{folder}/all")
        ours = [list(run.frames(k))[-1].positions for k in range(3)]
        singles = [run_md(a, calculator, settings, f"{folder}/{k}") for k, a in enumerate(starts)]
        return ours, [positions(single.trajectory)[-1] for single in singles]


@row(
    SECTION,
    "drift of the energy in NVE, 1 ps of H2CO at 0.25 fs",
    "none",
    tolerance=0.01,
    unit="meV/atom/ps",
    slow=True,
)
def drift():
    calculator, start = formaldehyde()
    with TemporaryDirectory() as folder:
        run = run_md(start, calculator, MDSettings(300.0, 1.0, 0.25, "none"), folder)
        return 1000.0 * run.drift(len(start)), 0.0


def kinetic_energies(thermostat: str) -> np.ndarray:
    """In units of k_B T, of four atoms on springs, at times far apart."""
    settings = MDSettings(300.0, 9.0, 1.5, thermostat, 20.0, interval=30, seed=5)
    with TemporaryDirectory() as folder:
        run = run_md(first_momenta(tetrahedron(), 300.0, 1), Springs(), settings, folder)
        return run.table()["kinetic_ev"][10:] / (units.kB * 300.0)


def chi_square(thermostat: str, n_free: int) -> float:
    """Of the counts in ten intervals that a gamma distribution fills evenly."""
    energies = kinetic_energies(thermostat)
    shares = gamma.cdf(energies, 0.5 * n_free)
    counts = np.histogram(shares, bins=BINS, range=(0, 1))[0]
    expected = len(energies) / BINS
    return float(((counts - expected) ** 2 / expected).sum())


CHI = "χ² of kinetic energies in ten shares, {}"
AGAINST = "Gamma distribution of {} degrees of freedom; 99.9 % lie below 27.9"


@row(SECTION, CHI.format("Langevin"), AGAINST.format(12), tolerance=18.9, slow=True)
def langevin():
    return chi_square("langevin", 12), BINS - 1


@row(SECTION, CHI.format("Bussi"), AGAINST.format(6), tolerance=18.9, slow=True)
def bussi():
    return chi_square("bussi", 6), BINS - 1


@row(SECTION, CHI.format("Nosé-Hoover chain"), AGAINST.format(6), tolerance=18.9, slow=True)
def nose_hoover():
    return chi_square("nose-hoover", 6), BINS - 1


@row(
    SECTION,
    "degrees of freedom of CO2, H2O and a crystal of 8",
    "3 N less what stands still",
    tolerance=0.0,
)
def freedom():
    shapes = [molecule("CO2"), molecule("H2O"), bulk("Si", cubic=True)]
    ours = [degrees_of_freedom(first_momenta(a, 300.0, 0), "none") for a in shapes]
    return ours, [9 - 5, 9 - 6, 24 - 3]


@row(
    SECTION,
    "autocorrelation time of momenta, Langevin with 50 fs",
    "Ornstein-Uhlenbeck process",
    tolerance=0.08,
    relative=True,
    unit="fs",
    slow=True,
)
def correlation():
    gas = ase.Atoms("C30", 10.0 * np.arange(90).reshape(30, 3))
    settings = MDSettings(300.0, 10.0, 1.0, "langevin", 50.0, interval=10, seed=2)
    with TemporaryDirectory() as folder:
        run = run_md(gas, Springs(0.0), settings, folder)
        momenta = np.array([a.get_momenta().ravel() for a in ase.io.read(run.trajectory, ":")])[50:]
    memory = np.exp(-10.0 / 50.0)
    ours = 10.0 * np.mean([correlation_time(series) for series in momenta.T])
    return ours, 10.0 * 0.5 * (1 + memory) / (1 - memory)


@row(
    SECTION,
    "standard error of a mean, AR(1) series with memory 0.9",
    "closed form",
    tolerance=0.06,
    relative=True,
)
def autoregressive():
    memory, n = 0.9, 4000
    errors = []
    for seed in range(100):
        noise = np.random.default_rng(seed).normal(size=n + 500) * np.sqrt(1 - memory**2)
        errors.append(mean_with_error(lfilter([1], [1, -memory], noise)[500:]).error)
    tail = 2 * memory * (1 - memory**n) / (n * (1 - memory) ** 2)
    return np.sqrt(np.mean(np.square(errors))), np.sqrt(((1 + memory) / (1 - memory) - tail) / n)


class Pairs(Calculator):
    """Lennard-Jones' potential, eV, between pairs that stay the same: first and second neighbours of a crystal."""

    implemented_properties = ("energy", "forces", "stress")
    depth, size = 0.0104, 3.4

    def __init__(self, crystal: ase.Atoms) -> None:
        super().__init__()
        reach = 1.2 * crystal.cell[0, 0] / 3  # between second and third neighbours of 3 x 3 x 3 cubes
        self.i, self.j, self.shifts = neighbor_list("ijS", crystal, reach)

    def vectors(self, positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """(pairs, 3) Å."""
        return positions[self.j] - positions[self.i] + self.shifts @ cell

    def slopes(self, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the energy of a pair: itself, eV; its derivative by the distance over it; the second one, eV/Å²."""
        sixth = (self.size**2 / squares) ** 3
        energy = 4 * self.depth * (sixth**2 - sixth)
        first = 24 * self.depth * (sixth - 2 * sixth**2) / squares
        return energy, first, 24 * self.depth * (26 * sixth**2 - 7 * sixth) / squares

    def calculate(self, atoms=None, properties=("energy",), system_changes=()) -> None:
        """See ASE."""
        super().calculate(atoms, properties, system_changes)
        vectors = self.vectors(atoms.positions, atoms.cell.array)
        energy, first, _ = self.slopes((vectors**2).sum(axis=1))
        pulls = first[:, None] * vectors
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, self.i, pulls)
        stress = 0.5 * np.einsum("pa,pb->ab", vectors, pulls) / atoms.get_volume()
        voigt = stress.ravel()[[0, 4, 8, 5, 2, 1]]
        self.results = {"energy": 0.5 * float(energy.sum()), "forces": forces, "stress": voigt}

    def free_energy(self, atoms: ase.Atoms, temperature: float) -> float:
        """Classical and quasi-harmonic, eV: the lattice's energy, and k_B T times the logarithms of frequencies."""
        vectors = self.vectors(atoms.positions, atoms.cell.array)
        squares = (vectors**2).sum(axis=1)
        energy, first, second = self.slopes(squares)
        along = np.einsum("pa,pb->pab", vectors, vectors) / squares[:, None, None]
        blocks = first[:, None, None] * (np.eye(3) - along) + second[:, None, None] * along
        n = len(atoms)
        hessian = np.zeros((n, n, 3, 3))
        np.add.at(hessian, (self.i, self.j), -blocks)
        np.add.at(hessian, (self.i, self.i), blocks)
        values = np.linalg.eigvalsh(hessian.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n))[3:]
        return 0.5 * float(energy.sum()) + units.kB * temperature * 0.5 * float(np.log(values).sum())


@row(
    SECTION,
    "thermal expansion of a Lennard-Jones crystal from 0 to 10 K, NPT of 50 ps, shares of the volume",
    "quasi-harmonic theory, classical",
    tolerance=6e-4,
    slow=True,
)
def expansion():
    crystal = bulk("Ar", cubic=True, a=5.3) * 3
    pairs = Pairs(crystal)

    def volume(temperature: float) -> float:
        """Where the free energy is least, Å³."""

        def of(scale: float) -> float:
            scaled = crystal.copy()
            scaled.set_cell(crystal.cell * scale, scale_atoms=True)
            return pairs.free_energy(scaled, temperature)

        return (
            crystal.get_volume() * float(minimize_scalar(of, bounds=(0.95, 1.05), method="bounded").x) ** 3
        )

    cold, warm = volume(0.0), volume(10.0)
    start = crystal.copy()
    start.set_cell(crystal.cell * (warm / crystal.get_volume()) ** (1 / 3), scale_atoms=True)
    settings = MDSettings(10.0, 50.0, 8.0, "nose-hoover", 200.0, interval=10, pressure=0.0)
    with TemporaryDirectory() as folder:
        reached = run_md(start, pairs, settings, folder).volume()
    return reached.value / cold - 1.0, warm / cold - 1.0
