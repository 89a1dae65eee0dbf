"""Labelled data from files, in eV and Å; each layout has a reader that ends in :class:`Frames`."""

import bz2
import gzip
import lzma
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase.io.formats import UnknownFileTypeError
from numpy.typing import NDArray

from schnet_calc.data.faults import XYZ, Fault, is_sound_xyz, read_xyz, settle, structure_fault
from schnet_calc.data.frames import Frames
from schnet_calc.data.labels import FileLabel, Labels, find_label, label_keys
from schnet_calc.data.npz import read_npz
from schnet_calc.data.properties import ENERGY_UNITS, LENGTH_UNITS, PROPERTIES
from schnet_calc.data.qm9 import is_qm9, read_qm9
from schnet_calc.data.stress import StressLabels, read_virials, virial_of
from schnet_calc.errors import DataError
from schnet_calc.stages import tell

READ = 500
"""Frames after which reading is told of."""
COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
"""By ending: what opens a compressed file."""


def read_frames(path: str | Path, labels: Labels | None = None, **named: Any) -> Frames:
    """Read labelled structures and convert them to eV and Å.

    Parameters
    ----------
    path : path
        ``.npz`` in the layout of MD17/sGDML or rMD17, ``qm9pack`` (the package or its folder of data), or
        anything that ``ase.io.read`` reads, compressed or not.
    labels : Labels, optional
        Keys and units.
    **named
        Its fields instead: ``read_frames(path, energy_unit="Hartree")``.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    DataError
        No labels at all, shapes that don't fit, infinite values; the message names the frame.
    ValueError
        Unknown units.
    """
    labels = labels or Labels(**named)
    frames = _read(Path(path), labels)
    if labels.theory:
        frames.info["theory"] = labels.theory
    return frames


def _read(path: Path, labels: Labels) -> Frames:
    """Read the frames of a file by what it is."""
    if is_qm9(path):
        return read_qm9(path, labels.energy_key)
    if not path.exists():
        raise FileNotFoundError(f"no data file {path}")
    stress = None
    if labels.stress_key:
        stress = StressLabels(labels.stress_key, labels.stress_convention, labels.stress_unit)
    if path.suffix == ".npz":
        if stress:
            raise ValueError(f"{path}: stresses are read from files that ASE reads, not from npz")
        return read_npz(path, labels.energy_unit, labels.length_unit, labels.skip_bad)
    return _read_ase(path, labels, stress)


def read_structure(path: str | Path) -> ase.Atoms:
    """Read the last structure of a file that ASE reads; errors name the file."""
    return _read_images(Path(path), "-1")


def read_structures(path: str | Path) -> list[ase.Atoms]:
    """Read all structures of a file that ASE reads, or of an MD17 ``.npz``; errors name the file."""
    path = Path(path)
    if path.suffix == ".npz":
        frames = read_npz(path, None, None)
        return [frames.atoms(k) for k in range(len(frames))]
    images: list[ase.Atoms] = _read_images(path, ":")
    return images


def _read_images(path: Path, index: str) -> Any:
    try:
        with _decompressed(path) as plain:
            return ase.io.read(plain, index=index) if index != ":" else list(_counted(plain))
    except UnknownFileTypeError as error:
        raise DataError(f"{path}: ASE knows no such format ({error})") from error
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # ASE's readers raise anything for what is no structure
        raise DataError(f"{path} holds no structure that ASE can read ({error!r:.200})") from error


def _counted(path: Path) -> Iterator[ase.Atoms]:
    """All images of a file; how many there are is told now and then."""
    count = 0
    for count, atoms in enumerate(ase.io.iread(path, index=":"), 1):
        if count % READ == 0:
            tell("frames read", count, None)
        yield atoms
    if count >= READ:
        tell("frames read", count, count)


@contextmanager
def _decompressed(path: Path) -> Iterator[Path]:
    """The file, or a copy of it without compression.

    ASE goes back in a file for every frame, and a compressed one has then to be read from its beginning.
    """
    opened = COMPRESSED.get(path.suffix)
    if opened is None:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.stem
        with opened(path, "rb") as source, plain.open("wb") as target:
            shutil.copyfileobj(source, target)
        yield plain


def _read_ase(path: Path, labels: Labels, stress: StressLabels | None) -> Frames:
    ev, ang = ENERGY_UNITS[labels.energy_unit or "eV"], LENGTH_UNITS[labels.length_unit or "Ang"]
    images, left_out = _sound_images(path, labels, stress)
    found, properties = {}, dict(PROPERTIES)
    for wanted in labels.wanted(ev, ang):
        values = _values(path, images, wanted)
        if values is not None:
            found[wanted.property.name] = values
            properties[wanted.property.name] = wanted.property
    if stress:
        found["virial"] = read_virials(path, images, stress, ang)
    if not found:
        raise DataError(
            f"{path}: no frame has {labels.energy_key!r} or {labels.forces_key!r}; "
            f"the first has {_keys(images)}: say energy_key{_meant(images, 'energy')}, "
            f"forces_key{_meant(images, 'force')}, --scalars ..."
        )
    return Frames(
        offsets=np.concatenate([[0], np.cumsum([len(a) for a in images])]).astype(np.int64),
        numbers=np.concatenate([a.numbers for a in images]).astype(np.int64),
        positions=np.concatenate([a.positions for a in images]) * ang,
        cells=np.array([a.cell.array for a in images]) * ang,
        pbc=np.array([a.pbc for a in images]),
        labels=found,
        properties=properties,
        info={
            "name": path.stem,
            "theory": str(images[0].info.get("theory", "not stated in the file")),
            **({"temperature": str(images[0].info["heated_to"])} if "heated_to" in images[0].info else {}),
            "file": path.name,
            **({"left_out": left_out} if left_out else {}),
        },
    )


def _sound_images(
    path: Path, labels: Labels, stress: StressLabels | None
) -> tuple[list[ase.Atoms], dict[str, str]]:
    """All frames that can be used, and reasons of those left out; errors, if they are not to be."""
    images, numbers, faults = _all_images(path)
    if not images and not faults:
        raise DataError(f"{path} holds no structures")
    wanted, sound = labels.wanted(1.0, 1.0), []
    for k, atoms in zip(numbers, images, strict=True):
        reason = structure_fault(atoms) or _label_fault(atoms, wanted, stress)
        if reason:
            faults.append(Fault(k, reason))
        else:
            sound.append(atoms)
    return sound, settle(path, sorted(faults), len(sound) + len(faults), labels.skip_bad)


def _all_images(path: Path) -> tuple[list[ase.Atoms], list[int], list[Fault]]:
    """Frames, their numbers in the file, and those that can't be read."""
    with _decompressed(path) as plain:
        if plain.suffix in XYZ and plain.is_file() and not is_sound_xyz(plain):
            return read_xyz(plain)
        try:
            images = _read_images(path, ":")
        except DataError:
            if plain.suffix not in XYZ:
                raise
            found = read_xyz(plain)
            if not found[0]:
                raise
            return found
    return images, list(range(len(images))), []


def _label_fault(atoms: ase.Atoms, wanted: Sequence[FileLabel], stress: StressLabels | None) -> str:
    """Why the labels of a frame can't be used; empty if they can, or if there are none."""
    try:
        for label in wanted:
            value = find_label(atoms, label.key)
            if value is not None:
                _checked(label, value, len(atoms))
        if stress and find_label(atoms, stress.key) is not None:
            virial_of(atoms, stress, 1.0)
    except ValueError as error:
        return str(error)
    return ""


def _meant(images: list[ase.Atoms], word: str) -> str:
    """The key with a word in it, as a question; empty if there are none or several."""
    keys = {key for atoms in images for key in label_keys(atoms) if word in key.lower()}
    return f" ({keys.pop()}?)" if len(keys) == 1 else ""


def _keys(images: list[ase.Atoms]) -> str:
    """Keys of the first frame, and those that only later ones have."""
    first = label_keys(images[0])
    later = sorted({key for atoms in images for key in label_keys(atoms)} - set(first))
    return f"{first}, others {later} as well" if later else str(first)


def _values(path: Path, images: list[ase.Atoms], wanted: FileLabel) -> NDArray[np.float64] | None:
    """Labels of all frames, not numbers where a frame has none; None where no frame has any."""
    parts, known = [], False
    for atoms in images:
        value = find_label(atoms, wanted.key)
        known |= value is not None
        if value is None:
            parts.append(np.full(_shape(wanted, len(atoms)), np.nan))
        else:
            parts.append(_checked(wanted, value, len(atoms)))
    if not known:
        if wanted.required:
            raise DataError(f"{path}: no frame has {wanted.key!r}; the first has {_keys(images)}")
        return None
    values = np.concatenate(parts) if wanted.property.per_atom else np.stack(parts)
    return values * wanted.factor


def _shape(wanted: FileLabel, n_atoms: int) -> tuple[int, ...]:
    """Of a label of so many atoms."""
    shape = wanted.property.shape
    return (n_atoms, *shape) if wanted.property.per_atom else shape


def _checked(wanted: FileLabel, value: Any, n_atoms: int) -> NDArray[np.float64]:
    """A label as numbers of the right shape.

    Raises
    ------
    ValueError
        It is something else; the message names key and atom.
    """
    key, shape = wanted.key, _shape(wanted, n_atoms)
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key} is {value!r:.80}, which are no numbers") from error
    if array.size == 1 and shape == ():
        array = array.reshape(())
    if array.shape != shape:
        raise ValueError(f"{key} has the shape {array.shape}, but the structure asks for {shape}")
    if not np.isfinite(array).all():
        where = np.argwhere(~np.isfinite(array))[0]
        atom = f" of atom {where[0]}" if len(shape) == 2 and shape[1:] == (3,) else ""
        raise ValueError(f"{key}{atom} holds a value that is not finite")
    return array
