"""Harmonic modes, intensities and what follows from them."""

from functools import cache
from tempfile import TemporaryDirectory

import numpy as np
from ase import units
from ase.build import molecule
from ase.vibrations import Infrared, Vibrations

from schnet_calc import SchNetCalculator
from schnet_calc.analysis.bonding import bonds
from schnet_calc.analysis.molecules import dodecahedron
from schnet_calc.references.table import reference_calculator
from schnet_calc.simulate.infrared import infrared_intensities, set_isotopes
from schnet_calc.simulate.modes import NormalModes, normal_modes
from schnet_calc.simulate.relax import relax
from schnet_calc.simulate.thermochemistry import thermochemistry
from schnet_calc.studies.c20 import THESIS_FMAX, c20_reference
from verification import row

SECTION = "Modes, intensities, thermochemistry"


@cache
def _relaxed_c20():
    """The calculator, and the lowest minimum of three starts: two of five end in another one."""
    calculator = SchNetCalculator("c20", device="cpu", dtype="float64")
    starts = [dodecahedron() for _ in range(3)]
    for seed, start in enumerate(starts):
        start.rattle(0.05, seed=seed)
    found = [relax(start, calculator, THESIS_FMAX, 2000) for start in starts]
    return calculator, min(found, key=lambda r: r.energies[-1]).atoms


@cache
def _c20():
    calculator, atoms = _relaxed_c20()
    modes = normal_modes(atoms, calculator)
    atoms.calc = calculator
    with TemporaryDirectory() as folder:
        vibrations = Vibrations(atoms, delta=1e-3, name=f"{folder}/vib", nfree=4)
        vibrations.run()
        return modes, np.real(vibrations.get_frequencies()[6:])


@row(SECTION, "frequencies of C20", "ASE, differences of forces", tolerance=0.3, unit="cm⁻¹", slow=True)
def frequencies():
    modes, theirs = _c20()
    return modes.frequencies, theirs


@row(
    SECTION, "zero-point energy of C20", "ASE, differences of forces", tolerance=1e-4, unit="eV", slow=True
)
def zero_point_energy():
    modes, theirs = _c20()
    return modes.zero_point_energy, 0.5 * theirs.sum() * units.invcm


@cache
def _h2co():
    calculator = SchNetCalculator("h2co", device="cpu", dtype="float64")
    atoms = relax(molecule("H2CO"), calculator, fmax=1e-5).atoms
    return calculator, atoms, normal_modes(atoms, calculator)


@row(SECTION, "frequencies of H2CO", "ASE, differences of forces", tolerance=0.05, unit="cm⁻¹")
def formaldehyde():
    calculator, atoms, modes = _h2co()
    moving = atoms.copy()
    moving.calc = calculator
    with TemporaryDirectory() as folder:
        vibrations = Vibrations(moving, delta=1e-3, name=f"{folder}/vib", nfree=4)
        vibrations.run()
        return modes.frequencies, np.real(vibrations.get_frequencies()[6:])


@row(
    SECTION,
    "infrared intensities of H2CO",
    "ASE, differences of dipoles",
    tolerance=0.02,
    unit="km/mol",
    slow=True,
)
def intensities():
    calculator, atoms, modes = _h2co()
    moving = atoms.copy()
    moving.calc = calculator
    with TemporaryDirectory() as folder:
        infrared = Infrared(moving, name=f"{folder}/ir", delta=0.002, nfree=4)
        infrared.run()
        infrared.read()
    return infrared_intensities(modes, calculator.model), infrared.intensities[-6:] * 42.2561


@row(
    SECTION,
    "frequencies of D2CO over H2CO: product of the ratios",
    "Teller and Redlich's rule",
    tolerance=1e-4,
)
def product_rule():
    """Of all modes: masses, total mass and moments of inertia alone."""
    calculator, atoms, modes = _h2co()
    heavy = atoms.copy()
    set_isotopes(heavy, {"H": 2.0141})
    ours = np.prod(normal_modes(heavy, calculator).frequencies / modes.frequencies)
    m, d = atoms.get_masses(), heavy.get_masses()
    squares = np.prod(m / d) ** 3 * (d.sum() / m.sum()) ** 3
    squares *= np.prod(heavy.get_moments_of_inertia() / atoms.get_moments_of_inertia())
    return ours, np.sqrt(squares)


@row(
    SECTION,
    "angle H-C-H, lengths C=O and C-H of relaxed H2CO",
    "measured equilibrium (116.5°, 1.203 and 1.099 Å), 1.5 %",
    tolerance=0.015,
    relative=True,
    unit="°, Å",
)
def geometry():
    _, atoms, _ = _h2co()
    c, o = (list(atoms.symbols).index(s) for s in "CO")
    h, i = (k for k, s in enumerate(atoms.symbols) if s == "H")
    return [atoms.get_angle(h, c, i), atoms.get_distance(c, o), atoms.get_distance(c, h)], [
        116.5,
        1.203,
        1.099,
    ]


@row(SECTION, "entropy of H2CO, 298.15 K, 1 bar", "JANAF tables", tolerance=0.6, unit="J/mol/K")
def entropy():
    return thermochemistry(_h2co()[2], 0.0, 298.15, 1e5).entropy_j, 218.95


MEASURED = {
    "H2O": ([1595, 3657, 3756], 188.83),
    "CO2": ([667, 667, 1333, 2349], 213.79),
    "HCN": ([712, 712, 2089, 3312], 201.83),
    "NH3": ([950, 1627, 1627, 3337, 3444, 3444], 192.77),
    "CH4": ([1306] * 3 + [1534] * 2 + [2917] + [3019] * 3, 186.25),
}
"""Fundamentals, cm⁻¹, and entropies at 298.15 K and 1 bar, J/mol/K, of the JANAF tables."""


def known_by_frequencies(name: str) -> NormalModes:
    """A molecule with given frequencies, and nothing else that thermochemistry needs."""
    atoms, frequencies = molecule(name), np.array(MEASURED[name][0], dtype=float)
    if name == "CH4":  # PySCF finds groups of what is symmetric to the last digits
        atoms.positions[1:] = (
            1.0912 / np.sqrt(3) * np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]])
        )
    if name == "NH3":
        angles = 2 * np.pi / 3 * np.arange(3)
        atoms.positions[1:] = np.column_stack(
            [0.94 * np.cos(angles), 0.94 * np.sin(angles), np.full(3, -0.27)]
        )
        atoms.positions[0] = [0, 0, 0.12]
    size = 3 * len(atoms)
    empty = np.zeros((len(frequencies), len(atoms), 3))
    return NormalModes(atoms, np.zeros((size, size)), frequencies, empty, 0.0, 0.0, 0.0)


@row(
    SECTION,
    "entropies of H2O, CO2, HCN, NH3, CH4 from measured frequencies, 1 bar",
    "JANAF tables",
    tolerance=0.6,
    unit="J/mol/K",
)
def entropies():
    ours = [thermochemistry(known_by_frequencies(n), 0.0, 298.15, 1e5).entropy_j for n in MEASURED]
    return ours, [entropy for _, entropy in MEASURED.values()]


@row(
    SECTION,
    "entropy and Gibbs energy of H2O, CO2, HCN, NH3, CH4, 300 K, 1 atm",
    "PySCF's thermo",
    tolerance=2e-5,
    relative=True,
    unit="eV/K, eV",
    needs=("pyscf",),
)
def pyscf_thermo():
    from pyscf import gto, scf
    from pyscf.hessian import thermo

    ours, theirs = [], []
    for name in MEASURED:
        modes = known_by_frequencies(name)
        found = thermochemistry(modes, 0.0, 300.0, 101325.0)
        ours += [found.entropy, found.gibbs]
        geometry = list(zip(modes.atoms.symbols, modes.atoms.positions.tolist(), strict=True))
        field = scf.RHF(gto.M(atom=geometry, basis="sto-3g", symmetry=True, verbose=0))
        field.e_tot = 0.0
        per_unit = np.sqrt(units.Hartree * units._e / units._amu) / (units.Bohr * 1e-10) / (2.0 * np.pi)
        au = modes.frequencies * 100.0 * units._c / per_unit
        values = thermo.thermo(field, au, 300.0, 101325.0)
        theirs += [values["S_tot"][0] * units.Hartree, values["G_tot"][0] * units.Hartree]
    return ours, theirs


@row(
    SECTION,
    "frequencies of H2O, Hartree-Fock, through PySCF's forces",
    "PySCF's analytic Hessian",
    tolerance=1.0,
    unit="cm⁻¹",
    slow=True,
    needs=("pyscf",),
)
def pyscf_modes():
    from pyscf import gto, scf
    from pyscf.hessian import thermo

    calculator = reference_calculator("HF/STO-3G")
    atoms = relax(molecule("H2O"), calculator, fmax=1e-4).atoms
    ours = normal_modes(atoms, calculator).frequencies
    geometry = list(zip(atoms.symbols, atoms.positions.tolist(), strict=True))
    field = scf.RHF(gto.M(atom=geometry, basis="sto-3g", verbose=0)).run(conv_tol=1e-12)
    found = thermo.harmonic_analysis(field.mol, field.Hessian().kernel())
    return ours, np.sort(np.real(found["freq_wavenumber"]))


@row(
    SECTION,
    "30 bonds of C20 in three kinds, relaxed as in the thesis",
    "the authors' force model",
    tolerance=2e-3,
    unit="Å",
    slow=True,
)
def c20_bonds():
    reference, (_, atoms) = c20_reference(), _relaxed_c20()
    theirs = np.repeat(reference["bond_lengths_ang"], reference["bond_counts"])
    return np.sort(bonds(atoms, 1.75)[1]), np.sort(theirs)


@row(
    SECTION,
    "frequencies of C20 above 200 cm⁻¹",
    "the authors' force model",
    tolerance=0.005,
    relative=True,
    unit="cm⁻¹",
    slow=True,
)
def c20_frequencies():
    known = np.array(c20_reference()["frequencies_cm1"])
    return _c20()[0].frequencies[known > 200], known[known > 200]
