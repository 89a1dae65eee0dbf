"""The archive that a model file is: read once, checked before anything in it is believed or run."""

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from schnet_calc.errors import ModelFileError

METADATA, WEIGHTS, GRADES = "metadata.json", "weights.safetensors", "grades.safetensors"
DEBUG = ".debug_pkl"
"""End of the names of TorchScript's debug entries, which hold paths of the machine that made them."""
LARGEST_FILE = 2**30
"""Bytes; larger files are refused before they are read."""
LARGEST_ENTRY = 2**30
"""Bytes that an entry may have when it is unpacked."""
LARGEST_RATIO = 4
"""Times that an entry beyond a MiB may grow when it is unpacked; entries are written as they are."""
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


class Archive(NamedTuple):
    """A checked model file in memory."""

    entries: dict[str, bytes]
    """All entries by their names within the archive's folder."""

    @property
    def metadata(self) -> bytes:
        """The JSON text; empty if there is none."""
        return self.entries.get(f"extra/{METADATA}", b"")

    @property
    def weights(self) -> bytes:
        """The safetensors inside; empty if there are none."""
        return self.entries.get(f"extra/{WEIGHTS}", b"")

    @property
    def grades(self) -> bytes:
        """Statistics for the guard, see :mod:`~schnet_calc.modelfile.grades`; empty if there are none."""
        return self.entries.get(f"extra/{GRADES}", b"")

    def rebuilt(self) -> bytes:
        """An archive of what was checked, and of nothing else, for ``torch.jit.load``.

        The file itself is never handed on: another reader may see other entries in the same bytes.
        """
        return write_archive(self.entries)


def read_archive(path: Path) -> Archive:
    """Read and check a model file.

    Raises
    ------
    ModelFileError
        No archive, too large, cut short or damaged; entries that escape their folder, occur twice (names
        that differ by case only are the same), or grow beyond measure; contents without their hash.
    """
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ModelFileError(f"{path} has {size} bytes, but a model file has at most {LARGEST_FILE}")
    content = path.read_bytes()
    if content.count(b"PK\x01\x02") > 2 * MOST_ENTRIES:  # each entry of the directory begins like that
        raise ModelFileError(f"{path}: more than {MOST_ENTRIES} entries, the most that a model has")
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
    return Archive(entries)


def contents_sha256(entries: dict[str, bytes]) -> str:
    """Return the hash of all entries of an archive, by their names within its folder, but the metadata."""
    return entries_sha256({name: x for name, x in entries.items() if name != f"extra/{METADATA}"})


def entries_sha256(entries: dict[str, bytes]) -> str:
    """Return the hash of entries by name."""
    digest = hashlib.sha256()
    for name in sorted(entries):
        digest.update(f"{name} {len(entries[name])}\n".encode())
        digest.update(entries[name])
    return digest.hexdigest()


def add_metadata(content: bytes, metadata: dict[str, Any]) -> bytes:
    """Return the archive of a network with metadata and the hash of everything else, without debug entries."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {k: v for k, v in _entries(archive).items() if not k.endswith(DEBUG)}
    return with_metadata(entries, metadata)


def with_metadata(entries: dict[str, bytes], metadata: dict[str, Any]) -> bytes:
    """Return the archive of entries with these metadata and the hash of everything else."""
    metadata = {**metadata, "contents_sha256": contents_sha256(entries)}
    return write_archive({**entries, f"extra/{METADATA}": json.dumps(metadata, indent=1).encode()})


def write_archive(entries: dict[str, bytes]) -> bytes:
    """Return a zip archive of entries in one folder, stored as they are; equal entries are equal files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, value in entries.items():
            archive.writestr(zipfile.ZipInfo(f"model/{name}"), value)  # no date
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
        if name.casefold() in seen:
            raise ModelFileError(f"{path}: the entry {name!r} occurs twice")
        seen.add(name.casefold())
        if entry.file_size > LARGEST_ENTRY or (
            entry.file_size > 2**20 and entry.file_size > LARGEST_RATIO * entry.compress_size
        ):
            raise ModelFileError(
                f"{path}: the entry {name!r} would be {entry.file_size} bytes from {entry.compress_size}, "
                f"more than {LARGEST_ENTRY} or {LARGEST_RATIO} times as many"
            )
