"""What the shipped C20 model has to reach."""

import subprocess
import sys

import numpy as np
import pytest

from helpers import DATA, needs_data
from schnet_calc import SchNetCalculator
from schnet_calc.analysis import bonds, clusters
from schnet_calc.data import read_frames
from schnet_calc.folders import FolderInUseError
from schnet_calc.modelfile import load_potential
from schnet_calc.simulate.modes import normal_modes
from schnet_calc.simulate.relax import relax
from schnet_calc.studies.c20 import (
    BOND_GAP,
    LONGEST_BOND,
    N_STARTS,
    THESIS_FMAX,
    c20_reference,
    dodecahedron,
    study_c20,
)
from schnet_calc.studies.settings import C20Settings
from schnet_calc.training.evaluation import evaluate


@pytest.fixture(scope="module")
def relaxed():
    """C20 at the thesis's threshold, and its calculator."""
    calculator = SchNetCalculator("c20", device="cpu", dtype="float64")
    starts = []
    for seed in range(N_STARTS):
        start = dodecahedron()
        start.rattle(0.05, seed=seed)
        starts.append(relax(start, calculator, fmax=THESIS_FMAX, steps=2000))
    assert all(r.converged for r in starts)
    return min(starts, key=lambda r: r.energies[-1]).atoms, calculator


def test_three_classes_of_bonds(relaxed):
    atoms, _ = relaxed
    _, lengths = bonds(atoms, LONGEST_BOND)
    assert len(lengths) == 30
    groups = clusters(lengths, BOND_GAP)
    np.testing.assert_allclose([g.mean for g in groups], [1.41, 1.45, 1.52], atol=0.01)
    reference = c20_reference()
    known = np.repeat(reference["bond_lengths_ang"], reference["bond_counts"])
    np.testing.assert_allclose(np.sort(lengths), known, atol=0.01)


def test_frequencies(relaxed):
    modes = normal_modes(*relaxed)
    known = np.array(c20_reference()["frequencies_cm1"])
    high = known > 200
    assert modes.n_imaginary == 0
    np.testing.assert_allclose(modes.frequencies[high], known[high], rtol=0.02)
    np.testing.assert_allclose(modes.frequencies[~high], known[~high], atol=25)


def test_metadata_say_what_the_labels_are():
    training = load_potential("c20").metadata.training
    assert "surrogate" in training["data"]["theory"]
    assert training["command"].startswith("schnet-calc train")
    assert training["test_errors"]["n_frames"] == 6000


@needs_data
def test_errors_on_unseen_trajectories():
    """Every tenth frame of the last two of the ten trajectories; limits just above the card's figures."""
    frames = read_frames(DATA / "c20" / "c20_500K.npz").select(np.arange(24_000, 30_000, 10))
    errors = evaluate(SchNetCalculator("c20", device="cpu"), frames).errors.to_dict()
    assert errors["force_mae_kcal_mol_ang"] < 0.20
    assert errors["energy_mae_kcal_mol"] < 0.03


def test_two_studies_never_share_a_folder(tmp_path):
    code = "import sys, time; from schnet_calc.folders import locked\n"
    code += f"with locked({str(tmp_path)!r}): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderInUseError, match=f"process {holder.pid}"):
            study_c20(tmp_path, C20Settings(device="cpu"))
        holder.kill()
    assert not (tmp_path / "study.json").exists()
