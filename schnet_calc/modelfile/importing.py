"""From another code's file to a model file of this package."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from schnet_calc.modelfile.importers import read_foreign
from schnet_calc.modelfile.loading import load_potential
from schnet_calc.modelfile.potential import Potential
from schnet_calc.modelfile.saving import save_model


def import_model(
    path: str | Path,
    output: str | Path,
    *,
    energy_unit: str | None = None,
    length_unit: str = "Ang",
    elements: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Potential:
    """Convert a SchNet of another code; nothing in its file is run.

    Parameters
    ----------
    path : path
        ``best_model``, deployed model, checkpoint or weights of SchNetPack (0.2, 0.3, 1, 2); model, checkpoint or
        weights of PyTorch Geometric; the ``.index`` of a TensorFlow checkpoint of the original.
    output : path
        The model file to write.
    energy_unit : str, optional
        eV, meV, kcal/mol, kJ/mol or Hartree; needed where the file doesn't tell.
    length_unit : str
        Ang, Bohr or nm.
    elements : sequence of str, optional
        Symbols of the elements that it was trained on, where the file doesn't tell.
    options : mapping, optional
        What the file does not tell. SchNetPack: ``activation``, ``output_activation``, ``pooling``, ``property``,
        ``cutoff_function``. PyTorch Geometric: ``mean``, ``std``, ``readout``, ``scale``, ``cutoff`` and others of
        its own. TensorFlow: ``gap``, ``cutoff``, ``n_interactions``, ``pooling``, ``atomization_energy``.

    Returns
    -------
    Potential
        As loaded from the file that was written.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ModelFileError
        It is none of these, or damaged; the energy unit is missing; file and options contradict each other; or the
        model has what a network of this package can't express, which the message names.
    """
    found = read_foreign(
        path, energy_unit=energy_unit, length_unit=length_unit, elements=elements, options=options
    )
    save_model(output, found.network, found.reference_energies, {"source": found.source})
    return load_potential(output)
