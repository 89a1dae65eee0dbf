"""What a step costs: ours, a peer's in the same run, and the arithmetic floor of this machine."""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ase
import numpy as np
import torch
from ase import units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet

from schnet_calc.analysis.fullerene import dodecahedron
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.graph import Structure
from schnet_calc.neighbors import half_pairs
from schnet_calc.nn import SchNet, SchNetConfig
from schnet_calc.potential import save_model

NETWORK = SchNetConfig(n_features=128, n_interactions=6, n_gaussians=50, cutoff=5.0)
"""That of the thesis's C20 study; random weights cost what trained ones do."""
BATCHES = (1, 8, 32, 128)
DIAMOND = {64: (2, 2, 2), 216: (3, 3, 3), 1000: (5, 5, 5), 4000: (5, 10, 10), 20000: (10, 10, 25)}
"""Atoms, and repetitions of the cubic cell."""
PEER_LIMIT = 1000
"""Atoms up to which the peer is timed."""
SCRIPT_LIMIT = 216
"""Atoms in all up to which the script engine is."""


@dataclass(frozen=True)
class Timing:
    """One line of the table; milliseconds."""

    name: str
    n_atoms: int
    """In all structures of the batch."""
    fused: float
    script: float | None
    peer: float | None
    floor: float
    """What the necessary operations take at the rate of a large matrix product."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "over_floor": self.fused / self.floor}


@dataclass(frozen=True)
class Bench:
    """Outcome of :func:`run_bench`."""

    timings: list[Timing]
    gflops: float
    """Rate of a float32 matrix product, 10⁹ operations per second."""
    overhead: float
    """ms that the calculator adds to its engine, ASE's bookkeeping aside."""
    peak_memory: float
    """MiB, of this process after our largest structure and before any peer."""
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "timings": [t.to_dict() for t in self.timings]}


def milliseconds(
    call: Callable[[], object],
    seconds: float = 1.0,
    average: Callable[[Sequence[float]], float] = statistics.median,
) -> float:
    """Median (or another average) time of a call, after warming up, over about so many seconds."""
    for _ in range(3):
        call()
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < deadline and len(times) < 300):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1e3 * average(times)


def matrix_rate() -> float:
    """10⁹ operations per second of a float32 matrix product on all threads."""
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / milliseconds(lambda: a @ a, 0.5) / 1e6


def operations(atoms: ase.Atoms, config: SchNetConfig = NETWORK) -> float:
    """Necessary for energy and forces, with tabulated filters: 2 per multiplication and addition.

    Per pair, feature and block a cubic look-up and two messages forwards, value and slope and two messages
    and a product backwards; per atom and block three layers in each direction.
    """
    n_pairs = len(half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, config.cutoff).i)
    f, t, n = config.n_features, config.n_interactions, len(atoms)
    pairs = 2.0 * n_pairs * f * t * ((4 + 2) + (4 + 4 + 2 + 3))
    return pairs + 2.0 * n * t * 6 * f * f + 2.0 * n * f * f


def diamond(n_atoms: int) -> ase.Atoms:
    """A crystal of carbon, slightly displaced."""
    atoms = bulk("C", "diamond", a=3.567, cubic=True) * DIAMOND[n_atoms]
    atoms.rattle(0.02, seed=0)
    return atoms


def md_step(atoms: ase.Atoms, calculator: Calculator) -> Callable[[], None]:
    """A step of velocity Verlet at 300 K through ASE."""
    moving = atoms.copy()
    moving.calc = calculator
    thermalize_momenta(moving, temperature_K=300, rng=np.random.default_rng(0))
    dynamics = VelocityVerlet(moving, 0.5 * units.fs)
    return lambda: dynamics.run(1)


def run_bench(
    sizes: Sequence[int] = tuple(DIAMOND),
    against: str | None = None,
    seconds: float = 1.0,
    progress: Callable[[str], None] | None = None,
) -> Bench:
    """Time C20 steps, batches, and diamond; the peer's in the same run.

    Parameters
    ----------
    sizes : sequence of int
        Atoms of diamond, of :data:`DIAMOND`.
    against : str, optional
        ``"schnetpack"``.
    seconds : float
        For each timing, about.
    progress : callable, optional
        Called with what is timed next.

    Raises
    ------
    ValueError
        A size or peer that there isn't.
    ModuleNotFoundError
        SchNetPack is not installed.
    """
    if against not in (None, "schnetpack"):
        raise ValueError(f"against is 'schnetpack' or nothing, got {against!r}")
    unknown = [n for n in sizes if n not in DIAMOND]
    if unknown:
        raise ValueError(f"diamond has {', '.join(map(str, DIAMOND))} atoms here, not {unknown[0]}")
    report = progress or (lambda name: None)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.pt"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            save_model(model, SchNet(NETWORK), {6: -1000.0})
        rate, cases = matrix_rate(), list(_cases(sizes))
        ours, memory = [], 0.0
        for name, atoms, count in cases:
            report(name)
            ours.append(_ours(model, atoms, count, seconds))
            memory = max(memory, _peak())
        peers: list[float | None] = [None] * len(ours)
        if against:
            peers = [_peer(Path(folder), a, n, seconds, report) for _, a, n in cases]
        timings = [
            Timing(name, n * len(a), fused, script, peer, 1e-6 * n * operations(a) / rate)
            for (name, a, n), (fused, script), peer in zip(cases, ours, peers, strict=True)
        ]
        overhead = _overhead(model, seconds)
    return Bench(timings, rate, overhead, memory, torch.get_num_threads())


def _cases(sizes: Sequence[int]) -> Iterator[tuple[str, ase.Atoms, int]]:
    """Name, structure, and how many of it; one stands for a step of MD."""
    cage = dodecahedron()
    cage.rattle(0.02, seed=0)
    for count in BATCHES:
        yield f"C20, batch of {count}" if count > 1 else "C20, one", cage, count
    for n_atoms in sizes:
        yield f"diamond, {n_atoms:,} atoms", diamond(n_atoms), 1


def _ours(model: Path, atoms: ase.Atoms, count: int, seconds: float) -> tuple[float, float | None]:
    engines = ("fused", "script") if count * len(atoms) <= SCRIPT_LIMIT else ("fused",)
    times = []
    for engine in engines:
        calculator = SchNetCalculator(model, device="cpu", engine=engine)
        if count == 1:
            times.append(_milliseconds_of_md(atoms, calculator, seconds))
        else:
            times.append(milliseconds(partial(calculator.evaluate, [atoms] * count), seconds))
    return times[0], times[1] if len(times) > 1 else None


def _milliseconds_of_md(atoms: ase.Atoms, calculator: Calculator, seconds: float) -> float:
    """The mean for a crystal: lists of neighbours are made anew now and then."""
    average = statistics.fmean if atoms.pbc.any() else statistics.median
    return milliseconds(md_step(atoms, calculator), seconds, average)


def _peer(
    folder: Path, atoms: ase.Atoms, count: int, seconds: float, report: Callable[[str], None]
) -> float | None:
    if len(atoms) > PEER_LIMIT:
        return None
    from schnet_calc.tasks import peer

    report(f"SchNetPack, {count} x {len(atoms)} atoms")
    if count > 1:
        return milliseconds(peer.batch_step(NETWORK, atoms, count), seconds)
    skins = (True, False) if atoms.pbc.any() else (False,)
    return min(_milliseconds_of_md(atoms, peer.calculator(NETWORK, folder, s), seconds) for s in skins)


def _overhead(model: Path, seconds: float) -> float:
    calculator = SchNetCalculator(model, device="cpu")
    atoms = dodecahedron()
    structure = Structure.from_atoms(atoms)
    engine = milliseconds(lambda: calculator.engine.evaluate([structure]), seconds)
    whole = milliseconds(lambda: calculator.calculate(atoms, ["energy", "forces"]), seconds)
    return whole - engine - milliseconds(lambda: Calculator.calculate(calculator, atoms), seconds)


def _peak() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2
