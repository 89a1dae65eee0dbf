"""Measured spectra: columns of numbers, or JCAMP-DX."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schnet_calc.errors import DataError

NUMBER = re.compile(r"[+-]?\d+\.?\d*(?:[eE][+-]?\d+)?")


def read_measured(path: str | Path) -> NDArray[np.float64]:
    """Read a measured spectrum.

    Parameters
    ----------
    path : path
        Columns of wavenumbers, cm⁻¹, and maybe intensities, separated by commas or spaces; or JCAMP-DX
        (``.jdx``, ``.dx``) with evenly spaced ``(X++(Y..Y))`` data, transmittance or absorbance.

    Returns
    -------
    array
        (K, 2) cm⁻¹, and intensities of which the largest is one; all one where the file has none.

    Raises
    ------
    DataError
        The file holds something else.
    """
    path = Path(path)
    text = path.read_text(errors="replace")
    if path.suffix.lower() in (".jdx", ".dx") or text.lstrip().startswith("##"):
        return _jcamp(path, text)
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            rows.append([float(x) for x in line.replace(",", " ").split()][:2])
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {line.strip()[:60]!r} are no numbers") from error
    if not rows or len({len(r) for r in rows}) != 1:
        raise DataError(f"{path} holds no table of wavenumbers and intensities")
    values = np.array(rows)
    if values.shape[1] == 1:
        values = np.column_stack((values, np.ones(len(values))))
    return _normalised(values)


def _jcamp(path: Path, text: str) -> NDArray[np.float64]:
    labels = {k.strip().upper(): v.strip() for k, v in re.findall(r"##([^=\n]+)=([^\n]*)", text)}
    try:
        first, last = float(labels["FIRSTX"]), float(labels["LASTX"])
        factor = float(labels.get("YFACTOR", "1"))
    except (KeyError, ValueError) as error:
        raise DataError(f"{path} lacks FIRSTX, LASTX or YFACTOR of JCAMP-DX ({error})") from error
    body = re.search(r"##XYDATA=[^\n]*\n(.*?)##END", text, re.S | re.I)
    if body is None:
        raise DataError(f"{path} holds no XYDATA")
    heights = []
    for line in body[1].splitlines():
        heights += [float(x) for x in NUMBER.findall(line)[1:]]  # the first is where the line begins
    if len(heights) < 2:
        raise DataError(f"{path} holds no XYDATA that can be read: only plain numbers are")
    y = factor * np.array(heights)
    if "TRANS" in labels.get("YUNITS", "").upper():
        y = -np.log10(np.clip(y / max(y.max(), 1e-12), 1e-4, None))
    return _normalised(np.column_stack((np.linspace(first, last, len(y)), y)))


def _normalised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = values[np.argsort(values[:, 0])]
    top = values[:, 1].max()
    values[:, 1] /= top if top > 0 else 1.0
    return values
