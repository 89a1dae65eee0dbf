"""A model file as an ASE calculator.

>>> from ase.build import molecule
>>> from schnet_calc import SchNetCalculator
>>> atoms = molecule("C60")[:20]
>>> atoms.calc = SchNetCalculator("c20")
>>> atoms.get_forces().shape
(20, 3)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase
import numpy as np
import torch
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from numpy.typing import NDArray

from schnet_calc.engine import Engine, Prediction, ScriptEngine, make_engine
from schnet_calc.graph import Structure
from schnet_calc.potential import Potential, load_model


class SchNetCalculator(Calculator):
    """Energies, forces and stress of a SchNet, or of any TorchScript model with its contract.

    ===========  ==============  ===========================================================
    property     unit            meaning
    ===========  ==============  ===========================================================
    energy       eV              total energy, reference energies included
    free_energy  eV              the same: the model knows no electronic temperature
    energies     eV              of each atom, (N,)
    forces       eV/Å            (N, 3), the exact derivative of the energy
    stress       eV/Å³           (6,) in ASE's sign and order; periodic structures only
    ===========  ==============  ===========================================================

    Parameters
    ----------
    model : path, str or Potential
        A model file, the name of a shipped model such as ``"c20"``, or a loaded potential.
    device : str
        ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda[:N]"``.
    dtype : str, optional
        ``"float32"`` or ``"float64"`` of the evaluation; that of the file by default.
        Energies are summed, and reference energies added, in float64 either way.
    engine : str
        ``"fused"`` (fast, SchNet only), ``"script"`` (TorchScript and autograd, any model), or
        ``"auto"``.

    Raises
    ------
    FileNotFoundError, ModelFileError
        From :func:`~schnet_calc.potential.load_model`.
    ValueError
        Unknown device, dtype or engine; on evaluation, a structure that the model can't take.
    """

    name = "schnet"
    implemented_properties = [  # noqa: RUF012
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
    ]

    def __init__(
        self,
        model: str | Path | Potential,
        device: str = "auto",
        dtype: str | None = None,
        engine: str = "auto",
    ) -> None:
        super().__init__()
        if dtype not in (None, "float32", "float64"):
            raise ValueError(f"dtype is 'float32', 'float64' or None, got {dtype!r}")
        self.potential = model if isinstance(model, Potential) else load_model(model)
        self._settings = {"device": device, "dtype": dtype, "engine": engine}
        self.engine = self._make_engine()

    def _make_engine(self) -> Engine:
        dtype = self._settings["dtype"]
        return make_engine(
            self.potential,
            str(self._settings["engine"]),
            str(self._settings["device"]),
            getattr(torch, dtype) if dtype else None,
        )

    def check_state(self, atoms: ase.Atoms, tol: float = 0.0) -> list[str]:
        """What has changed since the last evaluation and matters to the energy, by exact comparison."""
        before = self.atoms
        if before is None or len(before) != len(atoms):
            return list(all_changes)
        pairs = {
            "positions": (before.positions, atoms.positions),
            "numbers": (before.numbers, atoms.numbers),
            "cell": (before.cell.array, atoms.cell.array),
            "pbc": (before.pbc, atoms.pbc),
        }
        return [name for name, (old, new) in pairs.items() if not np.array_equal(old, new)]

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate the model; ASE calls this when a result is missing."""
        super().calculate(atoms, list(properties), list(system_changes))
        prediction = self.engine.evaluate([Structure.from_atoms(self.atoms)])[0]
        self.results = results_of(prediction)
        if "stress" in properties and "stress" not in self.results:
            raise PropertyNotImplementedError(
                "stress needs a structure that is periodic along all three directions"
            )

    def evaluate(self, structures: Sequence[ase.Atoms]) -> list[Prediction]:
        """Evaluate several structures as one batch, without touching the cached results.

        Parameters
        ----------
        structures : sequence of Atoms
            Of any sizes.

        Returns
        -------
        list of Prediction
            In the same order, equal to what single calls give.
        """
        return self.engine.evaluate([Structure.from_atoms(atoms) for atoms in structures])

    def hessian(self, atoms: ase.Atoms) -> NDArray[np.float64]:
        """(3N, 3N) second derivatives of the energy by automatic differentiation in float64, eV/Å².

        Parameters
        ----------
        atoms : Atoms
            One structure.
        """
        oracle = ScriptEngine(self.potential, self.engine.device, torch.float64)
        return oracle.hessian(Structure.from_atoms(atoms))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the engine and the module, which can't be pickled: the file is loaded again."""
        state = self.__dict__.copy()
        del state["engine"]
        state["potential"] = self.potential.path
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.potential = load_model(state["potential"])
        self.engine = self._make_engine()


def results_of(prediction: Prediction) -> dict[str, Any]:
    """ASE's results of a prediction."""
    results = {
        "energy": prediction.energy,
        "free_energy": prediction.energy,
        "energies": prediction.energies,
        "forces": np.ascontiguousarray(prediction.forces),
    }
    if prediction.volume > 0:
        results["stress"] = prediction.stress
    return results
