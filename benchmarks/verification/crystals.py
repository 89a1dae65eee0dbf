"""Crystals: equation of state, elastic constants, phonons."""

from functools import cache

import ase
import numpy as np
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.elasticity import elastic_averages, elastic_constants
from schnet_calc.simulate.crystal import equation_of_state
from schnet_calc.simulate.phonons import phonon_frequencies
from schnet_calc.simulate.relax import relax
from verification import row

SECTION = "Crystals"
POINTS = np.array(
    [[0.5, 0, 0.5], [0.5, 0.5, 0.5], [3 / 8, 3 / 8, 3 / 4], [5 / 8, 1 / 4, 5 / 8], [0.1, 0.2, 0.3]]
)
"""X, L, K, U of the face-centred lattice, and somewhere."""


@cache
def silicon():
    """The shipped model's calculator, and its relaxed primitive cell."""
    calculator = SchNetCalculator("silicon", device="cpu", dtype="float64")
    return calculator, relax(bulk("Si", a=5.4), calculator, 1e-5, cell=True).atoms


def phonopy_frequencies(crystal, calculator, repeats, q):
    """Frequencies, cm⁻¹, of phonopy with forces of a calculator in a supercell."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        symbols=crystal.get_chemical_symbols(),
        cell=crystal.cell.array,
        scaled_positions=crystal.get_scaled_positions(),
        masses=crystal.get_masses(),
    )
    phonons = Phonopy(cell, supercell_matrix=np.diag(3 * [repeats]), log_level=0)
    phonons.generate_displacements(distance=0.01, is_plusminus=True)
    forces = []
    for moved in phonons.supercells_with_displacements:
        atoms = ase.Atoms(moved.symbols, cell=moved.cell, scaled_positions=moved.scaled_positions, pbc=True)
        atoms.calc = calculator
        forces.append(atoms.get_forces())
    phonons.forces = forces
    phonons.produce_force_constants()
    phonons.symmetrize_force_constants()
    phonons.run_qpoints(q)
    return phonons.qpoints.frequencies * 1e12 / (units._c * 100.0)


@row(
    SECTION,
    "phonons of silicon at X, L, K, U and between",
    "phonopy, the same 4 × 4 × 4 supercell",
    tolerance=0.05,
    unit="cm⁻¹",
    slow=True,
    needs=("phonopy",),
)
def phonons():
    calculator, crystal = silicon()
    ours = phonon_frequencies(crystal, calculator, (4, 4, 4), POINTS)
    return ours, phonopy_frequencies(crystal, calculator, 4, POINTS)


@row(
    SECTION,
    "phonons of silicon at K, where it isn't exact",
    "U, the same by symmetry",
    tolerance=1e-3,
    unit="cm⁻¹",
    slow=True,
)
def same_corners():
    calculator, crystal = silicon()
    return tuple(phonon_frequencies(crystal, calculator, (4, 4, 4), POINTS[2:4]))


@row(
    SECTION,
    "optical phonon of silicon at Γ",
    "second derivative of the energy in the primitive cell",
    tolerance=0.1,
    unit="cm⁻¹",
)
def optical():
    calculator, crystal = silicon()
    atoms, energies = crystal.copy(), []
    atoms.calc = calculator
    for shift in (-0.01, 0.0, 0.01):
        atoms.positions[1] = crystal.positions[1] + [shift, 0.0, 0.0]
        energies.append(atoms.get_potential_energy())
    constant = (energies[0] - 2 * energies[1] + energies[2]) / 0.01**2
    reduced = 0.5 * atoms.get_masses()[0]
    theirs = np.sqrt(constant / reduced) / (2 * np.pi) * units.s / (units._c * 100.0)
    return phonon_frequencies(crystal, calculator, (2, 2, 2), np.zeros((1, 3)))[0, 3:], np.full(3, theirs)


@row(
    SECTION,
    "bulk modulus of silicon by volumes",
    "(C11 + 2 C12) / 3",
    tolerance=2e-3,
    relative=True,
    unit="GPa",
)
def bulk_modulus():
    calculator, crystal = silicon()
    theirs = elastic_averages(elastic_constants(crystal, calculator)).hydrostatic / units.GPa
    return equation_of_state(crystal, calculator)[2], theirs


@row(
    SECTION,
    "bulk modulus of tetragonal CuAu by volumes (ASE's EMT)",
    "compliances, 1 / Σ S_ij",
    tolerance=5e-3,
    relative=True,
    unit="GPa",
    slow=True,
)
def tetragonal():
    alloy = ase.Atoms("CuAu", cell=[2.75, 2.75, 3.6], scaled_positions=[[0, 0, 0], [0.5] * 3], pbc=True)
    alloy = relax(alloy * (2, 2, 1), EMT(), 1e-5, cell=True).atoms
    constants = elastic_constants(alloy, EMT()) / units.GPa
    return equation_of_state(alloy, EMT(), fmax=1e-5)[2], 1.0 / np.linalg.inv(constants)[:3, :3].sum()


@row(
    SECTION,
    "elastic constants of a Lennard-Jones crystal",
    "lattice sums of the pair potential's derivatives",
    tolerance=1e-3,
    relative=True,
    unit="ε/σ³",
    slow=True,
)
def lattice_sums():
    """C_ijkl = (1 / 2V) Σ (φ'' - φ' / r) r_i r_j r_k r_l / r², at zero pressure."""
    calculator = LennardJones(sigma=1.0, epsilon=1.0, rc=6.0, ro=5.9, smooth=False)
    crystal = relax(bulk("Ar", a=1.55), calculator, 1e-7, cell=True).atoms
    ours = elastic_constants(crystal, calculator, fmax=1e-7)
    n = np.stack(np.meshgrid(*3 * [np.arange(-12, 13)], indexing="ij"), -1).reshape(-1, 3)
    vectors = n @ crystal.cell.array
    r = np.linalg.norm(vectors, axis=1)
    vectors, r = vectors[(r > 0.1) & (r < 6.0)], r[(r > 0.1) & (r < 6.0)]
    first = 4.0 * (-12.0 * r**-13 + 6.0 * r**-7)
    second = 4.0 * (156.0 * r**-14 - 42.0 * r**-8)
    weight = (second - first / r) / r**2 / (2.0 * crystal.get_volume())
    x, y = vectors[:, 0], vectors[:, 1]
    theirs = [(weight * x**4).sum(), (weight * x**2 * y**2).sum(), (weight * x**2 * y**2).sum()]
    return [ours[0, 0], ours[0, 1], ours[3, 3]], theirs
