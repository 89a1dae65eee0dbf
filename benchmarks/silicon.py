"""Silicon: the error of forces over what a step costs, for networks of several cutoffs and widths, beside NEP.

    python benchmarks/silicon.py [NAME or model.pt ...] --figure docs/silicon

The errors are those of unseen cells of ``examples/silicon/general.toml``, crystals apart from melt and surfaces. A
step is one of ASE with 1,000 atoms of the crystal, on one thread; all take turns, with NEP4 of random weights
(``pip install calorine``) as a line, since a NEP for these cells isn't at hand. Elastic constants and phonons at Γ
are those of the crystal that a model has relaxed.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase.build import bulk
from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullFormatter
from numpy.typing import NDArray

from guard import frames_and_split
from schnet_calc import SchNetCalculator, load_model, plots
from schnet_calc.data import Frames
from schnet_calc.errors import SchNetCalcError
from schnet_calc.nn import SchNetConfig
from schnet_calc.simulate.crystal import crystal_properties
from schnet_calc.studies.bench.anchors import NEP, nep_calculator
from schnet_calc.studies.bench.cases import md_step, silicon
from schnet_calc.studies.bench.timing import take_turns, threads
from schnet_calc.training import evaluate

HOT = -5.18
"""eV/atom; cells above it are melt and surfaces."""
PBE = "PBE: C11, C12, C44 153, 57, 75 GPa; Γ 505 cm⁻¹"


@dataclass(frozen=True)
class Row:
    """What a model is worth, and what it costs."""

    name: str
    config: SchNetConfig
    crystals: float
    """Mean absolute error of force components, eV/Å."""
    others: float
    """The same of melt and surfaces."""
    energy: float
    """Mean absolute error of all cells, eV/atom."""
    constants: str
    """C11, C12, C44 in GPa, and the optical mode at Γ in 1/cm."""

    def cells(self, microseconds: float) -> str:
        """A line of the table."""
        values = (
            self.name,
            f"{self.config.cutoff:g} Å",
            self.config.n_features,
            f"{1e3 * self.energy:.1f}",
            f"{1e3 * self.crystals:.0f}",
            f"{1e3 * self.others:.0f}",
            self.constants,
            f"{microseconds:.1f}",
        )
        return f"| {' | '.join(map(str, values))} |"


def row_of(name: str, frames: Frames, test: NDArray[np.int64]) -> Row:
    """Evaluate the unseen cells and the crystal."""
    model = load_model(name, device="cpu", on_doubt="ignore")
    config = model.potential.metadata.config
    assert isinstance(config, SchNetConfig)
    hot = frames.energies[test] / frames.n_atoms[test] > HOT
    parts = [frames.select(test[hot == kind]) for kind in (False, True)]
    found = [evaluate(model, part) for part in parts]
    energies = [f.differences["energy"] / part.n_atoms for f, part in zip(found, parts, strict=True)]
    label = name if Path(name).suffix != ".pt" else Path(name).parent.name
    forces = [f.errors["forces"].mae for f in found]
    energy = float(np.abs(np.concatenate(energies)).mean())
    return Row(label, config, *forces, energy, constants_of(name))


def constants_of(name: str) -> str:
    """Elastic constants, GPa, and the optical mode at Γ, 1/cm, in words; a dash where the crystal isn't stable."""
    calculator = SchNetCalculator(name, device="cpu", dtype="float64", on_doubt="ignore")
    try:
        found = crystal_properties(bulk("Si", a=5.469), calculator, supercell=(4, 4, 4))
    except SchNetCalcError:
        return "-"
    c, places = found.elastic, dict(reversed(found.phonons.corners))
    gamma = found.phonons.frequencies[places["G"]].max()
    return f"{c[0, 0]:.0f}, {c[0, 1]:.0f}, {c[3, 3]:.0f}; {gamma:.0f}"


def times_of(names: list[str], seconds: float) -> dict[str, float]:
    """Microseconds per atom and step of each model and of NEP, which take turns."""
    atoms = silicon()
    with tempfile.TemporaryDirectory() as folder, threads(1):
        calls = {
            name: md_step(atoms, SchNetCalculator(name, device="cpu", on_doubt="ignore")) for name in names
        }
        calls["NEP"] = md_step(atoms, nep_calculator("Si", Path(folder)))
        found = take_turns(calls, seconds)
    return {name: float(1e3 * np.median(t) / len(atoms)) for name, t in found.items()}


def draw(figure: Path, rows: list[Row], times: dict[str, float]) -> None:
    """Errors of forces over costs, crystals and the rest apart."""
    canvas, axis = plots.new_figure(5.5, 3.6)
    cost = [times[k] for k in list(times)[: len(rows)]]
    for label, mark, values in (
        ("crystals", "o", [r.crystals for r in rows]),
        ("melt and surfaces", "s", [r.others for r in rows]),
    ):
        axis.loglog(cost, [1e3 * v for v in values], mark, label=label)
    order = sorted(zip(cost, rows, strict=True), key=lambda each: each[0])
    for k, (x, row) in enumerate(order):  # below and above in turn, since costs may be close
        text, up = f"{row.config.cutoff:g} Å, F = {row.config.n_features}", 7 if k % 2 else -13
        spot = (x, 1e3 * row.crystals)
        axis.annotate(text, spot, xytext=(0, up), textcoords="offset points", ha="center", fontsize=7)
    axis.axvline(times["NEP"], lw=0.8, ls="--", color="grey", label=f"NEP, {NEP['Si'][0]:g} Å (cost alone)")
    axis.set(xlabel="µs per atom and step, one thread", ylabel="MAE of forces, meV/Å")
    axis.margins(0.12)
    for side, ticks in ((axis.xaxis, (3, 5, 10, 20, 50)), (axis.yaxis, (30, 100, 300, 1000))):
        side.set_major_locator(FixedLocator(ticks))
        side.set_major_formatter(FormatStrFormatter("%g"))
        side.set_minor_formatter(NullFormatter())
    axis.legend(loc="center right")
    plots.save_figure(canvas, figure)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["silicon", "silicon_general"])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each timing, about")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    frames, split = frames_and_split("silicon_general")
    rows = [row_of(name, frames, split.test) for name in arguments.models]
    times = times_of(arguments.models, arguments.seconds)
    print(
        "| model | cutoff | F | energy, meV/atom | crystals, meV/Å | melt, surfaces, meV/Å | constants | µs |"
    )
    print("|" + "---|" * 8)
    for name, row in zip(arguments.models, rows, strict=True):
        print(row.cells(times[name]))
    print(f"NEP {times['NEP']:.1f} µs per atom and step; {PBE}")
    if arguments.figure:
        draw(arguments.figure, rows, times)


if __name__ == "__main__":
    main()
