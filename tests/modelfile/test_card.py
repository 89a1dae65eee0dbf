"""What a model file says of itself, in words."""

import pytest

from helpers import ROOT
from schnet_calc.errors import suggestion
from schnet_calc.modelfile.card import card, markdown_card, operations
from schnet_calc.modelfile.opening import open_model_file


def test_a_model_of_one_molecule():
    rows = card(open_model_file("ethanol").metadata)
    assert rows["knows"] == "C2H6O (elements H, C, O)"
    assert rows["level of theory"].startswith("DFT PBE+vdW-TS")
    assert "1000 structures of ethanol" in rows["trained on"]
    assert rows["errors"] == (
        "mean absolute, energy 3.2 meV, force 13.5 meV/Å on 1941 structures never used in training"
    )
    assert rows["predicts"] == "energies, forces"
    assert "other compositions" in rows["does not know"]
    assert "ms for 20 atoms" in rows["speed"]


def test_a_model_of_many_molecules_without_cutoff():
    rows = card(open_model_file("qm9_gap").metadata)
    assert rows["predicts"] == "gap (eV)"
    assert rows["errors"].startswith("mean absolute, gap 0.06")
    assert "periodic structures" in rows["does not know"]


def test_cards_hold_what_the_files_say():
    pages = {page.stem: page.read_text() for page in (ROOT / "models").glob("*.md")}
    assert "c20" in pages
    old = [f"schnet-calc info {name} --card" for name, text in pages.items() if table(name) not in text]
    assert not old


def table(name: str) -> str:
    return markdown_card(open_model_file(name).metadata)


def test_a_model_of_lengths_of_dipoles_and_one_without_forces():
    assert "dipole length 0.00628 eAng" in card(open_model_file("qm9_dipole").metadata)["errors"]
    assert card(open_model_file("qm9").metadata)["predicts"] == "energies (no forces in its data)"


def test_data_are_named_by_their_public_source():
    rows = card(open_model_file("ethanol").metadata)
    assert rows["data"].startswith("MD17, http")
    assert rows["made by"] == "schnet-calc reproduce md17 ethanol -o runs/md17"


def test_operations_are_those_of_the_layers():
    metadata = open_model_file("c20").metadata
    # Three blocks of three square layers and a head of half of one, each there and back, two operations a product.
    assert operations(metadata, 1, 0) == pytest.approx(128 * 128 * 4 * (3 * 3 + 0.5))
    assert operations(metadata, 0, 1) == 3 * 128 * 50


def test_did_you_mean():
    assert suggestion("c02", ["c20", "water"]) == " Did you mean 'c20'?"
    assert suggestion("zzz", ["c20", "water"]) == ""
    with pytest.raises(FileNotFoundError, match="Did you mean 'ethanol'"):
        open_model_file("etanol")
