"""One object for everything that evaluates: potentials, engine and guard.

>>> from ase.build import molecule
>>> from schnet_calc import load_model
>>> model = load_model("ethanol")
>>> prediction = model.evaluate([molecule("CH3CH2OH")])[0]
>>> prediction.forces.shape
(9, 3)
"""

import inspect
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import ase
import numpy as np
from numpy.typing import NDArray

from schnet_calc.engine import Committee, Engine, Prediction, Totals, make_engine
from schnet_calc.engine.differences import output_derivatives
from schnet_calc.engine.resident import Resident
from schnet_calc.guard.guard import ExtrapolationGuard
from schnet_calc.modelfile import Potential, load_potential, shipped_models
from schnet_calc.reductions import REDUCTIONS
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import NeighborLists
from schnet_calc.structures.structure import Structure

Source = str | Path | Potential
"""A model file, the name of a shipped model, or a loaded potential."""


class Model:
    """A trained network, or a committee of several, ready to evaluate structures.

    Parameters
    ----------
    sources : path, str or Potential, or a sequence of them
        A model file, the name of a shipped model such as ``"c20"``, or a loaded potential; several make a
        committee.
    device : str
        ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda[:N]"``.
    dtype : str, optional
        ``"float32"`` or ``"float64"`` of the evaluation; that of the file by default.
        Energies are summed, and reference energies added, in float64 either way.
    engine : str
        ``"compiled"`` (fast, any SchNet), ``"script"`` (automatic differentiation of any model; runs the
        TorchScript of foreign files), or ``"auto"``: compiled where it can, never TorchScript of a file.
    on_doubt : str or path
        What happens to structures outside of what the model knows: ``"warn"``, ``"ignore"``, ``"stop"``, or
        the name of an ``.extxyz`` file to write them to.
    max_forces_std : float, optional
        eV/Å; disagreement of a committee about the force on an atom that is a reason for doubt.

    Raises
    ------
    FileNotFoundError
        There is no such file or shipped name.
    ModelFileError
        A file is no usable model, or its TorchScript would have to be run and ``engine`` doesn't say so.
    ValueError
        Unknown device, dtype, engine or ``on_doubt``, or no models at all.
    """

    def __init__(
        self,
        sources: Source | Sequence[Source],
        device: str = "auto",
        dtype: str | None = None,
        engine: str = "auto",
        on_doubt: str | Path = "warn",
        max_forces_std: float | None = None,
    ) -> None:
        several = [sources] if isinstance(sources, Source) else list(sources)
        if not several:
            raise ValueError("a model is made of at least one file")
        self.potentials = tuple(s if isinstance(s, Potential) else load_potential(s) for s in several)
        self.settings: dict[str, Any] = {"device": device, "dtype": dtype, "engine": engine}
        self.lists = NeighborLists()
        self.engine: Engine | Committee = make_engine(
            self.potentials, engine, device, dtype, self.lists, grades=on_doubt != "ignore"
        )
        self.guard = ExtrapolationGuard(self.potentials, on_doubt, max_forces_std)

    @property
    def potential(self) -> Potential:
        """The loaded file; the first of a committee."""
        return self.potentials[0]

    @property
    def parameters(self) -> dict[str, Any]:
        """What it was made with: model, or a list of them, and settings; names and plain values."""
        names = [_name(p) for p in self.potentials]
        return {"model": names[0] if len(names) == 1 else names, **self._every_setting}

    @property
    def _every_setting(self) -> dict[str, Any]:
        guard = {"on_doubt": str(self.guard.on_doubt), "max_forces_std": self.guard.max_forces_std}
        return {**self.settings, **guard}

    @property
    def has_energy(self) -> bool:
        """Whether the model predicts energies, and so forces and stress."""
        config = self.potential.metadata.config
        return config is None or config.energy

    @property
    def outputs(self) -> dict[str, str]:
        """Names of what is predicted beside energies, forces and stress, and their units."""
        units = self.potential.metadata.outputs
        return {name: units.get(name) or REDUCTIONS[how].unit for name, how in self.engine.heads.items()}

    def evaluate(
        self,
        structures: Sequence[ase.Atoms | Structure],
        properties: Sequence[str] | None = None,
        states: Sequence[list[str]] = (),
    ) -> list[Prediction]:
        """Evaluate structures as one batch.

        Parameters
        ----------
        structures : sequence of Atoms or Structure
            Of any sizes.
        properties : sequence of str, optional
            Names of further outputs that are wanted; all that the model has by default. Energies, forces
            and virials come always.
        states : sequence, optional
            What the guard's ``odd_state`` says of each structure; found from ``Atoms`` by default.

        Returns
        -------
        list of Prediction
            In the same order, equal to what single calls give.

        Raises
        ------
        BadStructureError, NotFiniteError, MemoryError
            As for :meth:`Engine.evaluate`; the error's ``index`` is the structure's place.
        DoubtfulStructureError
            With ``on_doubt="stop"``.
        """
        batch = [s if isinstance(s, Structure) else Structure.from_atoms(s) for s in structures]
        predictions = self.engine.evaluate(batch, properties)
        odd = states or [self.guard.odd_state(s) if isinstance(s, ase.Atoms) else [] for s in structures]
        self.guard.check(batch, predictions, self.lists, states=odd)
        return predictions

    def totals(self, geometries: Geometries) -> Totals:
        """Evaluate geometries of the same atoms as one batch: energies, forces and virials as arrays.

        Parameters
        ----------
        geometries : Geometries
            At least one.

        Returns
        -------
        Totals
            What :meth:`evaluate` says of each, sooner: molecules need no object of their own. Its errors, too.
        """
        if isinstance(self.engine, Committee):  # the guard looks at each member's forces
            return Totals.of(self.evaluate(geometries.structures(), []))
        found = self.engine.totals(geometries)
        self.guard.check_geometries(geometries, self.lists, found.energies, found.grades)
        return found

    def resident(self, structure: Structure, count: int) -> Resident | None:
        """Return what evaluates geometries of the same atoms where they are, on a GPU; None where arrays are best.

        Parameters
        ----------
        structure : Structure
            One of them.
        count : int
            B.
        """
        return None if isinstance(self.engine, Committee) else self.engine.resident(structure, count)

    @cached_property
    def precise(self) -> Engine | Committee:
        """The same potentials in float64, for derivatives."""
        if self.engine.dtype.itemsize == 8:
            return self.engine
        return make_engine(self.potentials, **{**self.settings, "dtype": "float64"})

    def hessian(self, atoms: ase.Atoms | Structure) -> NDArray[np.float64]:
        """Return (3N, 3N) second derivatives of the energy, eV/Å², in float64 whatever the model's type.

        The compiled engine takes differences of its exact forces, all columns in one batch; the script engine
        differentiates automatically.
        """
        return self.precise.hessian(atoms if isinstance(atoms, Structure) else Structure.from_atoms(atoms))

    def derivative(self, atoms: ase.Atoms | Structure, name: str) -> NDArray[np.float64]:
        """Return (3N, ...) derivatives of a further output by all coordinates, per Å, in float64; dipoles in e.

        Raises
        ------
        ValueError
            The model has no such output.
        """
        if name not in self.engine.heads:
            known = ", ".join(self.engine.heads) or "none"
            raise ValueError(f"this model has no output {name!r} (it has: {known})")
        structure = atoms if isinstance(atoms, Structure) else Structure.from_atoms(atoms)
        return output_derivatives(self.precise, structure, name)

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Return what makes this model, for :meth:`fromdict`: plain values.

        Raises
        ------
        ValueError
            A model was not loaded from a file.
        """
        settings = self._every_setting
        if skip_default:
            settings = {k: v for k, v in settings.items() if v != DEFAULTS[k]}
        return {"model": [_entry(potential) for potential in self.potentials], **settings}

    @classmethod
    def fromdict(cls, values: dict[str, Any]) -> "Model":
        """Load the model that :meth:`todict` describes.

        Raises
        ------
        FileNotFoundError
            A file is not there.
        ValueError
            A file is another one than it was.
        """
        settings = dict(values)
        entries = settings.pop("model")
        potentials = [load_potential(entry["name"]) for entry in entries]
        for potential, entry in zip(potentials, entries, strict=True):
            if potential.sha256 != entry["sha256"]:
                raise ValueError(
                    f"{potential.path} has the SHA-256 {potential.sha256}, "
                    f"but {entry['name']!r} had {entry['sha256']}"
                )
        return cls(potentials, **settings)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it is made of; engine and modules are made again."""
        return _again, (self.todict(), self.guard.count)


def _again(values: dict[str, Any], doubtful: int) -> Model:
    model = Model.fromdict(values)
    model.guard.count = doubtful
    return model


DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(Model).parameters.items()}


def _entry(potential: Potential) -> dict[str, Any]:
    """Name and hash; shipped models by name, so that they are found on other machines, too."""
    if not potential.path:
        raise ValueError("a model that was not loaded from a file has no name to find it by: save it first")
    return {"name": _name(potential), "sha256": potential.sha256}


def _name(potential: Potential) -> str:
    """Of a shipped model, or the path of a file."""
    path = Path(potential.path)
    shipped = shipped_models().get(path.stem)
    return path.stem if shipped is not None and shipped.resolve() == path else potential.path


def as_model(model: "Model | Source | Sequence[Source]", **settings: Any) -> Model:
    """Return the model itself, or the one that files or names make."""
    return model if isinstance(model, Model) else Model(model, **settings)


def load_model(sources: Source | Sequence[Source], **settings: Any) -> Model:
    """Load a model, or several as a committee.

    Parameters
    ----------
    sources : path, str or Potential, or a sequence of them
        ``"c20"``, ``"runs/ethanol/model.pt"`` ...
    **settings
        As for :class:`Model`; its errors, too.
    """
    return Model(sources, **settings)
