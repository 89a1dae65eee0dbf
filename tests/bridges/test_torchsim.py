"""Model files in TorchSim: its own checks, and the numbers of this package."""

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE
from ase.stress import voigt_6_to_full_3x3_stress

from helpers import ethanol, rattled, skewed_silicon, write_model
from schnet_calc import SchNetCalculator
from schnet_calc.errors import BadStructureError

ts = pytest.importorskip("torch_sim", reason="torch-sim-atomistic is not installed: extra [torchsim]")
pytestmark = pytest.mark.filterwarnings("ignore")  # TorchSim's own, and those of torch.jit.script in it
CPU = torch.device("cpu")


def model(name, **options):
    from schnet_calc.torchsim import SchNetModel

    return SchNetModel(name, device="cpu", **options)


def state(*images: ase.Atoms):
    return ts.io.atoms_to_state(list(images), CPU, torch.float64)


def calculator(name):
    return SchNetCalculator(name, device="cpu", dtype="float64", on_doubt="ignore", engine="script")


def test_torchsim_accepts_it(tmp_path):
    from torch_sim.models.interface import validate_model_outputs

    from schnet_calc.modelfile import load_potential, save_model

    found = load_potential(write_model(tmp_path / "m.pt"))
    save_model(tmp_path / "fe.pt", found.network(), {14: -7872.4, 26: -34000.0})
    validate_model_outputs(model(tmp_path / "fe.pt"), CPU, torch.float64)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("silicon", [skewed_silicon(), *rattled(bulk("Si", cubic=True), 2)]),
        ("ethanol", rattled(molecule("CH3CH2OH"), 3)),
        ("ethanol_dtnn", rattled(molecule("CH3CH2OH"), 2)),
    ],
)
def test_a_batch_says_what_the_calculator_says(name, images):
    batch = state(*images)
    found, calc = model(name)(batch), calculator(name)
    for k, expected in enumerate(calc.evaluate(images)):
        own = batch.system_idx == k
        assert found["energy"][k].item() == pytest.approx(expected.energy, abs=1e-6)
        np.testing.assert_allclose(found["forces"][own].numpy(), expected.forces, atol=1e-6)
        full = voigt_6_to_full_3x3_stress(expected.stress) if expected.volume else np.zeros((3, 3))
        np.testing.assert_allclose(found["stress"][k].numpy(), full, atol=1e-7)


@pytest.mark.parametrize(
    ("cutoff_function", "pooling"), [("none", "sum"), ("none", "mean"), ("cosine", "mean")]
)
def test_networks_of_other_kinds(tmp_path, cutoff_function, pooling):
    path = write_model(tmp_path / "m.pt", cutoff_function=cutoff_function, pooling=pooling)
    images = [ethanol(), molecule("CO")]
    found = model(path)(state(*images))["energy"].tolist()
    assert found == pytest.approx([p.energy for p in calculator(path).evaluate(images)], abs=1e-6)


def test_fire_goes_to_the_same_minimum():
    images = rattled(molecule("CH3CH2OH"), 2, amplitude=0.05)
    done = ts.optimize(
        system=images,
        model=model("ethanol"),
        optimizer=ts.optimizers.fire,
        convergence_fn=ts.generate_force_convergence_fn(force_tol=5e-3, include_cell_forces=False),
        max_steps=300,
    )
    ours = images[0].copy()
    ours.calc = calculator("ethanol")
    FIRE(ours, logfile=None).run(fmax=5e-3, steps=300)
    assert done.energy[0].item() == pytest.approx(ours.get_potential_energy(), abs=2e-4)


def test_a_trajectory_side_by_side():
    """NVE from the same positions and momenta."""
    atoms = rattled(bulk("Si", cubic=True), 1)[0]
    steps, fs = 20, ase.units.fs
    engine = model("silicon")
    start, step = ts.nve(
        model=engine, dt=torch.tensor(1e-3, dtype=torch.float64) * ts.units.MetalUnits.time, kT=0.025
    )
    moving = start(state(atoms), seed=1)
    ours = atoms.copy()
    ours.set_momenta(moving.momenta.numpy())
    ours.calc = calculator("silicon")
    dynamics = VelocityVerlet(ours, 1.0 * fs)
    for _ in range(steps):
        moving = step(moving)
    dynamics.run(steps)
    apart = (moving.positions.numpy() - ours.positions) / atoms.cell.lengths()  # TorchSim wraps them
    np.testing.assert_allclose(apart - np.round(apart), 0.0, atol=1e-7)
    assert moving.energy[0].item() == pytest.approx(ours.get_potential_energy(), abs=1e-5)


@pytest.mark.parametrize("integrator", ["nvt_langevin", "npt_langevin"])
def test_thermostats_and_barostats_run(integrator):
    done = ts.integrate(
        system=[bulk("Si", cubic=True)] * 2,
        model=model("silicon"),
        integrator=getattr(ts, integrator),
        n_steps=5,
        temperature=300,
        timestep=0.001,
        **({"external_pressure": torch.tensor(0.0, dtype=torch.float64)} if "npt" in integrator else {}),
    )
    assert torch.isfinite(done.energy).all()
    assert 0 < len(done.energy) == 2


def test_what_the_model_does_not_know_is_named():
    with pytest.raises(BadStructureError, match=r"knows the elements \[14\], not \[6\]"):
        model("silicon")(state(bulk("C")))
    with pytest.raises(ValueError, match="no network of this package with an energy"):
        model("qm9_dipole")
