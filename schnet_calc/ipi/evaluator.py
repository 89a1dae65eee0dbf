"""From i-PI's arrays to an engine's batch and back: the one place that knows atomic units."""

import json
from collections.abc import Sequence
from typing import Any

import ase
import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.engine import Prediction, Totals
from schnet_calc.errors import BadStructureError, DoubtfulStructureError, NotFiniteError
from schnet_calc.ipi.doubts import Doubts
from schnet_calc.ipi.errors import ProtocolError, StructureError
from schnet_calc.ipi.wire import Reply, Request
from schnet_calc.model import Model
from schnet_calc.structures.geometries import Geometries


class Evaluator:
    """Answers i-PI's requests with a model.

    Parameters
    ----------
    model : Model
        A committee's members are in the extras, under the keys that i-PI's ``<ffcommittee>`` reads;
        further outputs of the model are there, too, under their names, a dipole in atomic units.
    atoms : Atoms
        Species and periodic directions. Positions and cell come from i-PI.
    energies : bool
        Whether the extras hold the energy of each atom (``energies``, eV).
    """

    def __init__(self, model: Model, atoms: ase.Atoms, energies: bool = False) -> None:
        self.model = model
        self.numbers = atoms.numbers.astype(np.int64)
        self.pbc = np.array(atoms.pbc, dtype=bool)
        self.energies = energies
        self._plain = not (energies or model.outputs or len(model.potentials) > 1)

    def __call__(self, request: Request) -> Reply:
        """Evaluate all structures of a request as one batch.

        Raises
        ------
        ProtocolError
            Another number of atoms than the template's.
        StructureError
            A structure that engine or guard refuses, or that gives forces that are not finite.
        MemoryError
            Even a single structure needs more memory than there is.
        """
        n_atoms = request.positions.shape[1]
        if n_atoms != len(self.numbers):
            raise ProtocolError(
                f"i-PI sends {n_atoms} atoms, but the structure given here has {len(self.numbers)}"
            )
        cells = np.ascontiguousarray(np.swapaxes(request.cells, 1, 2)) * units.Bohr
        geometries = Geometries(self.numbers, request.positions * units.Bohr, cells, self.pbc)
        known = self.model.guard.count
        try:
            found, extras = self._evaluated(geometries)
        except (BadStructureError, NotFiniteError, DoubtfulStructureError) as error:
            refused = geometries.structures()[error.index]
            raise StructureError(error.index, refused.positions, refused.cell, str(error)) from error
        return Reply(
            found.energies / units.Hartree,
            found.forces * (units.Bohr / units.Hartree),
            _virial(found.virials) / units.Hartree,
            extras,
            self._doubts(known),
        )

    def _doubts(self, known: int) -> Doubts:
        """Those of the last batch, given how many there were before it."""
        guard = self.model.guard
        count = guard.count - known
        return Doubts(count, guard.reasons[0]) if count else Doubts()

    def _evaluated(self, geometries: Geometries) -> tuple[Totals, list[str]]:
        """As arrays, and in extras what an object of each structure says beside; those alone take time."""
        if self._plain:
            return self.model.totals(geometries), [""] * len(geometries.positions)
        predictions = self.model.evaluate(geometries.structures())
        return Totals.of(predictions), [self._extras(p) for p in predictions]

    def _extras(self, prediction: Prediction) -> str:
        values: dict[str, Any] = {}
        if self.energies:
            values["energies"] = prediction.energies.tolist()
        for name, value in prediction.outputs.items():
            lengths = units.Bohr if self.model.outputs[name] == "eAng" else 1.0
            values[name] = (value / lengths).tolist()
        if prediction.members:
            values |= _committee(prediction.members)
        return json.dumps(values)


def _committee(members: Sequence[Prediction]) -> dict[str, Any]:
    """What i-PI's ``<ffcommittee>`` looks for, in its units."""
    forces = [m.forces * units.Bohr / units.Hartree for m in members]
    return {
        "committee_pot": [m.energy / units.Hartree for m in members],
        "committee_force": [f.ravel().tolist() for f in forces],
        "committee_virial": [(_virial(m.virial) / units.Hartree).tolist() for m in members],
    }


def _virial(strain_derivative: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3, 3) in i-PI's sign: minus stress times volume."""
    return -0.5 * (strain_derivative + strain_derivative.swapaxes(-1, -2))
