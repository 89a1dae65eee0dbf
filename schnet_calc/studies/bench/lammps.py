"""What a step of LAMMPS with a SchNet costs, against atoms and ranks."""

import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from schnet_calc.studies.bench.cases import LATTICE

COMMANDS = """
units metal
atom_style atomic
lattice diamond {lattice}
region box block 0 {a} 0 {b} 0 {c}
create_box 1 box
create_atoms 1 box
mass 1 28.0855
velocity all create 600.0 4711 loop geom
"""


@dataclass
class Cost:
    """A row of the table."""

    route: str
    """``"threads"`` (one process without LAMMPS), ``"fix"`` or ``"plugin"``."""
    atoms: int
    ranks: int
    """Or threads."""
    milliseconds: float
    """Of a step."""
    exchange: float = 0.0
    """Milliseconds of it in exchanges, waiting included, on the first rank; of the fix only."""
    coupling: float = 0.0
    """Milliseconds of it outside of the evaluation."""
    guests: float = 0.0
    """Rows of other ranks' atoms for each own atom, on the first rank."""
    megabytes: float = 0.0
    """Sent in a step by the first rank; of the fix only."""

    @property
    def microseconds(self) -> float:
        """Of a step, for each atom."""
        return 1e3 * self.milliseconds / self.atoms


def repeats(atoms: int) -> tuple[int, int, int]:
    """Return the numbers of cubic cells along x, y, z that make about so many atoms."""
    edge = max(2, round((atoms / 8) ** (1 / 3)))
    return edge, edge, max(2, round(atoms / 8 / edge**2))


def measure(
    atoms: Sequence[int] = (1000, 8000),
    ranks: Sequence[int] = (1, 2, 4),
    steps: int = 10,
    plugin: Path | None = None,
    model: str = "silicon",
    report: Callable[[Cost], None] | None = None,
) -> list[Cost]:
    """Return what silicon costs: the engine alone on threads, then LAMMPS on ranks.

    Parameters
    ----------
    atoms, ranks : sequence of int
        All combinations; threads as ranks, up to the number of cores.
    steps : int
        Timed, after two that aren't.
    plugin : Path, optional
        Of ``pair_style schnet``, to be timed, too.
    model : str
        One of silicon.
    report : callable, optional
        Told each row.

    Raises
    ------
    RuntimeError
        A run failed; with what it said.
    """
    found = []
    for n in atoms:
        for size in ranks:
            routes = ["threads"] if size <= (os.cpu_count() or 1) else []
            for route in [*routes, "fix", *(["plugin"] if plugin else [])]:
                job = {"route": route, "repeats": repeats(n), "ranks": size, "steps": steps, "model": model}
                row = _on_ranks({**job, "plugin": str(plugin)})
                found.append(row)
                if report is not None:
                    report(row)
    return found


def weak_scaling(row: Cost, nodes: int, latency: float = 2e-6, bandwidth: float = 10e9) -> float:
    """Return milliseconds of a step on so many nodes with a row's atoms each, on paper.

    To the measured step come, for each of about 26 neighbours and each exchange, a message's latency (s), the
    bytes at a bandwidth (bytes/s), and two sums over all nodes, ``log2(nodes)`` latencies each.

    Parameters
    ----------
    row : Cost
        What was measured on one node.
    nodes : int
        How many.
    latency, bandwidth : float
        Of a message, s; bytes/s.
    """
    exchanges = 5  # of three interactions: two out, two back, forces
    messages = 26 * exchanges * latency + 1e6 * row.megabytes / bandwidth
    return row.milliseconds + 1e3 * (messages + 4 * math.log2(max(nodes, 2)) * latency)


def rows_of(costs: Sequence[Cost]) -> list[list[str]]:
    """Return the cells of a table, its header first."""
    rows = [["route", "atoms", "ranks", "ms", "µs/atom", "exchange", "coupling", "guests", "MB"]]
    for c in costs:
        times = [f"{c.milliseconds:.1f}", f"{c.microseconds:.1f}"]
        times += [f"{x:.2f}" for x in (c.exchange, c.coupling, c.guests, c.megabytes)]
        rows.append([c.route, f"{c.atoms:,}", str(c.ranks), *times])
    return rows


def _on_ranks(job: dict[str, Any]) -> Cost:
    """Run a job in processes of their own."""
    mpiexec = shutil.which(str(Path(sys.executable).parent / "mpiexec")) or "mpiexec"
    threads = job["route"] == "threads"
    command = [] if threads else [mpiexec, "-n", str(job["ranks"])]
    done = subprocess.run(
        [*command, sys.executable, "-m", "schnet_calc.studies.bench.lammps", json.dumps(job)],
        env={**os.environ, "OMP_NUM_THREADS": str(job["ranks"]) if threads else "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{job}: {done.stderr.strip()[-1000:]}")
    return Cost(**json.loads(done.stdout.strip().splitlines()[-1]))


def _threads(job: dict[str, Any]) -> Cost:
    """The engine alone; atoms move a little, as in MD."""
    import torch
    from ase.build import bulk

    from schnet_calc.model import load_model

    torch.set_num_threads(job["ranks"])
    atoms = bulk("Si", a=LATTICE, cubic=True) * job["repeats"]
    model, rng = load_model(job["model"], device="cpu", on_doubt="ignore"), np.random.default_rng(0)
    times = []
    for _ in range(job["steps"] + 2):
        atoms.positions += rng.normal(scale=0.002, size=(len(atoms), 3))
        started = time.perf_counter()
        model.evaluate([atoms])
        times.append(time.perf_counter() - started)
    return Cost("threads", len(atoms), job["ranks"], 1e3 * float(np.median(times[2:])))


class _Clock:
    """Adds up the time spent in methods."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, owner: Any, name: str) -> None:
        """Time all calls of a method."""
        method = getattr(owner, name)

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            result = method(*arguments)
            self.seconds += time.perf_counter() - started
            return result

        setattr(owner, name, timed)


def _lammps(job: dict[str, Any]) -> Cost | None:
    """NVE on this rank and the others; the first returns what it took."""
    from schnet_calc.lammps import attach
    from schnet_calc.lammps.exchange import RankExchange
    from schnet_calc.lammps.script import open_lammps

    lmp = open_lammps(["-screen", "none", "-log", "none"])
    a, b, c = job["repeats"]
    lmp.commands_string(COMMANDS.format(lattice=LATTICE, a=a, b=b, c=c))
    exchange, evaluation, coupling = _Clock(), _Clock(), None
    if job["route"] == "fix":
        for name in ("forward", "reverse"):
            exchange.watch(RankExchange, name)
        coupling = attach(lmp, job["model"], ["Si"], on_doubt="ignore")
        evaluation.watch(coupling.evaluator, "evaluate")
    else:
        lmp.commands_string(f"plugin load {job['plugin']}\nneighbor 1.0 bin")
        lmp.commands_string(f"pair_style schnet on_doubt ignore\npair_coeff * * {job['model']} Si")
    lmp.commands_string("timestep 0.001\nfix motion all nve\nthermo 1000\nrun 2")
    exchange.seconds = evaluation.seconds = 0.0
    before = 0 if coupling is None else coupling.bytes
    started = time.perf_counter()
    lmp.command(f"run {job['steps']} pre no post no")
    seconds, steps = time.perf_counter() - started, job["steps"]
    row = Cost(job["route"], lmp.get_natoms(), lmp.get_mpi_comm().size, 1e3 * seconds / steps)
    if coupling is not None:
        row.exchange = 1e3 * exchange.seconds / steps
        row.coupling = 1e3 * (seconds - evaluation.seconds) / steps
        row.guests = coupling.guests / max(lmp.extract_setting("nlocal"), 1)
        row.megabytes = 1e-6 * (coupling.bytes - before) / steps
    return None if lmp.get_mpi_comm().rank else row


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    cost = _threads(wanted) if wanted["route"] == "threads" else _lammps(wanted)
    if cost is not None:
        print(json.dumps(asdict(cost)))
