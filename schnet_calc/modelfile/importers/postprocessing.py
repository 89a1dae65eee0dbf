"""Postprocessors of SchNetPack 2, folded into scale and offsets.

With pooled energy y, ``ScaleProperty`` makes it ``s y`` and ``AddOffsets`` ``y + N mean + sum_i atomref(Z_i)``
where the property is extensive, else ``y + mean + sum_i atomref(Z_i) / N``. They apply one behind the other, and
forces were taken before.
"""

from typing import Any

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers.modules import Module
from schnet_calc.modelfile.importers.parts import Parts

CASTS = ("CastMap", "CastTo32", "CastTo64")


def postprocess(model: Module, key: Any, parts: Parts) -> None:
    """Put what postprocessors do to the energy into its parts.

    Parameters
    ----------
    model : Module
        The whole model.
    key : str
        Name of the energy; None where the file has no names.
    parts : Parts
        Changed: scale, shift and energies of elements, and what was assumed.
    """
    modules = model.child("postprocessors").children(gaps=True) if model.has("postprocessors") else []
    modules = [module for module in modules if module.kind not in CASTS]
    if modules and not model.kind:
        parts.assumed.append("postprocessors are applied")
    if modules and not model.value("do_postprocessing", True):
        parts.assumed.append(
            "postprocessing is switched off in the file: its scales and offsets are left out"
        )
        return
    scales_of_others: list[float] = []
    before = parts.scale
    for module in modules:
        if module.kind == "ScaleProperty" or (not module.kind and module.has("scale")):
            _scale(module, key, parts, scales_of_others)
        elif module.kind == "AddOffsets" or (not module.kind and module.has("mean")):
            if not module.kind or module.value("_property") == key:
                _add_offsets(module, parts)
        else:
            raise ModelFileError(f"the postprocessor {module.kind or module.where} can't be expressed here")
    _check_forces(parts, parts.scale / before if before else 1.0, scales_of_others)


def transform(module: Module, parts: Parts) -> None:
    """Put what a transform among the outputs does to the energy into its parts; forces are of what it gives."""
    if module.has("scale"):
        _multiply(module.number("scale"), parts)
    else:
        _add_offsets(module, parts)


def _multiply(scale: float, parts: Parts) -> None:
    parts.scale *= scale
    parts.shift *= scale
    if parts.atomrefs is not None:
        parts.atomrefs = parts.atomrefs * scale


def _scale(module: Module, key: Any, parts: Parts, scales_of_others: list[float]) -> None:
    scale = module.number("scale")
    source, target = module.value("input_key", key), module.value("output_key", key)
    first_unnamed = not module.kind and parts.scale == 1.0
    if (module.kind and source != key) or not (module.kind or first_unnamed):
        scales_of_others.append(scale)
        return
    if target != source:
        raise ModelFileError(f"the postprocessor {module.where} writes its energy as another output")
    _multiply(scale, parts)


def _add_offsets(module: Module, parts: Parts) -> None:
    mean = module.number("mean") if module.value("add_mean", True) and module.has("mean") else 0.0
    atomrefs = None
    if module.value("add_atomrefs", True) and module.has("atomref"):
        atomrefs = module.tensor("atomref").double().reshape(-1)
        atomrefs = atomrefs if bool(atomrefs.any()) else None
    if mean == 0.0 and atomrefs is None:
        return
    if not module.kind:
        parts.assumed.append("offsets are extensive as the energies are pooled by sums, and else are not")
    elif bool(module.value("is_extensive", True)) != (parts.pooling == "sum"):
        raise ModelFileError(
            f"offsets per {'atom' if parts.pooling == 'mean' else 'structure'} of energies that are pooled by "
            f"{parts.pooling} can't be expressed here (is_extensive of {module.where})"
        )
    parts.shift += mean
    if atomrefs is not None:
        parts.atomrefs = atomrefs if parts.atomrefs is None else parts.atomrefs + atomrefs


def _check_forces(parts: Parts, factor: float, scales_of_others: list[float]) -> None:
    """Compare the scale of forces with that of energies: forces here are the derivative of the energy."""
    if any(abs(scale - factor) > 1e-6 * abs(factor) for scale in scales_of_others):
        raise ModelFileError(
            f"energies are scaled by {factor:g}, but something else by another factor: "
            "forces would not be their derivative"
        )
    if factor != 1.0 and not scales_of_others:
        parts.assumed.append(
            f"forces are the derivative of the energy, which the file scales by {factor:g}; "
            "forces are left unscaled there"
        )
