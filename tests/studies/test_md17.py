"""The tables of the paper: names, files, comparison, and the shipped models."""

import numpy as np
import pytest

from helpers import ROOT
from schnet_calc.analysis.errors import KCAL_MOL, Errors
from schnet_calc.modelfile import load_potential
from schnet_calc.studies.md17 import PAPER, MoleculeErrors, check_names, configuration, find_data
from schnet_calc.training.evaluation import Evaluation

SHIPPED = [name for name in PAPER if (ROOT / "models" / f"{name}.pt").exists()]


def test_names_and_files(tmp_path):
    assert check_names([]) == tuple(PAPER)
    with pytest.raises(ValueError, match=r"no molecule 'methane' .*there are benzene"):
        check_names(["methane"])
    with pytest.raises(FileNotFoundError, match=r"no md17_salicylic_acid.npz or md17_salicylic.npz in"):
        find_data(tmp_path, "salicylic_acid")
    (tmp_path / "md17_salicylic.npz").touch()
    assert find_data(tmp_path, "salicylic_acid").name == "md17_salicylic.npz"
    (tmp_path / "md17_benzene2017.npz").touch()
    assert find_data(tmp_path, "benzene").name == "md17_benzene2017.npz"
    with pytest.raises(FileNotFoundError, match=r"neither salicylic_acid.toml nor default.toml"):
        configuration(tmp_path, tmp_path, "salicylic_acid", 1000)


@pytest.mark.parametrize(("energy", "reached"), [(0.0799, True), (0.0801, False)])
def test_cells_are_compared_unrounded(energy, reached):
    errors = Errors.of(np.array([energy * KCAL_MOL]), np.array([0.39 * KCAL_MOL * (1 - 1e-9)]))
    evaluation = Evaluation(1, errors, errors, {"energy": np.zeros(1), "forces": np.zeros(1)})
    assert MoleculeErrors("ethanol", evaluation).reached == (reached, True)


@pytest.mark.parametrize("name", SHIPPED)
def test_cards_tell_data_level_errors_and_command(name):
    card = (ROOT / "models" / f"{name}.md").read_text()
    training = load_potential(name).metadata.training
    errors = training["test_errors"]
    assert f"{errors['energy_mae_kcal_mol']:.3f}" in card
    assert f"{errors['force_mae_kcal_mol_ang']:.3f}" in card
    assert training["command"].startswith(command := f"schnet-calc reproduce md17 {name} --data ")
    assert command in card
    assert "PBE+vdW-TS" in card
