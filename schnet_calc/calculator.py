"""A model file as an ASE calculator.

>>> from ase.build import molecule
>>> from schnet_calc import SchNetCalculator
>>> atoms = molecule("C60")[:20]
>>> atoms.calc = SchNetCalculator("c20")
>>> atoms.get_forces().shape
(20, 3)
"""

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
    external_calculators,
    register_calculator_class,
)
from ase.outputs import _defineprop, all_outputs
from numpy.typing import NDArray

from schnet_calc.engine import Prediction, make_engine
from schnet_calc.guard.guard import ExtrapolationGuard
from schnet_calc.modelfile.potential import Potential, load_model, shipped_models
from schnet_calc.structures.structure import Structure

Model = str | Path | Potential


class FreshCalculator(Calculator):
    """A calculator whose results are all of one evaluation: nothing old survives a failure."""

    _seen: Structure | None = None

    @property
    def atoms(self) -> ase.Atoms | None:
        """What the results are for: a copy of what matters to the energy, made when it is asked for.

        ASE's own calculators copy all of the atoms at every step, which takes as long as a small network.
        """
        return None if self._seen is None else self._seen.to_atoms()

    @atoms.setter
    def atoms(self, atoms: ase.Atoms | None) -> None:
        """Copy what matters of them."""
        self._seen = None if atoms is None else Structure.from_atoms(atoms)

    def check_state(self, atoms: ase.Atoms, tol: float = 0.0) -> list[str]:
        """What has changed since the last evaluation and matters to the energy, by exact comparison."""
        if self._seen is None:
            return list(all_changes)
        before, now = self._seen._asdict(), Structure.from_atoms(atoms)._asdict()
        return [name for name, array in now.items() if array.tobytes() != before[name].tobytes()]

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate; ASE calls this when a result is missing."""
        if atoms is not None:
            self.atoms = atoms
        if self._seen is None:
            raise ValueError("there are no atoms to evaluate: give some, or attach the calculator to them")
        self.results: dict[str, Any] = {}
        self.results = self._evaluated(self._seen)
        if "stress" in properties and "stress" not in self.results:
            raise PropertyNotImplementedError(
                "stress needs a structure that is periodic along all three directions"
            )

    @abstractmethod
    def _evaluated(self, structure: Structure) -> dict[str, Any]:
        """ASE's results for a structure."""


class SchNetCalculator(FreshCalculator):
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
    on_doubt : str or path
        What happens to structures outside of what the model knows: ``"warn"``, ``"ignore"``, ``"stop"``, or
        the name of an ``.extxyz`` file to write them to (see
        :class:`~schnet_calc.guard.guard.ExtrapolationGuard`).
    max_forces_std : float, optional
        eV/Å; disagreement of a committee about the force on an atom that is a reason for doubt.

    Raises
    ------
    FileNotFoundError, ModelFileError
        From :func:`~schnet_calc.modelfile.potential.load_model`.
    ValueError
        Unknown device, dtype, engine or ``on_doubt``; on evaluation, a structure that the model can't take.
    DoubtfulStructureError
        On evaluation, with ``on_doubt="stop"``.
    """

    name = "schnet"
    nolabel = True  # for ``ase run``: there are no files to label
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
        on_doubt: str | Path = "warn",
        max_forces_std: float | None = None,
    ) -> None:
        super().__init__()
        models = [model] if isinstance(model, Model) else list(model)
        self.potentials = [m if isinstance(m, Potential) else load_model(m) for m in models]
        self._settings: dict[str, Any] = {"device": device, "dtype": dtype, "engine": engine}
        self.engine = make_engine(self.potentials, **self._settings)
        self.guard = ExtrapolationGuard(self.potentials, on_doubt, max_forces_std)

    @property
    def potential(self) -> Potential:
        """The loaded model; the first of a committee."""
        return self.potentials[0]

    def _evaluated(self, structure: Structure) -> dict[str, Any]:
        return results_of(self._predict([structure])[0])

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
        return self._predict([Structure.from_atoms(atoms) for atoms in structures])

    def _predict(self, structures: Sequence[Structure]) -> list[Prediction]:
        predictions = self.engine.evaluate(structures)
        self.guard.check(structures, predictions)
        return predictions

    def hessian(self, atoms: ase.Atoms) -> NDArray[np.float64]:
        """(3N, 3N) second derivatives of the energy, in float64 whatever the calculator's type, eV/Å².

        The fused engine takes differences of its exact forces, all columns in one batch; the script engine
        differentiates automatically.

        Parameters
        ----------
        atoms : Atoms
            One structure.
        """
        engine = make_engine(self.potentials, **{**self._settings, "dtype": "float64"})
        return engine.hessian(Structure.from_atoms(atoms))

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """What makes this calculator, for ASE's databases and :meth:`fromdict`: plain values.

        Parameters
        ----------
        skip_default : bool
            Leave out what has its default value, as ASE's calculators do.

        Raises
        ------
        ValueError
            A model was not loaded from a file.
        """
        models = [_model_entry(potential) for potential in self.potentials]
        guard = {"on_doubt": str(self.guard.on_doubt), "max_forces_std": self.guard.max_forces_std}
        settings = {**self._settings, **guard}
        if skip_default:
            settings = {k: v for k, v in settings.items() if v != DEFAULTS[k]}
        return {"model": models, **settings}

    @classmethod
    def fromdict(cls, values: dict[str, Any]) -> "SchNetCalculator":
        """The calculator that :meth:`todict` describes.

        Raises
        ------
        FileNotFoundError
            A model is not there.
        ValueError
            A model has other weights than it had.
        """
        settings = dict(values)
        models = [load_model(entry["name"]) for entry in settings.pop("model")]
        for potential, entry in zip(models, values["model"], strict=True):
            if potential.sha256 != entry["sha256"]:
                raise ValueError(
                    f"{potential.path} has the weights {potential.sha256}, "
                    f"but {entry['name']!r} had {entry['sha256']}"
                )
        return cls(models, **settings)

    def __getstate__(self) -> dict[str, Any]:
        """Settings and results; engine and modules can't be pickled, the files are loaded again."""
        loaded = ("engine", "potentials", "guard")
        state = {k: v for k, v in self.__dict__.items() if k not in loaded}
        return {**state, "made_of": self.todict(), "doubtful": self.guard.count}

    def __setstate__(self, state: dict[str, Any]) -> None:
        again = SchNetCalculator.fromdict(state.pop("made_of"))
        self.engine, self.potentials, self.guard = again.engine, again.potentials, again.guard
        self.guard.count = state.pop("doubtful")
        self.__dict__.update(state)


DEFAULTS = {
    name: parameter.default for name, parameter in inspect.signature(SchNetCalculator).parameters.items()
}


def _model_entry(potential: Potential) -> dict[str, Any]:
    """Name and hash; shipped models by name, so that they are found on other machines, too."""
    if not potential.path:
        raise ValueError("a model that was not loaded from a file has no name to find it by: save it first")
    path = Path(potential.path)
    shipped = shipped_models().get(path.stem)
    name = path.stem if shipped is not None and shipped.resolve() == path else str(path)
    return {"name": name, "sha256": potential.sha256}


def results_of(prediction: Prediction) -> dict[str, Any]:
    """ASE's results of a prediction."""
    energy = prediction.energy
    results = {
        "energy": energy,
        "free_energy": energy,
        "energies": prediction.energies,
        "forces": np.ascontiguousarray(prediction.forces),
    }
    if prediction.volume > 0:
        results["stress"] = prediction.stress
    if prediction.members:
        results["energy_std"] = prediction.energy_std
        results["forces_std"] = prediction.forces_std
    return results


for name, shape in (("energy_std", ()), ("forces_std", ("natoms", 3))):
    if name not in all_outputs:  # else ASE's get_properties() refuses results that hold them
        _defineprop(name, float, shape=shape)
if SchNetCalculator.name not in external_calculators:
    register_calculator_class(SchNetCalculator.name, SchNetCalculator)
