"""Training on whatever labels there are."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
import torch

from helpers import ethanol
from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import load_potential
from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig, train

NETWORK = SchNetConfig(n_features=16, n_interactions=2, n_gaussians=16, cutoff=4.0)
TRAINING = TrainingConfig(
    steps=200, validate_every=100, n_validate=10, optimizer="adam", rho=0.01, learning_rate=5e-3, warmup=10
)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Ethanols with energies and forces of the shipped model, a made-up gap and a made-up dipole."""
    folder, teacher, frames = (
        tmp_path_factory.mktemp("labels"),
        SchNetCalculator("ethanol", on_doubt="ignore"),
        [],
    )
    for k in range(80):
        atoms = ethanol()
        atoms.rattle(0.05, seed=k)
        p = teacher.evaluate([atoms])[0]
        r = atoms.positions
        if k % 3:
            atoms.info["energy"] = p.energy
        if k % 3 != 1:
            atoms.arrays["forces"] = p.forces
        atoms.info["gap"] = 5.0 + float(np.linalg.norm(r[0] - r[1]))
        atoms.info["mu"] = r[2] - r[1]
        frames.append(atoms)
    ase.io.write(folder / "mixed.extxyz", frames)
    return folder


def run(folder, name, data, **model):
    options = {"file": str(folder / "mixed.extxyz"), "n_train": 50, "n_validation": 10, **data}
    config = RunConfig(DataConfig(**options), replace(NETWORK, **model), TRAINING)
    return train(config, folder / name), SchNetCalculator(folder / name / "model.pt", on_doubt="ignore")


def test_energies_here_and_forces_there(labelled):
    test, _ = run(labelled, "mixed", {})
    assert set(test.errors) == {"energy", "forces"}
    assert test.errors.force_mae_ev_ang < 0.7 * test.mean_predictor.force_mae_ev_ang


@pytest.mark.parametrize("cutoff_function", ["cosine", "none"])
def test_energies_alone(labelled, cutoff_function):
    data = {"properties": ("energy",)}
    test, calculator = run(labelled, f"energies_{cutoff_function}", data, cutoff_function=cutoff_function)
    assert set(test.errors) == {"energy"}
    assert np.isfinite(calculator.evaluate([ethanol()])[0].forces).all()


def test_forces_alone(labelled):
    test, _ = run(labelled, "forces", {"properties": ("forces",)})
    assert set(test.errors) == {"forces"}
    assert test.errors.force_mae_ev_ang < 0.7 * test.mean_predictor.force_mae_ev_ang


def test_a_number_with_mean_pooling_and_no_energy(labelled):
    data = {"properties": ("gap",), "scalars": ("gap:eV:mean",)}
    test, calculator = run(labelled, "gap", data)
    assert set(test.errors) == {"gap"}
    assert calculator.implemented_properties == ["gap"]
    atoms = ethanol()
    calculator.calculate(atoms, ["gap"])
    assert calculator.results == {"gap": pytest.approx(6.5, abs=0.3)}


def test_dipoles_beside_energies_and_forces(labelled):
    test, calculator = run(labelled, "dipole", {"dipole_key": "mu"})
    assert test.errors["dipole"].mae < 0.6 * test.mean_predictor["dipole"].mae
    atoms = ethanol()
    atoms.calc = calculator
    assert atoms.get_charges().sum() == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(atoms.get_dipole_moment(), atoms.get_charges() @ atoms.positions, atol=1e-5)


@pytest.mark.parametrize("start", ["model.pt", "checkpoint.safetensors"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_heads_that_both_have_come_along(labelled, start, reduction):
    data = DataConfig(
        str(labelled / "mixed.extxyz"), ("gap",), scalars=("gap:eV:mean",), n_train=50, n_validation=10
    )
    folder = labelled / f"{reduction}_{start}"
    train(RunConfig(data, NETWORK, replace(TRAINING, steps=20)), folder / "first")
    weights = load_potential(folder / "first" / "model.pt").weights
    changed = replace(
        data, properties=("energy", "gap", "dipole"), scalars=(f"gap:eV:{reduction}",), dipole_key="mu"
    )
    fresh = Run(RunConfig(changed, NETWORK, TRAINING), folder / "fresh").network.state_dict()
    training = replace(TRAINING, start_from=str(folder / "first" / start))
    new = "gap, dipole, energy" if reduction == "sum" else "dipole, energy"
    with pytest.warns(UserWarning, match=f"has nothing for {new}, which begins anew"):
        taken = Run(RunConfig(changed, NETWORK, training), folder / "second").network.state_dict()
    own = ("output", "heads.dipole.", *(("heads.gap.",) if reduction == "sum" else ()))
    for name, value in taken.items():
        torch.testing.assert_close(value, fresh[name] if name.startswith(own) else weights[name])


def test_a_head_without_a_label(labelled):
    with pytest.raises(
        ValueError, match=r"mixed.extxyz has no label for the head 'charge' that \[model\] asks"
    ):
        run(labelled, "none", {}, heads={"charge": "sum"})


def test_a_label_that_is_not_there(labelled):
    with pytest.raises(ValueError, match="has no 'dipole'; it has"):
        run(labelled, "none", {"properties": ("dipole",)})


def test_more_steps_after_the_end(labelled):
    test, _ = run(labelled, "more", {})
    config = RunConfig(
        DataConfig(str(labelled / "mixed.extxyz"), n_train=50, n_validation=10), NETWORK, TRAINING
    ).changed({"steps": 300})
    again = train(config, labelled / "more", resume=True)
    assert again.errors.force_mae_ev_ang < test.errors.force_mae_ev_ang
    with pytest.raises(ValueError, match="has 300 steps already"):
        train(config.changed({"steps": 100}), labelled / "more", resume=True)
