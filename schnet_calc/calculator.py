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

from schnet_calc.engine import Committee, Engine, Prediction, ScriptEngine, make_engine
from schnet_calc.graph import Structure
from schnet_calc.potential import Potential, load_model

Model = str | Path | Potential


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

    Several models make a committee: the properties are means over its members, and ``results`` has
    ``energy_std`` (eV) and ``forces_std`` (N, 3) (eV/Å) too, their standard deviations.

    Parameters
    ----------
    model : path, str or Potential, or a list of them
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
        model: Model | Sequence[Model],
        device: str = "auto",
        dtype: str | None = None,
        engine: str = "auto",
    ) -> None:
        super().__init__()
        models = [model] if isinstance(model, Model) else list(model)
        self.potentials = [m if isinstance(m, Potential) else load_model(m) for m in models]
        self._settings: dict[str, Any] = {"device": device, "dtype": dtype, "engine": engine}
        self.engine = self._make_engine()

    @property
    def potential(self) -> Potential:
        """The loaded model; the first of a committee."""
        return self.potentials[0]

    def _make_engine(self) -> Engine | Committee:
        return make_engine(self.potentials, **self._settings)

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
        structure = Structure.from_atoms(atoms)
        oracles = [ScriptEngine(p, self.engine.device, torch.float64) for p in self.potentials]
        return np.asarray(np.mean([oracle.hessian(structure) for oracle in oracles], axis=0))

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the engine and the module, which can't be pickled: the file is loaded again."""
        state = self.__dict__.copy()
        del state["engine"]
        state["potentials"] = [p.path for p in self.potentials]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.potentials = [load_model(path) for path in state["potentials"]]
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
    if prediction.members:
        results["energy_std"] = prediction.energy_std
        results["forces_std"] = prediction.forces_std
    return results
