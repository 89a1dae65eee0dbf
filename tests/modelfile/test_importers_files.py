"""Files that other codes wrote."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.fd import calculate_numerical_forces

from modelfile.foreign_checks import evaluate, evaluate_within
from schnet_calc import SchNetCalculator
from schnet_calc.modelfile.importers import read_foreign
from schnet_calc.modelfile.importing import import_model

PEERS = Path(os.environ.get("SCHNET_CALC_PEERS", Path(__file__).parents[3] / "shared" / "peers"))


needs_peers = pytest.mark.skipif(
    not PEERS.is_dir(), reason=f"no files of other codes in {PEERS}; set SCHNET_CALC_PEERS"
)


FILES = Path(__file__).parent / "files"


@pytest.mark.parametrize("path", sorted(FILES.glob("*.pt")), ids=lambda p: p.stem)
def test_files_that_the_codes_wrote(path):
    """Activations and scales as hydra builds them, averages over neighbours; see ``peer_files.py``."""
    with np.load(FILES / "references.npz") as known:
        structure = Atoms(known["numbers"], known["positions"])
        energy, forces = known[f"{path.stem}_energy"].item(), known[f"{path.stem}_forces"]
    found = evaluate_within(read_foreign(path, energy_unit="eV"), structure)
    assert found[0] == pytest.approx(energy, abs=1e-6)
    np.testing.assert_allclose(found[1], forces, atol=1e-6)


@pytest.mark.parametrize("engine", ["auto", "script"])
def test_averages_are_a_network_like_others(tmp_path, engine):
    """Saved, loaded, evaluated, its forces the derivative of its energy."""
    import_model(
        FILES / "spk1_normalize_filter.pt", tmp_path / "m.pt", energy_unit="eV", elements=["C", "H", "O"]
    )
    with np.load(FILES / "references.npz") as known:
        structure = Atoms(known["numbers"], known["positions"])
        energy = known["spk1_normalize_filter_energy"].item()
    structure.calc = SchNetCalculator(tmp_path / "m.pt", engine=engine, dtype="float64")
    assert structure.get_potential_energy() == pytest.approx(energy, abs=1e-6)
    numeric = calculate_numerical_forces(structure, eps=1e-4, iatoms=[2])
    np.testing.assert_allclose(structure.get_forces()[2], numeric[0], atol=1e-6)


CASES = [
    ("A1_ethanol_best_model", "A1_ethanol", "kcal/mol", None),
    ("A3_silicon_best_model", "A3_silicon", "eV", None),
    ("B2_spk03_2a55afb.model", "B2_spk03_2a55afb", "kcal/mol", None),
    ("B3_spk101_ethanol_best_model", "B3_spk101_ethanol", "eV", None),
    ("C1_pyg_model.pt", "C1_pyg", "eV", None),
    ("C1_pyg_checkpoint.pt", "C1_pyg", "eV", None),
    ("C1_pyg_state_dict.pt", "C1_pyg", "eV", {"mean": -2.9, "std": 0.35, "readout": "add"}),
]


def reference(name: str):
    """Structures, energies, forces and stresses that the original code gave in float64."""
    data = np.load(PEERS / f"{name}_ref.npz")
    ends = np.cumsum(data["n_atoms"])
    for k, (begin, end) in enumerate(zip(ends - data["n_atoms"], ends, strict=True)):
        structure = Atoms(
            data["numbers"][begin:end],
            data["positions"][begin:end],
            cell=data["cell"][k],
            pbc=data["pbc"][k],
        )
        stress = data["stress"][k] if "stress" in data else None
        yield structure, data["energy"][k], data["forces"][begin:end], stress


@needs_peers
@pytest.mark.parametrize(("file", "name", "unit", "options"), CASES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_files_of_other_codes(file, name, unit, options, dtype):
    imported = read_foreign(PEERS / file, energy_unit=unit, options=options)
    assert imported.network.embedding.weight.dtype == torch.float32
    atol = (1e-6, 1e-6) if dtype == torch.float64 else (1e-5, 1e-4)
    for structure, energy, forces, stress in reference(name):
        found = evaluate(imported, structure, dtype)
        assert found[0] == pytest.approx(energy, abs=atol[0])
        np.testing.assert_allclose(found[1], forces, atol=atol[1])
        if stress is not None and structure.pbc.all():
            np.testing.assert_allclose(found[2], stress, atol=atol[0])


@needs_peers
@pytest.mark.parametrize("name", ["A1_ethanol", "A3_silicon"])
def test_deployed_models(name):
    """Like the model itself, but for the mean per atom, which deployment rounds to float32."""
    unit = "kcal/mol" if name == "A1_ethanol" else "eV"
    deployed = read_foreign(PEERS / f"{name}_deployed_model", energy_unit=unit)
    model = read_foreign(PEERS / f"{name}_best_model", energy_unit=unit)
    assert deployed.network.config == model.network.config
    torch.testing.assert_close(deployed.network.state_dict(), model.network.state_dict(), rtol=0, atol=0)
    assert abs(deployed.reference_energies[6] - model.reference_energies[6]) < 5e-5


@needs_peers
def test_model_of_schnetpack_02():
    imported = read_foreign(PEERS / "B1_spk02_241af77.model", energy_unit="kcal/mol")
    assert imported.source["format"] == "SchNetPack 0.2 pickle"
    config = imported.network.config
    assert (config.cutoff_function, config.cutoff, config.n_features, config.n_gaussians) == (
        "hard",
        5.0,
        128,
        25,
    )
    energies = [evaluate(imported, structure)[0] for structure, *_ in reference("A1_ethanol")][:5]
    np.testing.assert_allclose(energies, -4216.7, atol=0.6)
