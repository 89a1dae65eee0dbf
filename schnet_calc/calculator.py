"""A model file as an ASE calculator.

>>> from ase.build import molecule
>>> from schnet_calc import SchNetCalculator
>>> atoms = molecule("C60")[:20]
>>> atoms.calc = SchNetCalculator("c20")
>>> atoms.get_forces().shape
(20, 3)
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import (
    Calculator,
    Parameters,
    PropertyNotImplementedError,
    all_changes,
    external_calculators,
    register_calculator_class,
)
from numpy.typing import NDArray

from schnet_calc.compat import make_known
from schnet_calc.engine import Committee, Engine, Prediction
from schnet_calc.guard.guard import ExtrapolationGuard
from schnet_calc.model import DEFAULTS, Model, Source, as_model
from schnet_calc.modelfile import Potential
from schnet_calc.reductions import REDUCTIONS
from schnet_calc.structures.structure import Structure


class FreshCalculator(Calculator):
    """A calculator whose results are all of one evaluation: nothing old survives a failure."""

    _seen: Structure | None = None
    """What the results are for."""
    _asked: tuple[list[str] | None, Structure | None] = (None, None)
    """What :meth:`check_state` returned last, and for which structure."""

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
        """Return what has changed since the last evaluation and matters to the energy, exactly compared."""
        now = Structure.from_atoms(atoms)
        if self._seen is None:
            changes = list(all_changes)
        else:
            before = self._seen._asdict()
            changes = [k for k, x in now._asdict().items() if x.tobytes() != before[k].tobytes()]
        self._asked = (changes, now)
        return changes

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate; ASE calls this when a result is missing.

        Parameters
        ----------
        atoms : Atoms, optional
            What to evaluate; those of the call before by default.
        properties : sequence of str
            What is asked for; everything is computed in any case.
        system_changes : sequence of str
            What has changed since then, as ASE says.
        """
        self._note(atoms)
        changes, structure = self._asked
        self._asked = (None, None)
        if structure is not None and changes is system_changes:
            self._seen = structure  # ASE hands on what check_state() has just said of the same atoms
        elif atoms is not None:
            self.atoms = atoms
        if self._seen is None:
            raise ValueError("there are no atoms to evaluate: give some, or attach the calculator to them")
        self.results: dict[str, Any] = {}
        self.results = self._evaluated(self._seen)
        if "stress" in properties and "stress" not in self.results:
            raise PropertyNotImplementedError(
                "stress needs a structure that is periodic along all three directions"
            )

    def _note(self, atoms: ase.Atoms | None) -> None:
        """Keep what else of the atoms matters to an evaluation."""

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
    dipole       e·Å             (3,), of models with that output
    charges      e               (N,) latent charges that the dipole comes from
    energy_std   eV              error bar of the energy, where the file has what it takes
    grades       (none)          (N,) how far atoms are from the training data; doubted above 1
    ===========  ==============  ===========================================================

    Several models make a committee: the properties are means over its members, and ``results`` has
    ``energy_std`` (eV) and ``forces_std`` (N, 3) (eV/Å), their standard deviations.
    ``on_doubt="ignore"`` leaves out grades and a single model's error bar.

    Further outputs of a model (``gap`` ...) are in ``results`` under their names.

    Parameters
    ----------
    model : path, str, Potential or Model, or a list of the first three
        A model file, the name of a shipped model such as ``"c20"``, or what is loaded already.
    **settings
        ``device``, ``dtype``, ``engine``, ``on_doubt`` and ``max_forces_std`` as for
        :class:`~schnet_calc.model.Model`.

    Raises
    ------
    FileNotFoundError, ModelFileError, ValueError
        As for :class:`~schnet_calc.model.Model`.
    BadStructureError, NotFiniteError, DoubtfulStructureError
        On evaluation.
    """

    name = "schnet"
    nolabel = True  # for ``ase run``: there are no files to label
    implemented_properties: list[str] = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012

    def __init__(self, model: Model | Source | Sequence[Source], **settings: Any) -> None:
        super().__init__()
        if isinstance(model, Model) and settings:
            raise TypeError(f"a loaded Model has its settings already, got {', '.join(settings)}")
        self.model = as_model(model, **settings)
        self._state: list[str] = []
        self.parameters = Parameters(self.model.parameters)
        self._atomic = atomic_names(self.model.engine.heads)
        extra = [*self.model.engine.heads, *self._atomic]
        if len(self.potentials) > 1:
            extra += ["energy_std", "forces_std"]
        extra += [name for name, known in self._of_guard() if known and name not in extra]
        for name in self.model.engine.heads:
            make_known(name)
        derived = type(self).implemented_properties if self.model.has_energy else []
        self.implemented_properties = [*derived, *extra]

    def __repr__(self) -> str:
        """Return the call that makes this calculator."""
        model, *settings = self.model.parameters.items()
        words = [repr(model[1]), *(f"{k}={v!r}" for k, v in settings if v != DEFAULTS[k])]
        return f"{type(self).__name__}({', '.join(words)})"

    @property
    def potentials(self) -> tuple[Potential, ...]:
        """The loaded files."""
        return self.model.potentials

    @property
    def potential(self) -> Potential:
        """The loaded file; the first of a committee."""
        return self.model.potential

    @property
    def engine(self) -> Engine | Committee:
        """What evaluates."""
        return self.model.engine

    @property
    def guard(self) -> ExtrapolationGuard:
        """What looks for extrapolation."""
        return self.model.guard

    def _note(self, atoms: ase.Atoms | None) -> None:
        self._state = [] if atoms is None else self.guard.odd_state(atoms)

    def _of_guard(self) -> list[tuple[str, bool]]:
        """Names of results that come with grades, and whether the files have them."""
        grades = [p.grades for p in self.potentials if p.grades and self.guard.on_doubt != "ignore"]
        bars = [g for g in grades if g.energy is not None and g.energy.total.size]
        return [("grades", bool(grades)), ("energy_std", bool(bars) and len(self.potentials) == 1)]

    def _evaluated(self, structure: Structure) -> dict[str, Any]:
        results = self.results_of(self.model.evaluate([structure], states=[self._state])[0])
        if self.model.has_energy:
            return results
        return {k: v for k, v in results.items() if k in self.implemented_properties}

    def results_of(self, prediction: Prediction) -> dict[str, Any]:
        """Return ASE's results of one of the model's predictions."""
        energy = prediction.energy
        results = {
            "energy": energy,
            "free_energy": energy,
            "energies": prediction.energies,
            "forces": np.ascontiguousarray(prediction.forces),
            **prediction.outputs,
        }
        results |= {name: prediction.atomic[head] for name, head in self._atomic.items()}
        if prediction.volume > 0:
            results["stress"] = prediction.stress
        if prediction.grades is not None:
            results["grades"] = prediction.grades
        if prediction.error_bar is not None or prediction.members:
            results["energy_std"] = prediction.energy_std
        if prediction.members:
            results["forces_std"] = prediction.forces_std
        return results

    def evaluate(self, structures: Sequence[ase.Atoms]) -> list[Prediction]:
        """Evaluate several structures as one batch, see :meth:`Model.evaluate`; the cached results stay."""
        return self.model.evaluate(structures)

    def hessian(self, atoms: ase.Atoms) -> NDArray[np.float64]:
        """Return (3N, 3N) second derivatives of the energy, eV/Å²; see :meth:`Model.hessian`."""
        return self.model.hessian(atoms)

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Return what makes this calculator, for ASE's databases and :meth:`fromdict`: plain values.

        Parameters
        ----------
        skip_default : bool
            Leave out what has its default value, as ASE's calculators do.

        Raises
        ------
        ValueError
            A model was not loaded from a file.
        """
        return self.model.todict(skip_default)

    @classmethod
    def fromdict(cls, values: dict[str, Any]) -> "SchNetCalculator":
        """Load the calculator that :meth:`todict` describes; errors as for :meth:`Model.fromdict`."""
        return cls(Model.fromdict(values))


def atomic_names(heads: dict[str, str]) -> dict[str, str]:
    """Return ASE's names for what atoms add to further outputs, and the heads that they belong to."""
    names = {REDUCTIONS[how].atomic_name: name for name, how in heads.items()}
    return {name: head for name, head in names.items() if name}


make_known("energy_std")
make_known("grades", ("natoms",))
make_known("forces_std", ("natoms", 3))
if SchNetCalculator.name not in external_calculators:
    register_calculator_class(SchNetCalculator.name, SchNetCalculator)
