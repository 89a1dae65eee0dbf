"""From i-PI's arrays to an engine's batch and back: the one place that knows atomic units."""

import json
from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.engine import Committee, Engine, Prediction
from schnet_calc.guard.guard import DoubtfulStructureError, ExtrapolationGuard
from schnet_calc.ipi.errors import ProtocolError, StructureError
from schnet_calc.ipi.wire import Reply, Request
from schnet_calc.structures.structure import Structure


class Evaluator:
    """Answers i-PI's requests with an engine.

    Parameters
    ----------
    engine : Engine or Committee
        Of a calculator, or from :func:`~schnet_calc.engine.load_engine`; a committee's members are
        in the extras, under the keys that i-PI's ``<ffcommittee>`` reads.
    atoms : Atoms
        Species and periodic directions. Positions and cell come from i-PI.
    energies : bool
        Whether the extras hold the energy of each atom (``energies``, eV).
    guard : ExtrapolationGuard, optional
        Of a calculator: what it does about structures outside of what the model knows.
    """

    def __init__(
        self,
        engine: Engine | Committee,
        atoms: ase.Atoms,
        energies: bool = False,
        guard: ExtrapolationGuard | None = None,
    ) -> None:
        self.engine = engine
        self.numbers = atoms.numbers.astype(np.int64)
        self.pbc = np.array(atoms.pbc, dtype=bool)
        self.energies = energies
        self.guard = guard

    def __call__(self, request: Request) -> Reply:
        """Evaluate all structures of a request as one batch.

        Raises
        ------
        ProtocolError
            Another number of atoms than the template's.
        StructureError
            A structure that the engine or the guard refuses, or that gives forces which are no numbers.
        MemoryError
            Even a single structure needs more memory than there is.
        """
        n_atoms = request.positions.shape[1]
        if n_atoms != len(self.numbers):
            raise ProtocolError(
                f"i-PI sends {n_atoms} atoms, but the structure given here has {len(self.numbers)}"
            )
        cells = np.ascontiguousarray(np.swapaxes(request.cells, 1, 2)) * units.Bohr
        positions = request.positions * units.Bohr
        structures = [
            Structure(self.numbers, p, c, self.pbc) for p, c in zip(positions, cells, strict=True)
        ]
        predictions = self._predict(structures)
        self._look(structures, predictions)
        return self._reply(predictions)

    def _look(self, structures: Sequence[Structure], predictions: Sequence[Prediction]) -> None:
        if self.guard is None:
            return
        for k, (structure, prediction) in enumerate(zip(structures, predictions, strict=True)):
            try:
                self.guard.check([structure], [prediction], first=k)
            except DoubtfulStructureError as error:
                raise _refused(k, structure, error) from error

    def _predict(self, structures: Sequence[Structure]) -> list[Prediction]:
        try:
            return self.engine.evaluate(structures)
        except (ValueError, FloatingPointError):
            # The engine speaks of the batch: one by one it is known which structure it means.
            return [self._alone(k, structure) for k, structure in enumerate(structures)]

    def _alone(self, index: int, structure: Structure) -> Prediction:
        try:
            return self.engine.evaluate([structure])[0]
        except (ValueError, FloatingPointError) as error:
            raise _refused(index, structure, error) from error

    def _reply(self, predictions: list[Prediction]) -> Reply:
        force_unit = units.Hartree / units.Bohr
        return Reply(
            energies=np.array([p.energy for p in predictions]) / units.Hartree,
            forces=np.stack([p.forces for p in predictions]) / force_unit,
            virials=np.stack([_virial(p.virial) for p in predictions]) / units.Hartree,
            extras=[self._extras(p) for p in predictions],
        )

    def _extras(self, prediction: Prediction) -> str:
        values: dict[str, Any] = {}
        if self.energies:
            values["energies"] = prediction.energies.tolist()
        if prediction.members:
            values |= _committee(prediction.members)
        return json.dumps(values) if values else ""


def _committee(members: Sequence[Prediction]) -> dict[str, Any]:
    """What i-PI's ``<ffcommittee>`` looks for, in its units."""
    forces = [m.forces * units.Bohr / units.Hartree for m in members]
    return {
        "committee_pot": [m.energy / units.Hartree for m in members],
        "committee_force": [f.ravel().tolist() for f in forces],
        "committee_virial": [(_virial(m.virial) / units.Hartree).tolist() for m in members],
    }


def _virial(strain_derivative: NDArray[np.float64]) -> NDArray[np.float64]:
    """i-PI's sign: minus stress times volume."""
    return -0.5 * (strain_derivative + strain_derivative.T)


def _refused(index: int, structure: Structure, error: Exception) -> StructureError:
    return StructureError(index, structure.positions, structure.cell, str(error))
