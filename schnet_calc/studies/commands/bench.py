"""The command that measures speed."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from schnet_calc.cli.console import err, out as console, write_json
from schnet_calc.cli.options import Flat, OutputOptions, OutputPath, Several, check_files
from schnet_calc.studies.commands.tables import print_columns

if TYPE_CHECKING:
    from schnet_calc.studies.bench.run import Bench


@dataclass(frozen=True)
class What:
    """What is timed."""

    training: bool = False
    """Time training steps instead: aspirin, C20, energies alone, a crystal, and batches of other sizes."""
    lammps: bool = False
    """Time silicon in LAMMPS instead, beside threads of one process."""
    against: Annotated[tuple[Literal["schnetpack", "nep", "mace"], ...], Several] = ()
    """What has to be installed and is timed in the same run: schnetpack in all steps; nep and mace on crystals of
    1,000 atoms, one thread, and nothing else if schnetpack isn't named too."""
    model: str | None = None
    """A SchNet that knows carbon, in place of random weights: an imported one, say."""
    atoms: Annotated[tuple[int, ...] | None, Several] = None
    """Sizes of diamond (64 to 20,000 by default), or of silicon in LAMMPS (1,000 to 32,000)."""
    beads: Annotated[tuple[int, ...], Several] = (1, 8, 32)
    """Of the steps of path integrals."""
    ranks: Annotated[tuple[int, ...], Several] = (1, 2, 4)
    """Of MPI, with --lammps."""
    plugin: Path | None = None
    """What schnet-calc lammps build made, to be timed with --lammps, too."""
    threads: int | None = None
    """CPU threads."""
    seconds: float = 1.0
    """s for each timing, about."""


@dataclass(frozen=True)
class BenchOutput(OutputOptions):
    """What ``bench`` writes."""

    output: OutputPath = Path("bench")
    """Name of the figure, without ending."""


def bench(*, what: Annotated[What, Flat] = What(), out: BenchOutput = BenchOutput()) -> None:
    """What a step costs on this machine: C20, batches of it, crystals, PIMD; run it when nothing else runs."""
    check_files(what.plugin)
    import torch

    from schnet_calc import plots
    from schnet_calc.studies.bench.figure import draw_bench, panels
    from schnet_calc.studies.bench.run import run_bench

    if what.threads is not None:
        torch.set_num_threads(what.threads)
    peer = "schnetpack" if "schnetpack" in what.against else None
    if what.training:
        _bench_training(peer, what.seconds, out.json)
        return
    if what.lammps:
        _bench_lammps(what, out.json)
        return
    others = [name for name in what.against if name != peer]
    crystals = [_bench_anchors(name, what.seconds) for name in others]
    if crystals and peer is None:
        write_json(out.json, {"crystals": crystals})
        return
    atoms = what.atoms or (64, 216, 1000, 4000, 20000)
    found = run_bench(atoms, peer, what.seconds, what.beads, err.print, what.model)
    _print_steps(found, peer is not None, max(atoms))
    plots.draw_to(out.output, draw_bench, found, size=(11, 3.6), columns=len(panels(found)))
    write_json(out.json, {**asdict(found), "crystals": crystals})


def _print_steps(found: "Bench", against: bool, largest: int) -> None:
    from schnet_calc.studies.bench.cases import SILICON

    rows = []
    for t in found.timings:
        cells = [t.name, _digits(t.compiled), *_beside(t.script, t.script_ratio)]
        cells += _beside(t.peer, t.peer_ratio) if against else []
        rows.append([*cells, _digits(t.floor), f"{t.over_floor:.1f}"])
    print_columns(
        f"ms per step or batch, {found.threads} thread{'s' if found.threads > 1 else ''}",
        ["", "compiled", "script", "×", *(["SchNetPack", "×"] if against else []), "floor", "×"],
        rows,
        "T = 6, F = 128, 50 Gaussians, 5 Å, float32, or --model; ×: over compiled, and over the floor",
    )
    console.print(f"floor: operations counted, at the {found.gflops:.0f} GFLOP/s of a matrix product")
    crystals = [t for t in found.timings if t.group in ("diamond", SILICON)]
    cycles = ", ".join(f"{found.cycles(t):.0f} ({t.name})" for t in crystals)
    console.print(f"cycles of {found.gigahertz:.1f} GHz per pair and block: {cycles}")
    console.print(f"the calculator adds {found.overhead:.3f} ms to its engine")
    if found.ipi_alone:
        alone = ", ".join(f"{_digits(value)} ms with {p}" for p, value in found.ipi_alone.items())
        console.print(f"i-PI itself takes {alone} beads")
    if found.peak_memory is not None:
        console.print(f"{largest:,} atoms alone need {found.peak_memory:.0f} MiB")


def _bench_training(against: str | None, seconds: float, json: Path | None) -> None:
    """Print a table of training steps, and the parts of the first."""
    from schnet_calc.studies.bench.training import run_training_bench

    found = run_training_bench(against, seconds, err.print)
    rows = []
    for t in found.timings:
        cells = [t.name, _digits(t.adam), _digits(t.soap), _digits(t.autograd)]
        cells += _beside(t.peer, t.peer_ratio) if against else []
        rows.append([*cells, _digits(t.floor), f"{t.over_floor:.1f}"])
    print_columns(
        f"ms per training step, {found.threads} thread{'s' if found.threads > 1 else ''}, float32",
        ["", "Adam", "SOAP", "autograd", *(["SchNetPack", "×"] if against else []), "floor", "×"],
        rows,
        "×: over Adam, and Adam over the floor; random labels with forces unless it says energies alone",
    )
    parts = ", ".join(f"{name} {_digits(value)}" for name, value in found.parts.items())
    console.print(f"ms of the first with Adam: {parts}")
    console.print(f"floor: operations counted, at the {found.gflops:.0f} GFLOP/s of a matrix product")
    write_json(json, asdict(found))


def _bench_anchors(against: str, seconds: float) -> dict[str, Any]:
    """Print what crystals cost with another potential; the same as plain values."""
    from schnet_calc.studies.bench.anchors import run_anchors

    found = run_anchors(against, seconds)
    rows = [[a.name, _digits(a.ours), _digits(a.theirs), f"{a.ratio:.1f}"] for a in found]
    headings = ("crystal and our model", "ours", against.upper(), "×")
    print_columns("µs per atom and step of ASE, 1,000 atoms, one thread", headings, rows)
    return {"against": against, "costs": [asdict(a) for a in found]}


def _bench_lammps(what: What, json: Path | None) -> None:
    """Print what silicon costs on ranks, and what 64 nodes would cost."""
    from schnet_calc.studies.bench.lammps import measure, rows_of, weak_scaling

    costs = measure(
        what.atoms or (1000, 8000, 32000),
        what.ranks,
        plugin=what.plugin,
        model=what.model or "silicon",
        report=lambda c: err.print(f"{c.route} {c.atoms} {c.ranks}"),
    )
    header, *rows = rows_of(costs)
    caption = (
        "Per step. threads: one process without LAMMPS; on the first rank, of the fix: ms of exchange and "
    )
    caption += "coupling, rows of other ranks' atoms for each own one, and what is sent"
    print_columns("silicon in LAMMPS, NVE", header, rows, caption)
    largest = max((c for c in costs if c.route == "fix"), key=lambda c: (c.ranks > 1, c.atoms, -c.ranks))
    on_paper = weak_scaling(largest, 64)
    console.print(
        f"on paper, 64 nodes with {largest.atoms:,} atoms each: {on_paper:.1f} ms per step instead of "
        f"{largest.milliseconds:.1f} (messages of 2 µs and 10 GB/s, nothing of it hidden)"
    )
    write_json(json, {"costs": [asdict(c) for c in costs], "on_64_nodes_ms": on_paper})


def _beside(value: float | None, ratio: float | None) -> list[str]:
    return ["", ""] if value is None or ratio is None else [_digits(value), f"{ratio:.1f}"]


def _digits(value: float | None) -> str:
    """Three digits or all before the point; nothing of nothing."""
    return "" if value is None else f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
