"""The original MD17 files from their authors' server; only ever on request."""

import hashlib
from pathlib import Path

import numpy as np

from schnet_calc.folders import replace_text

MD17_URL = "http://www.quantum-machine.org/gdml/data/npz/"
ORIGINAL = {"benzene": "benzene2017", "salicylic_acid": "salicylic"}
"""Names on the server where they differ from ours."""
CHECKSUMS = "SHA256SUMS"


def fetch_md17(molecule: str, folder: str | Path, url: str = MD17_URL) -> Path:
    """Download a molecule's file, unless it is there, and check it.

    The authors publish no checksums, but every file holds a fingerprint of its arrays: it is compared,
    and the SHA-256 of the file is written to ``SHA256SUMS`` beside it, which later calls compare with.

    Parameters
    ----------
    molecule : str
        Such as ``"ethanol"``.
    folder : path
        Where it goes, as ``md17_NAME.npz``.
    url : str
        Of the server's folder.

    Raises
    ------
    ImportError
        The extra ``fetch`` is not installed.
    ValueError
        The file is damaged, or not the one that was downloaded first.
    OSError
        The server can't be reached.
    """
    try:
        import pooch
    except ImportError as error:
        raise ImportError("downloads need the extra: pip install 'schnet-calc[fetch]'") from error
    folder = Path(folder)
    path = folder / f"md17_{molecule}.npz"
    known = _checksums(folder)
    if not path.exists():
        partial = path.with_suffix(".part.npz")
        partial.unlink(missing_ok=True)
        source = f"{url}md17_{ORIGINAL.get(molecule, molecule)}.npz"
        pooch.retrieve(source, known_hash=known.get(path.name), fname=partial.name, path=folder)
        _check_fingerprint(partial)
        partial.replace(path)
    digest = pooch.file_hash(str(path))
    if known.setdefault(path.name, digest) != digest:
        raise ValueError(f"{path} has the SHA-256 {digest}, but {CHECKSUMS} says {known[path.name]}")
    lines = (f"{digest}  {name}\n" for name, digest in sorted(known.items()))
    replace_text(folder / CHECKSUMS, "".join(lines))
    return path


def _check_fingerprint(path: Path) -> None:
    """Compare the arrays of a file with the MD5 that it holds: that of the MD5s of z, R, E and F."""
    with np.load(path, allow_pickle=False) as archive:
        if "md5" not in archive:
            raise ValueError(f"{path.name} holds no fingerprint: it is not an original MD17 file")
        digests = [hashlib.md5(archive[k].ravel().tobytes()).digest() for k in ("z", "R", "E", "F")]
        said = archive["md5"].item()
    said = said.decode() if isinstance(said, bytes) else str(said)
    found = hashlib.md5(b"".join(digests)).hexdigest()
    if found != said:
        raise ValueError(f"{path.name} is damaged: its fingerprint is {found}, but it says {said}")


def _checksums(folder: Path) -> dict[str, str]:
    path = folder / CHECKSUMS
    if not path.exists():
        return {}
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    return {name: digest for digest, name in lines}
