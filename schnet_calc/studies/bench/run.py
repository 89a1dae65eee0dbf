"""All timings of one run, and what they say beside each other."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path

import ase
import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.modelfile import find_model, load_potential
from schnet_calc.nn import SchNetConfig
from schnet_calc.structures.structure import Structure
from schnet_calc.studies.bench.cases import (
    BEADS,
    DIAMOND,
    NETWORK,
    Case,
    cage,
    cases,
    md_step,
    operations,
    write_random_model,
)
from schnet_calc.studies.bench.pimd import FREE, n_steps_for, pimd_step, with_ase
from schnet_calc.studies.bench.timing import (
    Call,
    check_asked,
    gflops,
    gigahertz,
    matrix_product,
    peak_memory,
    take_turns,
    threads,
)

PEER_LIMIT = 1000
"""Atoms up to which the peer is timed."""
SCRIPT_LIMIT = 216
"""Atoms in all up to which the script engine is."""
PEER_BEADS = 8

Report = Callable[[str], None]


@dataclass(frozen=True)
class Timing:
    """One line of the table; milliseconds, and ratios of what took turns."""

    name: str
    group: str
    n_atoms: int
    """In all structures of the batch."""
    compiled: float
    script: float | None
    peer: float | None
    floor: float
    """What the necessary operations take at the rate of a large matrix product."""
    script_ratio: float | None
    peer_ratio: float | None
    over_floor: float
    pairs: int = 0
    """Unordered pairs times blocks, where the table says cycles of each."""


@dataclass(frozen=True)
class Bench:
    """Outcome of :func:`run_bench`."""

    timings: list[Timing]
    gflops: float
    """Rate of a float32 matrix product, 10⁹ operations per second; median over all."""
    overhead: float
    """ms that the calculator adds to its engine when ASE asks it for forces."""
    peak_memory: float | None
    """MiB, of a process that evaluates the largest structure and nothing else."""
    ipi_alone: dict[int, float]
    """By number of beads: ms that i-PI takes for a step whose potential costs nothing."""
    threads: int
    gigahertz: float
    """Of one core, by a chain of operations of one cycle each."""

    def cycles(self, timing: Timing) -> float:
        """Of all threads together for a pair and block, with all that a step has beside."""
        return 1e6 * timing.compiled * self.gigahertz * self.threads / timing.pairs


def run_bench(
    sizes: Sequence[int] = tuple(DIAMOND),
    against: str | None = None,
    seconds: float = 1.0,
    beads: Sequence[int] = BEADS,
    progress: Report | None = None,
    model: str | Path | None = None,
) -> Bench:
    """Time C20 steps, batches, diamond, silicon, and steps of path integrals; the peer's in the same run.

    Parameters
    ----------
    sizes : sequence of int
        Atoms of diamond, of :data:`~schnet_calc.studies.bench.cases.DIAMOND`.
    against : str, optional
        ``"schnetpack"``.
    seconds : float
        For each timing, about.
    beads : sequence of int
        Of the path integrals.
    progress : callable, optional
        Called with what is timed next.
    model : path, optional
        A SchNet that knows carbon, such as an imported one, in place of random weights; the peer gets a network of
        its shape.

    Raises
    ------
    ValueError
        A model that is no SchNet or knows no carbon, a size or peer that there isn't, no time, or no beads.
    ModuleNotFoundError
        SchNetPack is not installed.
    """
    check_asked(against, seconds)
    unknown = [n for n in sizes if n not in DIAMOND]
    if unknown:
        raise ValueError(f"diamond has {', '.join(map(str, DIAMOND))} atoms here, not {unknown[0]}")
    if any(p < 1 for p in beads):
        raise ValueError(f"beads must be positive, got {min(beads)}")
    report = progress or (lambda name: None)
    with tempfile.TemporaryDirectory() as name:
        run = _Run(Path(name), against is not None, seconds, model)
        timings, ipi_alone = [], {}
        for case in cases(sizes, run.config):
            report(case.name)
            timings.append(run.turns(case))
        for p in beads:
            report(_beads(p))
            timings.append(run.path_integral(p))
            ipi_alone[p] = pimd_step(cage(), p, n_steps_for(4.0, 3.0 * seconds), pes=FREE)
        report("the calculator, and memory")
        overhead = run.overhead()
        memory = peak_memory(run.model, max(sizes)) if sizes else None
    rate = gflops(float(np.median(run.products)))
    return Bench(timings, rate, overhead, memory, ipi_alone, torch.get_num_threads(), gigahertz())


class _Run:
    """A model in a folder, and what is timed with it."""

    def __init__(
        self, folder: Path, against: bool, seconds: float, model: str | Path | None = None
    ) -> None:
        self.folder, self.against, self.seconds = folder, against, seconds
        self.model = folder / "model.pt" if model is None else find_model(model)
        self.config = NETWORK
        self.products: list[float] = []
        if model is not None:
            known = load_potential(model)
            if not isinstance(known.metadata.config, SchNetConfig) or 6 not in known.elements:
                raise ValueError(f"{model} is no SchNet that knows carbon, which is what is timed")
            self.config = known.metadata.config
            return
        write_random_model(self.model)

    def turns(self, case: Case) -> Timing:
        """Everybody's step or batch, and a matrix product, in turn."""
        calls = {"compiled": self._ours(case, "compiled")}
        if case.count * len(case.atoms) <= SCRIPT_LIMIT:
            calls["script"] = self._ours(case, "script")
        if self.against and len(case.atoms) <= PEER_LIMIT:
            calls |= self._peers(case)
        times = take_turns({**calls, "product": matrix_product()}, self.seconds)
        self.products += times["product"].tolist()
        peer = min((times[name] for name in times if name.startswith("peer")), key=np.median, default=None)
        return _timing(case, times["compiled"], times.get("script"), peer, times["product"])

    def _ours(self, case: Case, engine: str) -> Call:
        model = case.model or self.model
        calculator = SchNetCalculator(model, device="cpu", engine=engine, on_doubt="ignore")
        if case.count == 1:
            return md_step(case.atoms, calculator)
        return partial(calculator.evaluate, [case.atoms] * case.count)

    def _peers(self, case: Case) -> dict[str, Call]:
        from schnet_calc.studies.bench import schnetpack

        if case.count > 1:
            return {"peer": schnetpack.batch_step(case.config, case.atoms, case.count)}
        skins = (True, False) if case.atoms.pbc.any() else (False,)
        return {
            f"peer {skin}": md_step(case.atoms, schnetpack.calculator(case.config, self.folder, skin))
            for skin in skins
        }

    def path_integral(self, beads: int) -> Timing:
        """A step of i-PI, of ours in its own process and of the peer's through ASE's client."""
        floor = beads * operations(cage(), self.config) / gflops(float(np.median(self.products))) * 1e-6
        times = []
        n_steps = n_steps_for(20.0 * floor + 4.0, 3.0 * self.seconds)
        times.append(pimd_step(cage(), beads, n_steps, model=self.model))
        if self.against and beads <= PEER_BEADS:
            from schnet_calc.studies.bench import schnetpack

            serve = with_ase(schnetpack.calculator(self.config, self.folder))
            n_steps = n_steps_for(20.0 * beads, 3.0 * self.seconds)
            # i-PI looks at its socket all the time, and torch's threads wait for the core that it takes.
            for n_threads in {1, torch.get_num_threads()}:
                with threads(n_threads):
                    times.append(pimd_step(cage(), beads, n_steps, serve=serve, batched=False))
        ours, theirs = times[0], min(times[1:], default=None)
        return Timing(
            name=_beads(beads),
            group="PIMD steps of C20",
            n_atoms=20 * beads,
            compiled=ours,
            script=None,
            peer=theirs,
            floor=floor,
            script_ratio=None,
            peer_ratio=None if theirs is None else theirs / ours,
            over_floor=ours / floor,
        )

    def overhead(self) -> float:
        """Of ``get_forces`` for a C20 that has moved, beside the engine's evaluation of it."""
        calculator = SchNetCalculator(self.model, device="cpu", on_doubt="ignore")
        atoms = cage()
        structure, moves = Structure.from_atoms(atoms), cycle((1e-6, -1e-6))
        calls: dict[str, Call] = {
            "engine": lambda: calculator.engine.evaluate([structure]),
            "calculator": lambda: _forces_after(next(moves), atoms, calculator),
        }
        times = take_turns(calls, self.seconds)
        return float(np.median(times["calculator"] - times["engine"]))


def _forces_after(move: float, atoms: ase.Atoms, calculator: SchNetCalculator) -> None:
    atoms.positions[0, 0] += move
    calculator.get_forces(atoms)


def _beads(beads: int) -> str:
    return f"PIMD step, {beads} bead{'s' if beads > 1 else ''}"


def _median(times: NDArray[np.float64] | None) -> float | None:
    return None if times is None else float(np.median(times))


def _timing(
    case: Case,
    compiled: NDArray[np.float64],
    script: NDArray[np.float64] | None,
    peer: NDArray[np.float64] | None,
    product: NDArray[np.float64],
) -> Timing:
    """Medians over the rounds, of times and of their ratios in a round."""
    floors = 1e-6 * case.operations / gflops(1.0) * product
    return Timing(
        name=case.name,
        group=case.group,
        n_atoms=case.count * len(case.atoms),
        compiled=float(np.median(compiled)),
        script=_median(script),
        peer=_median(peer),
        floor=float(np.median(floors)),
        script_ratio=None if script is None else _median(script / compiled),
        peer_ratio=None if peer is None else _median(peer / compiled),
        over_floor=float(np.median(compiled / floors)),
        pairs=case.pairs,
    )
