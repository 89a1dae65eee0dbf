"""Normal modes against what is known exactly."""

import ase
import numpy as np
import pytest
from ase import units
from ase.vibrations import Vibrations

from helpers import ethanol
from schnet_calc import SchNetCalculator
from schnet_calc.simulate.modes import normal_modes, rigid_motions
from schnet_calc.simulate.relax import relax
from schnet_calc.studies.c20 import dodecahedron


def test_modes_equal_finite_differences(c20, tmp_path):
    start = dodecahedron()
    start.rattle(0.05, seed=0)
    atoms = relax(start, c20, fmax=1e-5, steps=2000).atoms
    modes = normal_modes(atoms, c20)
    assert len(modes.frequencies) == 54
    assert modes.asymmetry < 1e-5
    assert modes.sum_rule < 1e-5
    atoms.calc = c20
    vibrations = Vibrations(atoms, delta=1e-3, name=str(tmp_path / "vib"), nfree=4)
    vibrations.run()
    numerical = np.real(vibrations.get_frequencies()[6:])
    np.testing.assert_allclose(modes.frequencies, numerical, atol=0.3)
    through_ase = np.real(modes.vibrations.get_frequencies())
    np.testing.assert_allclose(np.sort(through_ase)[6:], modes.frequencies, atol=1e-3)
    assert modes.zero_point_energy == pytest.approx(0.5 * modes.frequencies.sum() * units.invcm)


def test_modes_are_free_of_rigid_motion_and_orthonormal(c20):
    atoms = relax(dodecahedron(), c20, fmax=1e-3).atoms
    modes = normal_modes(atoms, c20)
    weighted = (modes.modes * np.sqrt(atoms.get_masses())[None, :, None]).reshape(54, 60)
    np.testing.assert_allclose(weighted @ weighted.T, np.eye(54), atol=1e-9)
    np.testing.assert_allclose(weighted @ rigid_motions(atoms).T, 0, atol=1e-8)


@pytest.mark.parametrize(
    ("atoms", "n_modes"),
    [
        (ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.2)]), 1),
        (ase.Atoms("OCO", [(0, 0, -1.2), (0, 0, 0), (0, 0, 1.2)]), 4),
        (ase.Atoms("OCO", [(0.5, 0, -1.0), (0, 0, 0), (0, 0, 1.2)]), 3),
    ],
)
def test_number_of_modes(models, atoms, n_modes):
    atoms.rotate(33, (1, 2, 3))
    modes = normal_modes(atoms, SchNetCalculator(models["float64"]))
    assert modes.frequencies.shape == (n_modes,)
    assert (np.diff(modes.frequencies) >= 0).all()


def test_imaginary_modes_are_negative(models):
    """A random surface has no minimum at ethanol: its Hessian's negative directions must show."""
    calculator = SchNetCalculator(models["float64"])
    modes = normal_modes(ethanol(), calculator)
    curvatures = np.linalg.eigvalsh(calculator.hessian(ethanol()))
    assert (modes.n_imaginary > 0) == (curvatures[0] < -1e-2)


def test_modes_refuse_what_has_none(models):
    calculator = SchNetCalculator(models["float64"])
    with pytest.raises(ValueError, match=r"ase\.phonons"):
        normal_modes(ase.Atoms("Si2", cell=[3, 3, 3], pbc=True), calculator)
    with pytest.raises(ValueError, match="at least two atoms, got 1"):
        normal_modes(ase.Atoms("C"), calculator)
