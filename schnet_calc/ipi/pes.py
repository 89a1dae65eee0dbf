"""A potential that i-PI evaluates in its own process: ``<ffdirect> <pes>custom</pes>``.

i-PI loads a file by its path; two lines in it are enough::

    from schnet_calc.ipi.pes import SchNetPES
    __DRIVER_NAME__, __DRIVER_CLASS__ = "schnet_calc", "SchNetPES"

and in the input::

    <ffdirect name="schnet" pbc="False">
      <pes>custom</pes> <pes_path>pes.py</pes_path> <batch_size>8</batch_size>
      <parameters>{model: c20, template: init.extxyz}</parameters>
    </ffdirect>
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schnet_calc.data import read_structure
from schnet_calc.ipi.doubts import read_doubts
from schnet_calc.ipi.errors import StructureError
from schnet_calc.ipi.evaluator import Evaluator
from schnet_calc.ipi.wire import Request
from schnet_calc.model import DEFAULTS, Model
from schnet_calc.modelfile import model_sources

HERE = Path()
"""i-PI's folder."""
FAILED = HERE / "failed_structure.xyz"
"""Where a structure is written that can't be evaluated."""
Result = tuple[float, NDArray[np.float64], NDArray[np.float64], str]


class SchNetPES:
    """Energy, forces, virial and extras for one structure or a list of them, in atomic units.

    Parameters
    ----------
    model : str
        A model file, or the name of a shipped model; several joined by ``+`` make a committee.
    template : str
        A structure file: species and periodic directions.
    energies : bool
        Whether the extras hold the energy of each atom.
    **parameters
        ``device``, ``dtype``, ``engine``, ``on_doubt`` and ``max_forces_std`` as for the calculator; doubtful
        structures are counted in :data:`~schnet_calc.ipi.doubts.DOUBTS`. What else i-PI adds to every driver, such
        as its verbosity, is left alone.
    """

    def __init__(self, model: str, template: str, energies: bool | str = False, **parameters: Any) -> None:
        self.template = read_structure(Path(template))
        settings = {name: value for name, value in parameters.items() if name in DEFAULTS}
        if settings.get("max_forces_std") is not None:
            settings["max_forces_std"] = float(settings["max_forces_std"])
        loaded = Model(model_sources(str(model)), **settings)
        self.doubts = read_doubts(HERE)
        self.evaluate = Evaluator(loaded, self.template, energies=str(energies).lower() == "true")

    def __call__(
        self, cell: NDArray[np.float64] | Sequence[Any], pos: NDArray[np.float64] | Sequence[Any]
    ) -> Result | list[Result]:
        """One cell (3, 3) and positions (N, 3), or lists of them, in Bohr."""
        if isinstance(cell, list):
            return self._batch(cell, list(pos))
        return self._batch([cell], [pos])[0]

    def _batch(self, cells: Sequence[Any], positions: Sequence[Any]) -> list[Result]:
        try:
            reply = self.evaluate(Request(np.array(cells), np.array(positions)))
        except StructureError as error:
            error.write(FAILED, self.template)
            raise
        if reply.doubts.count:
            self.doubts += reply.doubts
            self.doubts.write(HERE)
        return [
            (float(energy), forces, virial, extra)
            for energy, forces, virial, extra in zip(
                reply.energies, reply.forces, reply.virials, reply.extras, strict=True
            )
        ]
