"""What a page knows of a molecule."""

import numpy as np
from ase.build import molecule

from schnet_calc import SchNetCalculator
from schnet_calc.report.molecule import bond_classes, molecule_data
from schnet_calc.report.page import Modes3D
from schnet_calc.simulate.modes import normal_modes


def test_displacements_of_the_page_are_those_of_the_modes():
    atoms = molecule("CH3CH2OH")
    modes = normal_modes(atoms, SchNetCalculator("ethanol", dtype="float64"))
    data = molecule_data(atoms, bond_classes(atoms), modes)
    places, steps = np.array(data["positions"]), np.array(data["modes"])
    np.testing.assert_allclose(np.linalg.norm(steps, axis=2).max(axis=1), 0.35, atol=1e-3)
    for step, own in zip(steps, modes.modes, strict=True):
        scale = 0.35 / np.linalg.norm(own, axis=1).max()
        stretched = [
            np.linalg.norm((x + 1e-3 * s)[:, None] - (x + 1e-3 * s), axis=2)
            for x, s in ((places, step), (atoms.positions, scale * own))
        ]
        np.testing.assert_allclose(*stretched, atol=2e-3)
    lengths = [np.linalg.norm(np.subtract(*places[b["pair"]])) for b in data["bonds"]]
    np.testing.assert_allclose([float(b["label"]) for b in data["bonds"]], lengths, atol=1e-3)


def test_bonds_are_grouped_by_elements_and_length():
    found = bond_classes(molecule("CH3CH2OH"))
    assert [label.split()[0] for label in found.labels] == ["C-C", "C-H", "C-O", "H-O"]
    assert sum(len(c.members) for c in found.classes) == 8
    np.testing.assert_allclose(
        [found.lengths[c.members].mean() for c in found.classes], [c.mean for c in found.classes]
    )


def test_buttons_of_degenerate_modes_stand_together():
    groups = Modes3D([100.2, 100.3, 322.0, 461.0, 461.2, 461.4]).groups
    assert [[k for k, _ in group] for group in groups] == [[0, 1], [2], [3, 4, 5]]
    assert groups[1] == [(2, "322")]
