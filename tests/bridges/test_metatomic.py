"""Model files as metatomic's, driven by its ASE calculator: the numbers of this package."""

import warnings

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from helpers import ethanol, skewed_silicon, write_model
from schnet_calc import SchNetCalculator

pytest.importorskip("metatomic.torch", reason="metatomic-torch is not installed: extra [metatomic]")
ase_calculator = pytest.importorskip(
    "metatomic.torch.ase_calculator", reason="metatomic-ase is not installed"
)
pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit's and metatomic's own


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """Calculators of metatomic by the model's name."""
    folder = tmp_path_factory.mktemp("metatomic")

    def make(name, dtype="float64", **options):
        from schnet_calc.metatomic import export_metatomic

        path = folder / "model.pt"
        export_metatomic(name, path, dtype)
        return ase_calculator.MetatomicCalculator(str(path), **options)

    return make


def periodic_pair():
    """A crystal whose neighbours lie several cells away."""
    return bulk("Si") * (1, 1, 2)


@pytest.mark.parametrize(
    ("name", "atoms"),
    [
        ("silicon", skewed_silicon()),
        ("silicon", periodic_pair()),
        ("ethanol", ethanol()),
        ("ethanol_dtnn", ethanol()),
    ],
    ids=["sheared crystal", "two cells", "molecule", "dtnn"],
)
def test_energies_forces_and_stress(driven, name, atoms):
    theirs, ours = atoms.copy(), atoms.copy()
    theirs.calc = driven(name)
    ours.calc = SchNetCalculator(name, device="cpu", dtype="float64", engine="script", on_doubt="ignore")
    assert theirs.get_potential_energy() == pytest.approx(ours.get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(theirs.get_forces(), ours.get_forces(), atol=1e-6)
    if atoms.pbc.all():
        np.testing.assert_allclose(theirs.get_stress(), ours.get_stress(), atol=1e-8)


def test_all_pairs_of_a_molecule(driven, tmp_path):
    path = write_model(tmp_path / "m.pt", cutoff_function="none")
    theirs, ours = ethanol(), ethanol()
    theirs.calc, ours.calc = driven(path), SchNetCalculator(path, engine="script")
    assert theirs.get_potential_energy() == pytest.approx(ours.get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(theirs.get_forces(), ours.get_forces(), atol=1e-6)


def test_energies_of_atoms_and_of_chosen_ones(tmp_path):
    from metatensor.torch import Labels
    from metatomic.torch import ModelEvaluationOptions, ModelOutput, systems_to_torch

    from schnet_calc.metatomic import export_metatomic

    exported = export_metatomic("ethanol", tmp_path / "m.pt")
    atoms = ethanol()
    expected = SchNetCalculator("ethanol", dtype="float64", engine="script", on_doubt="ignore")
    energies = expected.evaluate([atoms])[0].energies
    system = systems_to_torch(atoms, dtype=torch.float64)
    for wanted in exported.requested_neighbor_lists():
        ase_calculator_lists(system, wanted, atoms)
    chosen = Labels(["system", "atom"], torch.tensor([[0, 1], [0, 4]], dtype=torch.int32))
    for kind, selected, known in (
        ("atom", None, energies),
        ("atom", chosen, energies[[1, 4]]),
        ("system", chosen, energies[[1, 4]].sum(keepdims=True)),
    ):
        outputs = {"energy": ModelOutput(unit="eV", sample_kind=kind)}
        options = ModelEvaluationOptions(length_unit="angstrom", outputs=outputs, selected_atoms=selected)
        found = exported([system], options, check_consistency=True)["energy"].block().values
        np.testing.assert_allclose(found.detach().numpy().ravel(), known, atol=1e-6)


@pytest.mark.parametrize(("name", "atoms"), [("ethanol", ethanol()), ("silicon", skewed_silicon())])
def test_uncertainties_are_the_error_bars(driven, name, atoms):
    from metatomic.torch import ModelOutput

    ours = SchNetCalculator(name, device="cpu", dtype="float64", engine="script", on_doubt="warn")
    (found,) = ours.evaluate([atoms])
    wanted = {"energy_uncertainty": ModelOutput(unit="eV", sample_kind="system")}
    theirs = driven(name, additional_outputs=wanted, uncertainty_threshold=None)
    theirs.get_potential_energy(atoms)
    (bar,) = theirs.additional_outputs["energy_uncertainty"].block().values.detach().numpy().ravel()
    assert bar == pytest.approx(found.energy_std, rel=1e-5)


def test_their_calculator_warns_of_uncertain_atoms(driven):
    atoms, strange = ethanol(), ethanol()
    strange.positions[0] += [0.4, 0.0, 0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        driven("ethanol").get_potential_energy(atoms)
    with pytest.warns(UserWarning, match="uncertainties are larger than the threshold"):
        driven("ethanol", uncertainty_threshold=0.02).get_potential_energy(strange)


def test_without_error_bars_there_is_no_uncertainty(tmp_path):
    from schnet_calc.metatomic import export_metatomic

    outputs = (
        export_metatomic(str(write_model(tmp_path / "plain.pt")), tmp_path / "m.pt").capabilities().outputs
    )
    assert list(outputs) == ["energy"]


def ase_calculator_lists(system, wanted, atoms):
    """Give a system its list of pairs."""
    from ase.neighborlist import neighbor_list
    from metatensor.torch import Labels, TensorBlock

    i, j, images, vectors = neighbor_list("ijSD", atoms, wanted.cutoff)
    names = ["first_atom", "second_atom", "cell_shift_a", "cell_shift_b", "cell_shift_c"]
    samples = torch.tensor(np.column_stack([i, j, images]), dtype=torch.int32)
    components = [Labels(["xyz"], torch.arange(3, dtype=torch.int32)[:, None])]
    properties = Labels(["distance"], torch.zeros(1, 1, dtype=torch.int32))
    values = torch.tensor(vectors)[:, :, None]
    system.add_neighbor_list(wanted, TensorBlock(values, Labels(names, samples), components, properties))


def test_what_can_not_be_written_is_named(tmp_path):
    from schnet_calc.metatomic import export_metatomic

    with pytest.raises(ValueError, match="no network of this package with an energy"):
        export_metatomic("qm9_dipole", tmp_path / "m.pt")
    mean = write_model(tmp_path / "mean.pt", pooling="mean")
    with pytest.raises(ValueError, match="averages over atoms"):
        export_metatomic(mean, tmp_path / "m.pt")
    with pytest.raises(ValueError, match="dtype is float32 or float64"):
        export_metatomic("ethanol", tmp_path / "m.pt", "half")


def test_the_command(driven, run, tmp_path):
    path = tmp_path / "m.pt"
    code, out, err = run("export", "silicon", "--metatomic", "-o", str(path))
    assert code == 0, err
    assert "metatomic's file in" in out
    atoms = molecule("SiH4")[:1]
    atoms.calc = ase_calculator.MetatomicCalculator(str(path))
    assert np.isfinite(atoms.get_potential_energy())
