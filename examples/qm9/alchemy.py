"""Fig. 3.16 of the thesis with the shipped qm9: benzene turns into s-triazine over pyridine and pyrimidine.

    pip install 'schnet-calc[qm9]'
    python examples/qm9/alchemy.py alchemy.png

Ring atoms change from carbon to nitrogen one by one, while their hydrogens fade: once at benzene's positions,
once on straight lines between the minima of QM9. Energies are less the reference energies of the model's elements,
which depend on the composition alone.
"""

import sys
from pathlib import Path

import ase
import numpy as np
from scipy.spatial.transform import Rotation

from schnet_calc import Model, plots
from schnet_calc.analysis.errors import KCAL_MOL
from schnet_calc.data import read_frames
from schnet_calc.insight import alchemical_path

MOLECULES = {
    "benzene": (208, ()),
    "pyridine": (209, (0,)),
    "pyrimidine": (211, (0, 2)),
    "s-triazine": (212, (0, 2, 4)),
}
"""Row of QM9, and where the ring has its nitrogens."""
POINTS = 20


def in_order(atoms: ase.Atoms, nitrogens: tuple[int, ...]) -> ase.Atoms:
    """Ring atoms in turn, nitrogens at their places, then the hydrogen of each; X where there is none."""
    ring = np.flatnonzero(atoms.numbers > 1)
    arms = atoms.positions[ring] - atoms.positions[ring].mean(axis=0)
    _, _, axes = np.linalg.svd(arms)
    order = ring[np.argsort(np.arctan2(arms @ axes[1], arms @ axes[0]))]
    turns = [np.roll(order[::way], -k) for way in (1, -1) for k in range(6)]
    order = next(t for t in turns if tuple(np.flatnonzero(atoms.numbers[t] == 7)) == nitrogens)
    symbols, places = [], []
    for k in order:
        near = [h for h in np.flatnonzero(atoms.numbers == 1) if atoms.get_distance(k, h) < 1.3]
        outward = atoms.positions[k] - atoms.positions[ring].mean(axis=0)
        symbols.append("H" if near else "X")
        places.append(
            atoms.positions[near[0]]
            if near
            else atoms.positions[k] + 1.09 * outward / np.linalg.norm(outward)
        )
    return ase.Atoms([*atoms.symbols[order], *symbols], [*atoms.positions[order], *places])


def superposed(atoms: ase.Atoms, onto: ase.Atoms) -> ase.Atoms:
    """A copy turned and moved so that its ring lies on the other's."""
    centres = atoms.positions[:6].mean(axis=0), onto.positions[:6].mean(axis=0)
    turn, _ = Rotation.align_vectors(onto.positions[:6] - centres[1], atoms.positions[:6] - centres[0])
    found = atoms.copy()
    found.positions = turn.apply(atoms.positions - centres[0]) + centres[1]
    return found


def main(picture: str) -> None:
    """Print the stages, draw both paths."""
    frames, model = read_frames("qm9pack"), Model("qm9", on_doubt="ignore")
    stages = [in_order(frames.atoms(row), places) for row, places in MOLECULES.values()]
    benzene = stages[0]
    relaxed = [superposed(stage, benzene) for stage in stages]
    fixed = [ase.Atoms(stage.numbers, benzene.positions) for stage in stages]
    figure, axes = plots.new_figure(5.5, 3.6)
    paths = {
        "benzene's positions": alchemical_path(model, fixed, POINTS),
        "relaxed": alchemical_path(model, relaxed, POINTS),
    }
    references = np.array(
        [sum(model.potential.reference_energies[z] for z in s.numbers if z) for s in stages]
    )
    line = np.interp(np.arange(len(paths["relaxed"])), np.arange(len(stages)) * POINTS, references)
    for name, path in paths.items():
        binding = (path - line) / KCAL_MOL
        axes.plot(np.arange(len(path)) / POINTS, binding, label=name)
        print(
            name,
            *(f"{n} {e:.1f}" for n, e in zip(MOLECULES, binding[::POINTS], strict=True)),
            "kcal/mol",
            sep="  ",
        )
    labels = [
        (frames.energies[row] - a) / KCAL_MOL
        for (row, _), a in zip(MOLECULES.values(), references, strict=True)
    ]
    axes.plot(range(len(stages)), labels, "k_", ms=12, label="QM9 (DFT)")
    print("labels", *(f"{n} {e:.1f}" for n, e in zip(MOLECULES, labels, strict=True)), "kcal/mol", sep="  ")
    axes.set_xticks(range(len(stages)), list(MOLECULES))
    axes.set_ylabel("energy less reference energies, kcal/mol")
    axes.legend(frameon=False, fontsize=8)
    plots.save_figure(figure, Path(picture).with_suffix(""))


if __name__ == "__main__":
    main(*sys.argv[1:])
