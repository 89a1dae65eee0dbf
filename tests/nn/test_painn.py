"""The network of ``examples/painn``: it sees directions, and lives outside of the package."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule

from schnet_calc import SchNetCalculator
from schnet_calc.insight import distance_sensitivity
from schnet_calc.modelfile import save_model
from schnet_calc.nn import ARCHITECTURES, make_network, network_config

EXAMPLE = Path(__file__).parents[2] / "examples" / "painn"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(EXAMPLE)
    import painn  # noqa: F401 - registers itself

    config = network_config("PaiNN", {"n_features": 16, "n_interactions": 2, "cutoff": 4.0})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make_network(config).double()
    path = tmp_path_factory.mktemp("painn") / "painn.pt"
    save_model(path, network, {1: 0.0, 6: 0.0, 8: 0.0, 14: 0.0})
    yield path
    ARCHITECTURES.pop("PaiNN")
    patch.undo()


def test_it_is_one_short_file():
    assert len((EXAMPLE / "painn.py").read_text().splitlines()) <= 200


def test_energies_stay_and_forces_turn_with_a_molecule(model):
    atoms = molecule("CH3CH2OH")
    atoms.calc = SchNetCalculator(model, device="cpu")
    turned = atoms.copy()
    turned.rotate(37, (1, 2, 3))
    turned.calc = atoms.calc
    rotation = np.linalg.lstsq(atoms.positions, turned.positions, rcond=None)[0]
    forces = atoms.get_forces()
    assert turned.get_potential_energy() == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(turned.get_forces(), forces @ rotation, atol=1e-10)


def test_it_sees_angles(model):
    """Three atoms whose distances to the middle one are the same, beyond the cutoff from each other."""
    network = SchNetCalculator(model, device="cpu", engine="script").engine.module
    pairs = torch.tensor([[0, 0, 1, 2], [1, 2, 0, 0]])
    energies = []
    for angle in (1.5, 2.0):
        ends = 3.0 * torch.tensor([[1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0]])
        positions = torch.cat((torch.zeros(1, 3), ends)).double()
        rest = (torch.zeros(4, 3).double(), torch.zeros(3, dtype=torch.int64))
        energies.append(float(network(torch.tensor([6, 1, 1]), positions, pairs, *rest).sum()))
    assert abs(energies[1] - energies[0]) > 1e-6


def test_forces_and_stress_are_derivatives(model):
    atoms = bulk("Si", "diamond", 5.4, cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = SchNetCalculator(model, device="cpu")
    forces, stress, h = atoms.get_forces(), atoms.get_stress(voigt=False), 1e-4
    energies = []
    for step in (h, -h):
        moved = atoms.copy()
        moved.positions[3, 1] += step
        moved.calc = atoms.calc
        energies.append(moved.get_potential_energy())
    assert -(energies[0] - energies[1]) / (2 * h) == pytest.approx(forces[3, 1], abs=1e-6)
    energies = []
    for step in (h, -h):
        strained = atoms.copy()
        strain = np.eye(3)
        strain[0, 1] += step
        strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        strained.calc = atoms.calc
        energies.append(strained.get_potential_energy())
    slope = (energies[0] - energies[1]) / (2 * h) / atoms.get_volume()
    assert slope == pytest.approx(stress[0, 1], abs=1e-8)


def test_what_asks_for_distances_says_so(model):
    with pytest.raises(ValueError, match=r"looks into a DistanceNetwork, but .* is a PaiNN"):
        distance_sensitivity(model, ("C", "H"), np.linspace(1.0, 3.0, 4))


def installed(folder):
    """What pip leaves of ``examples/painn``: its entry point."""
    info = folder / "painn_for_schnet_calc-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: painn-for-schnet-calc\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[schnet_calc.networks]\nPaiNN = painn:PaiNN\n")
    return os.environ | {"PYTHONPATH": os.pathsep.join((str(folder), str(EXAMPLE)))}


def test_an_installed_network_is_known_by_name_and_imported_when_asked_for(tmp_path):
    code = (
        "import sys; from schnet_calc.nn.registry import ARCHITECTURES, network_config, architecture_of;"
        "assert 'PaiNN' in ARCHITECTURES and 'torch' not in sys.modules;"
        "assert architecture_of(network_config('DTNN', {})) == 'DTNN' and 'painn' not in sys.modules;"
        "print(architecture_of(network_config('PaiNN', {'n_features': 32})))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env=installed(tmp_path), capture_output=True, text=True
    )
    assert run.stdout == "PaiNN\n", run.stderr


@pytest.mark.slow
def test_the_command_line_trains_and_uses_it(tmp_path):
    """Trained, relaxed and run in MD, each by a process of its own that knows it by its entry point."""
    import ase.io

    frames, teacher = [], SchNetCalculator("ethanol", on_doubt="ignore")
    for k in range(30):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.03, seed=k)
        atoms.calc = teacher
        atoms.get_forces()
        frames.append(atoms)
    ase.io.write(tmp_path / "frames.extxyz", frames)
    ase.io.write(tmp_path / "start.xyz", molecule("CH3CH2OH"))
    environment = installed(tmp_path)
    for words in (
        "train --data frames.extxyz --architecture PaiNN --n-features 16 --steps 40 --validate-every 20 -o run",
        "relax start.xyz --model run/model.pt --steps 3 --fmax 1000 -o relaxed.xyz",
        "md relaxed.xyz --model run/model.pt --temperature 50 --time 0.01 -o md",
    ):
        command = [sys.executable, "-m", "schnet_calc.cli", *words.split()]
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert run.returncode in (0, 3), run.stderr
    assert (tmp_path / "md" / "md.json").is_file()
