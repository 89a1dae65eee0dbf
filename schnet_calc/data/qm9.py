"""QM9 from the package ``qm9pack``: 130,831 molecules with thirteen properties (thesis Table 4.2)."""

import csv
import io
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from schnet_calc.checks import check_choice
from schnet_calc.data.frames import Frames
from schnet_calc.data.properties import PROPERTIES, Property, scalar
from schnet_calc.errors import DataError

PARTS = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")
COLUMNS: dict[str, tuple[str, Property, str]] = {
    "energy": ("InternalEnergy_0K_au", PROPERTIES["energy"], "Hartree"),
    "u298": ("InternalEnergy_298K_au", scalar("u298", "Hartree"), "Hartree"),
    "h298": ("Enthalphy_298K_au", scalar("h298", "Hartree"), "Hartree"),
    "g298": ("GibbsFreeEnergy_298K_au", scalar("g298", "Hartree"), "Hartree"),
    "zpve": ("ZPVE_au", scalar("zpve", "Hartree"), "Hartree"),
    "homo": ("HOMO_au", scalar("homo", "Hartree", "mean"), "Hartree"),
    "lumo": ("LUMO_au", scalar("lumo", "Hartree", "mean"), "Hartree"),
    "gap": ("HOMO_LUMO_gap_au", scalar("gap", "Hartree", "mean"), "Hartree"),
    "cv": ("Heatcapacity_Cv_cal_mol_K", scalar("cv", "cal/mol/K"), "cal/mol/K"),
    "polarizability": ("Polarizability_bohr3", scalar("polarizability", "Bohr3"), "Bohr3"),
    "r2": ("R2_bohr2", scalar("r2", "Bohr2", "extent"), "Bohr2"),
    "dipole_length": ("Dipole_debye", PROPERTIES["dipole_length"], "Debye"),
}
"""Column, property and unit of each label; ``energy`` is U0."""
ENERGIES = ("energy", "u298", "h298", "g298")
"""What can be learned as an energy: U0, U, H and G."""
THEORY = "B3LYP/6-31G(2df,p)"


def is_qm9(path: Path) -> bool:
    """Return whether a name means QM9: ``qm9pack`` (installed), its wheel, or its folder of data."""
    return path.name == "qm9pack" or path.name.startswith("qm9pack-") or (path / PARTS[0]).is_file()


def read_qm9(path: Path, energy: str = "energy") -> Frames:
    """Read all molecules, in eV and Å, in the order of the package.

    Parameters
    ----------
    path : Path
        ``qm9pack`` for the installed package; its wheel; or its folder of data.
    energy : str
        One of :data:`ENERGIES`, which becomes the label ``energy``.

    Raises
    ------
    ValueError
        There is no such energy.
    FileNotFoundError
        There are no data.
    DataError
        A row is not as it should be.
    """
    check_choice("energy_key of QM9", energy, ENERGIES)
    numbers, positions, sizes = [], [], []
    values: dict[str, list[float]] = {name: [] for name in COLUMNS}
    for row in _rows(path):
        try:
            elements = [atomic_numbers[s] for s in _items(row["Elements"].replace("'", ""))]
            places = np.array(_items(row["XYZ_Ang"]), dtype=float).reshape(len(elements), 3)
            for name, (column, _, _) in COLUMNS.items():
                values[name].append(float(row[column]))
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(
                f"{path}: {row.get('XYZ_file')} is not as QM9's rows are ({error!r})"
            ) from error
        numbers += elements
        positions.append(places)
        sizes.append(len(elements))
    properties = {name: p for name, (_, p, _) in COLUMNS.items()}
    if energy != "energy":
        values["energy"] = values.pop(energy)
    return Frames(
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        numbers=np.array(numbers, dtype=np.int64),
        positions=np.concatenate(positions),
        cells=np.zeros((len(sizes), 3, 3)),
        pbc=np.zeros((len(sizes), 3), dtype=bool),
        labels={n: np.array(v) * properties[n].units[COLUMNS[n][2]] for n, v in values.items()},
        properties={**PROPERTIES, **properties},
        info={"name": "QM9", "theory": THEORY, "file": "qm9pack"},
    )


def _items(text: str) -> list[str]:
    """The items of a list of lists, written without spaces; numbers may end with a point."""
    return text.replace("[", "").replace("]", "").split(",")


def _rows(path: Path) -> Iterator[dict[str, str]]:
    if path.suffix == ".whl":
        if not path.is_file():
            raise FileNotFoundError(f"no wheel {path}")
        with zipfile.ZipFile(path) as wheel:
            for part in PARTS:
                with wheel.open(f"qm9pack/data/{part}") as stream:
                    yield from csv.DictReader(io.TextIOWrapper(stream, "utf-8"))
        return
    folder = _folder(path)
    for part in PARTS:
        with (folder / part).open(newline="") as stream:
            yield from csv.DictReader(stream)


def _folder(path: Path) -> Path:
    """Where the csv files are; the package is found, not imported: it needs pandas and more."""
    for candidate in (path, path / "data"):
        if (candidate / PARTS[0]).is_file():
            return candidate
    spec = find_spec("qm9pack")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("QM9's data are not here: pip install 'schnet-calc[qm9]'")
    return Path(spec.submodule_search_locations[0]) / "data"
