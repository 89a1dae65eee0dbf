"""The archive that a model file is: read once, checked before anything in it is believed or run."""

import hashlib
import io
import json
import math
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

FORMAT_VERSION = 1
METADATA, WEIGHTS = "metadata.json", "weights.safetensors"
REQUIRED = ("format_version", "cutoff", "elements", "reference_energies_ev", "dtype")
UNITS = {"energy": "eV", "length": "Ang"}
LARGEST_ENTRY = 2**30
"""Bytes that an entry may have when it is unpacked."""
LARGEST_RATIO = 200
"""Times that an entry beyond a MiB may grow when it is unpacked."""
LARGEST_TOTAL = 2**31
"""Bytes that all entries may have together."""
MOST_ENTRIES = 10_000
ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    UnicodeDecodeError,
)
"""What the standard library raises for damaged archives."""


class ModelFileError(ValueError):
    """A file that is not a usable model; the message says what is missing or wrong."""


class Archive(NamedTuple):
    """A checked model file in memory."""

    content: bytes
    """The whole file, for ``torch.jit.load``."""
    metadata: dict[str, Any]
    """Of the file; what :data:`REQUIRED` names is there and of its kind."""
    weights: bytes
    """The safetensors inside; empty if there are none."""


def read_archive(path: Path) -> Archive:
    """Read and check a model file.

    Raises
    ------
    ModelFileError
        No archive, cut short or damaged; entries that escape their folder, occur twice, or grow beyond
        measure; metadata that are missing, not understood, newer, or don't fit the other entries.
    """
    content = path.read_bytes()
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise ModelFileError(f"{path} is not a model file: no TorchScript archive, or cut short")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_entries(path, archive.infolist())
            entries = _entries(archive)
    except ZIP_ERRORS as error:
        raise ModelFileError(f"{path} is not a model file: damaged archive ({error})") from error
    if "constants.pkl" not in entries:
        raise ModelFileError(f"{path} is not a model file: an archive, but not of TorchScript")
    metadata = _metadata(path, entries.get(f"extra/{METADATA}", b""))
    expected = metadata.get("contents_sha256")
    if expected is not None and contents_sha256(entries) != expected:
        raise ModelFileError(f"{path}: the contents do not have the SHA-256 that the metadata say")
    return Archive(content, metadata, entries.get(f"extra/{WEIGHTS}", b""))


def contents_sha256(entries: dict[str, bytes]) -> str:
    """Hash of all entries of an archive, by their names within its folder, but the metadata."""
    digest = hashlib.sha256()
    for name in sorted(entries):
        if name != f"extra/{METADATA}":
            digest.update(f"{name} {len(entries[name])}\n".encode())
            digest.update(entries[name])
    return digest.hexdigest()


def add_metadata(content: bytes, metadata: dict[str, Any]) -> bytes:
    """The archive of a network with metadata, and the hash of everything else in it."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        metadata = {**metadata, "contents_sha256": contents_sha256(_entries(archive))}
        folder = PurePosixPath(archive.namelist()[0]).parts[0]
        entry = zipfile.ZipInfo(f"{folder}/extra/{METADATA}")  # no date: equal models are equal files
        archive.writestr(entry, json.dumps(metadata, indent=1))
    return buffer.getvalue()


def _entries(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """What an archive holds, by names without its top folder."""
    return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    if not entries:
        raise ModelFileError(f"{path} is not a model file: an empty archive")
    if len(entries) > MOST_ENTRIES:
        raise ModelFileError(f"{path}: {len(entries)} entries, but a model has at most {MOST_ENTRIES}")
    total, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
    if total > LARGEST_TOTAL or (total > 2**26 and total > LARGEST_RATIO * packed):
        raise ModelFileError(
            f"{path}: the entries would be {total} bytes from {packed}, "
            f"more than {LARGEST_TOTAL} or {LARGEST_RATIO} times as many"
        )
    seen: set[str] = set()
    for entry in entries:
        name = entry.orig_filename
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or ":" in name:
            raise ModelFileError(f"{path}: the entry {name!r} reaches out of the archive")
        if parts[:1] != PurePosixPath(entries[0].orig_filename).parts[:1]:
            raise ModelFileError(f"{path}: the entry {name!r} lies outside the archive's one folder")
        if name in seen:
            raise ModelFileError(f"{path}: the entry {name!r} occurs twice")
        seen.add(name)
        if entry.file_size > LARGEST_ENTRY or (
            entry.file_size > 2**20 and entry.file_size > LARGEST_RATIO * entry.compress_size
        ):
            raise ModelFileError(
                f"{path}: the entry {name!r} would be {entry.file_size} bytes from {entry.compress_size}, "
                f"more than {LARGEST_ENTRY} or {LARGEST_RATIO} times as many"
            )


def _metadata(path: Path, raw: bytes) -> dict[str, Any]:
    if not raw:
        raise ModelFileError(f"{path} is TorchScript, but holds no {METADATA} with {', '.join(REQUIRED)}")
    try:
        metadata = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: {METADATA} is no JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise ModelFileError(f"{path}: {METADATA} holds a {type(metadata).__name__}, not an object")
    missing = [key for key in REQUIRED if key not in metadata]
    if missing:
        raise ModelFileError(f"{path}: {METADATA} lacks {', '.join(missing)}")
    version = metadata["format_version"]
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has format version {version}, "
            f"newer than the {FORMAT_VERSION} that this version of schnet_calc reads"
        )
    for key, (fits, rule) in RULES.items():
        if key in metadata and not fits(metadata[key]):
            raise ModelFileError(f"{path}: {key} must be {rule}, got {metadata[key]!r:.200}")
    lacking = {str(z) for z in metadata["elements"]} - set(metadata["reference_energies_ev"])
    if lacking:
        raise ModelFileError(f"{path}: no reference energy for the elements {sorted(lacking)}")
    return metadata


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x)


def _is_atomic_number(x: Any) -> bool:
    return isinstance(x, int) and 1 <= x <= 118


def _are_energies(x: Any) -> bool:
    return isinstance(x, dict) and all(
        k.isascii() and k.isdecimal() and _is_atomic_number(int(k)) and _is_number(e) for k, e in x.items()
    )


RULES = {
    "format_version": (lambda x: isinstance(x, int) and x > 0, "a whole number above zero"),
    "cutoff": (lambda x: x is None or (_is_number(x) and x > 0), "a positive number of Å, or null"),
    "elements": (
        lambda x: isinstance(x, list) and bool(x) and all(map(_is_atomic_number, x)),
        "a list with at least one atomic number",
    ),
    "reference_energies_ev": (_are_energies, "finite energies by atomic number"),
    "dtype": (lambda x: x in ("float32", "float64"), "float32 or float64"),
    "units": (lambda x: x == UNITS, f"{UNITS}, the only units here"),
    "hyperparameters": (lambda x: isinstance(x, dict), "an object"),
    "training": (lambda x: isinstance(x, dict), "an object"),
}
"""What the values of metadata must be, where they are there."""
