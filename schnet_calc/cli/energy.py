"""The command for a structure as it stands."""

from pathlib import Path
from typing import Any

from schnet_calc.cli.console import command_line, print_table, tell_doubts, write_json
from schnet_calc.cli.options import PreciseModelOptions, read

UNITS = {"energy": "_ev", "energies": "_ev", "energy_std": "_ev", "forces": "_ev_ang"}
UNITS |= {"forces_std": "_ev_ang", "stress": "_ev_ang3", "charges": "_e"}


def energy(structure: Path, *, model: PreciseModelOptions, json: Path | None = None) -> None:
    """Energy and forces of a structure as it stands, its stress and what else the model knows.

    Parameters
    ----------
    structure
        Any file that ASE reads.
    json
        Where to write the numbers: forces and grades of all atoms.
    """
    atoms = read(structure)
    calculator = model.calculator()
    (found,) = calculator.evaluate([atoms])
    known = calculator.implemented_properties
    results = {name: x for name, x in calculator.results_of(found).items() if name in known}
    print_table(f"{structure.name} as it stands", _rows(calculator.model, results))
    write_json(
        json, {"task": "energy", **calculator.todict(), **_plain(results), "command": command_line()}
    )
    tell_doubts(calculator)


def _plain(results: dict[str, Any]) -> dict[str, Any]:
    """Numbers and lists for JSON, with the units in the names of what ASE defines."""
    import numpy as np

    known = {name: x for name, x in results.items() if name != "free_energy"}
    return {name + UNITS.get(name, ""): np.asarray(x).tolist() for name, x in known.items()}


def _rows(model: Any, results: dict[str, Any]) -> dict[str, str]:
    """What a table says of ASE's results; arrays over atoms by their largest."""
    import numpy as np
    from ase.units import GPa

    rows = {}
    if model.has_energy:
        bar = f" ± {results['energy_std']:.4f}" if "energy_std" in results else ""
        largest = np.linalg.norm(results["forces"], axis=1).max()
        rows = {"energy": f"{results['energy']:.6f}{bar} eV", "largest force": f"{largest:.2e} eV/Å"}
    if "stress" in results:
        rows["stress"] = ", ".join(f"{x / GPa:.3f}" for x in results["stress"]) + " GPa (xx yy zz yz xz xy)"
    for name, unit in model.outputs.items():
        rows[name] = f"{', '.join(f'{x:.4f}' for x in np.atleast_1d(results[name]))} {unit}"
    if "grades" in results:
        grades = results["grades"]
        rows["largest grade"] = f"{grades.max():.2g}, of atom {grades.argmax()}; above 1 is outside"
    return rows
