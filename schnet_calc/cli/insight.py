"""The command that looks inside a network."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schnet_calc.cli.console import print_table, stages_shown, write_json
from schnet_calc.cli.options import ModelName, OutputOptions, OutputPath, check_files, check_model
from schnet_calc.stages import in_turn

if TYPE_CHECKING:
    import ase

    from schnet_calc.modelfile import Potential

EXTENT = 10.0
"""Å from edge to edge of cuts, as in Fig. 4.4."""


@dataclass(frozen=True)
class InsightOutput(OutputOptions):
    """What ``insight`` writes."""

    output: OutputPath = Path("insight")
    """Folder for the results."""


def insight(
    model: ModelName,
    structure: Path | None = None,
    *,
    probe: str | None = None,
    ring: int = 6,
    spacing: float = 0.3,
    out: InsightOutput = InsightOutput(),
) -> None:
    """What a network has learned (thesis Section 4.5): figures, arrays and a cube file in a folder.

    Parameters
    ----------
    structure
        Structures that ASE reads, or MD17 data: the contributions are of all of them, everything else of
        the first. Without any there are filters, sensitivities and embeddings.
    probe
        Element of the probe atom of the local chemical potential; the model's heaviest by default.
    ring
        Atoms in the rings whose energies are added up.
    spacing
        Å between the points of the cube file.
    """
    check_model(model)
    check_files(structure)
    import numpy as np
    from ase.data import chemical_symbols

    from schnet_calc.data import read_structures
    from schnet_calc.modelfile import load_potential

    potential = load_potential(model)
    output = out.output
    output.mkdir(parents=True, exist_ok=True)
    symbols = [chemical_symbols[z] for z in potential.elements]
    inside = potential.network() is not None
    if not inside and structure is None:
        raise ValueError(
            f"{model} holds no network of this package: without a structure, nothing can be seen"
        )
    images = [] if structure is None else read_structures(structure)
    steps = _steps(potential, images, probe or symbols[-1], (ring, spacing), output)
    arrays: dict[str, Any] = {}
    rows: dict[str, Any] = {}
    with stages_shown():
        for step in in_turn("insight", steps):
            for key, value, text in step:
                arrays[key] = np.asarray(value)
                if text:
                    rows[key.replace("_", " ")] = text
    np.savez_compressed(output / "insight.npz", **arrays)
    rows["folder"] = output
    print_table(f"inside {model}", rows)
    write_json(out.json, {k: v.tolist() for k, v in arrays.items() if v.size < 10_000})


Findings = Iterator[tuple[str, Any, str]]
"""Name and value of an array, and what the table says of it."""


def _steps(
    potential: "Potential", images: "list[ase.Atoms]", probe: str, sizes: tuple[int, float], output: Path
) -> list[Findings]:
    """What there is to see, given the atoms of a ring and the spacing of the cube."""
    from ase.data import chemical_symbols

    symbols = [chemical_symbols[z] for z in potential.elements]
    inside, (ring, spacing) = potential.network() is not None, sizes
    crystal = images[0].cell.array if images and images[0].pbc.all() else None
    steps = (
        [_filters(potential, crystal, output), _sensitivity(potential, symbols, output)] if inside else []
    )
    if inside and len(symbols) > 1:
        steps.append(_embeddings(potential, output))
    if images:
        first = images[0]
        steps.append(_contributions(potential, images, ring, output))
        steps.append(_potential(potential, first, probe, spacing, output))
        if inside:
            steps.append(_attribution(potential, first, output))
    return steps


def _filters(potential: "Potential", cell: Any, output: Path) -> Findings:
    import numpy as np

    from schnet_calc import plots
    from schnet_calc.insight import filter_curves, filter_cuts

    hyperparameters = potential.metadata.hyperparameters
    distances = np.linspace(0.5, hyperparameters["cutoff"], 300)
    curves, cuts = filter_curves(potential, distances), filter_cuts(potential, EXTENT)
    figure, axes = plots.new_figure(4.2 * len(curves), 3.2, len(curves), squeeze=False)
    for k, ax in enumerate(axes[0]):
        plots.draw_filter_curves(ax, distances, curves[k])
        ax.set_title(f"filter network {k + 1}")
    plots.save_figure(figure, output / "filter_curves")
    found = {"filter_cuts": cuts}
    if cell is not None:
        found["lattice_cuts"] = filter_cuts(potential, EXTENT, cell=cell)
    for name, squares in found.items():
        figure, axes = plots.new_figure(4.2 * len(squares), 4.4, len(squares), squeeze=False)
        for k, ax in enumerate(axes[0]):
            plots.draw_filter_cuts(ax, squares[k], EXTENT)
        plots.save_figure(figure, output / name)
        yield name, squares, ""
    yield "filter_distances", distances, ""
    yield "filter_curves", curves, f"{curves.shape[0]} networks of {curves.shape[2]} filters"


def _sensitivity(potential: "Potential", symbols: list[str], output: Path) -> Findings:
    import numpy as np

    from schnet_calc import plots
    from schnet_calc.insight import distance_sensitivity

    distances = np.linspace(0.7, potential.metadata.hyperparameters["cutoff"], 200)
    found = {}
    for pair in list(combinations_with_replacement(symbols, 2))[:6]:
        name = "-".join(pair)
        found[name] = distance_sensitivity(potential, pair, distances)
        yield f"sensitivity_{name}", found[name], ""
    plots.draw_to(output / "sensitivity", plots.draw_sensitivity, distances, found, size=(6, 4))
    yield "sensitivity_distances", distances, ""


def _embeddings(potential: "Potential", output: Path) -> Findings:
    from schnet_calc import plots
    from schnet_calc.insight import embedding_components

    components = embedding_components(potential)
    plots.draw_to(output / "embeddings", plots.draw_embeddings, components, size=(4.6, 4))
    share = f"{100 * components.explained[:2].sum():.0f} % of the variance in two components"
    yield "embeddings", components.values, share


def _contributions(potential: "Potential", images: "list[ase.Atoms]", ring: int, output: Path) -> Findings:
    from schnet_calc import plots
    from schnet_calc.insight import atom_contributions, ring_energies

    contributions = atom_contributions(potential, images)
    size = (6, 1.2 + 0.8 * len(contributions.by_element()))
    plots.draw_to(output / "contributions", plots.draw_contributions, contributions, size=size)
    means = ", ".join(
        f"{k} {e.mean():.3f} ± {e.std():.3f} eV" for k, e in contributions.by_element().items()
    )
    yield "contributions", contributions.energies, means
    yield "contributions_numbers", contributions.numbers, ""
    if images[0].pbc.any():
        return
    rings = ring_energies(potential, images[0], ring, None)
    yield "ring_energies", rings.energies, f"{len(rings.energies)} rings of {ring}"
    if len(rings.energies):
        plots.draw_to(output / "rings", plots.draw_rings, images[0], rings, size=(5, 4))
        yield "rings", rings.members, ""


def _attribution(potential: "Potential", atoms: "ase.Atoms", output: Path) -> Findings:
    from schnet_calc import plots
    from schnet_calc.insight import attribute

    shares = attribute(potential, atoms)
    plots.draw_to(output / "attribution", plots.draw_attribution, atoms, shares, size=(5, 4))
    text = (
        f"{shares.pairs.sum():.4f} eV of pairs, {shares.energy - shares.baseline:.4f} eV from the baseline"
    )
    yield "attribution_pairs", shares.pairs, text
    yield "attribution_atoms", shares.atoms, ""


def _potential(
    potential: "Potential", atoms: "ase.Atoms", probe: str, spacing: float, output: Path
) -> Findings:
    from schnet_calc import plots
    from schnet_calc.insight import (
        local_chemical_potential,
        plane_points,
        potential_grid,
        potential_surface,
    )

    label = f"energy of the probe {probe}, eV"
    if atoms.pbc.all() or not atoms.pbc.any():
        grid = potential_grid(potential, atoms, probe, spacing)
        grid.write(output / "potential.cube")
        yield (
            "potential_grid",
            grid.values,
            f"{' x '.join(map(str, grid.values.shape))} points in potential.cube",
        )
    if atoms.pbc.any():
        points = atoms.positions[0] + plane_points(EXTENT, 81)
        values = local_chemical_potential(potential, atoms, points.reshape(-1, 3), probe)
        values = values.reshape(points.shape[:2])
        figure, axes = plots.new_figure(5, 4)
        plots.draw_cut(axes, values, EXTENT, label)
        yield "potential_cut", values, ""
    else:
        try:
            surface = potential_surface(potential, atoms, probe)
        except ModuleNotFoundError as error:
            yield "potential_surface", [], str(error)  # all the rest needs no extra
            return
        figure, axes = plots.new_figure(5.6, 4.2, subplot_kw={"projection": "3d"})
        plots.draw_surface(axes, surface, atoms, label)
        yield (
            "potential_surface",
            surface.values,
            f"{surface.values.min():.3f} to {surface.values.max():.3f} eV",
        )
    plots.save_figure(figure, output / "potential")
