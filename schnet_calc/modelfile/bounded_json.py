"""JSON of a file from elsewhere: measured before it is parsed."""

import json
import re
from typing import Any

import numpy as np

LARGEST = 4 * 2**20
"""Bytes; the metadata of a model have some thousand."""
DEEPEST = 32
"""Objects and lists within each other."""
MOST_VALUES = 400_000
"""Values and keys, counted by the signs between them."""
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def parse_bounded(text: bytes) -> Any:
    """Return what a JSON text holds.

    Raises
    ------
    ValueError
        It is none, or larger, deeper or more finely divided than metadata are.
    """
    if len(text) > LARGEST:
        raise ValueError(f"{len(text)} bytes, more than the {LARGEST} that are read")
    signs = np.frombuffer(STRING.sub(b"", text), np.uint8)
    opens = np.isin(signs, tuple(b"[{"))
    depth = int(np.cumsum(opens.astype(np.int64) - np.isin(signs, tuple(b"]}"))).max(initial=0))
    if depth > DEEPEST:
        raise ValueError(f"lists and objects {depth} deep, more than the {DEEPEST} that are read")
    values = int(opens.sum() + np.isin(signs, tuple(b",:")).sum())
    if values > MOST_VALUES:
        raise ValueError(f"about {values} values, more than the {MOST_VALUES} that are read")
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
