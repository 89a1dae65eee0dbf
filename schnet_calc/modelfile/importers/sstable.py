"""The index of a TensorFlow checkpoint: a sorted table in the format of LevelDB, read by hand.

A table is blocks of entries and a footer that says where the block of blocks is. Keys share their beginning with
the key before. Numbers are written seven bits at a time, lowest first. Every block has a checksum behind it.
"""

import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray

FOOTER = 48
LARGEST = 2**20
"""Bytes of an index; that of a model has some thousand."""
LONGEST_KEY = 500
MAGIC = bytes.fromhex("57fb808b247547db")
POLYNOMIAL = 0x82F63B78
"""Of CRC-32C, bits reversed."""
LANES = 512
"""Pieces of data whose checksums are computed side by side."""


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Return the entries of a table.

    Raises
    ------
    ValueError
        It is damaged, compressed, or larger than that of a model.
    """
    if not FOOTER <= len(data) < LARGEST or not data.endswith(MAGIC):
        raise ValueError("no table, or too large")
    at = len(data) - FOOTER
    _, at = varint(data, at)
    _, at = varint(data, at)
    offset, at = varint(data, at)
    size, _ = varint(data, at)
    entries: dict[bytes, bytes] = {}
    read = 0
    for handle in _block(data, offset, size).values():
        offset, at = varint(handle, 0)
        size, _ = varint(handle, at)
        read += size
        if read > len(data):
            raise ValueError("blocks that overlap")
        entries.update(_block(data, offset, size))
    return entries


def _block(data: bytes, offset: int, size: int) -> dict[bytes, bytes]:
    content, trailer = data[offset : offset + size], data[offset + size : offset + size + 5]
    if len(trailer) != 5 or size < 4:
        raise ValueError("cut short")
    if trailer[0] != 0:
        raise ValueError("compressed (snappy): not read here")
    if masked_crc32c(content + trailer[:1]) != struct.unpack("<I", trailer[1:])[0]:
        raise ValueError("a checksum that doesn't fit")
    restarts = struct.unpack("<I", content[-4:])[0]
    end = size - 4 * (restarts + 1)
    entries, key, at = {}, b"", 0
    while at < end:
        shared, at = varint(content, at)
        unshared, at = varint(content, at)
        length, at = varint(content, at)
        if shared > len(key) or at + unshared + length > end or shared + unshared > LONGEST_KEY:
            raise ValueError("cut short, or with longer names than variables have")
        key = key[:shared] + content[at : at + unshared]
        at += unshared + length
        entries[key] = content[at - length : at]
    return entries


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place behind it.

    Raises
    ------
    ValueError
        It is cut short, or has more than 64 bits.
    """
    value = 0
    for i in range(10):
        if at + i >= len(data):
            break
        value |= (data[at + i] & 0x7F) << (7 * i)
        if data[at + i] < 0x80:
            return value, at + i + 1
    raise ValueError("a number that doesn't end")


def masked_crc32c(data: bytes) -> int:
    """Return the checksum as such files store it: rotated, plus a constant."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of data; long ones in pieces side by side, each then moved to its place.

    The checksum is linear: that of two pieces is that of the first, followed by as many zeros as the second
    has bytes, plus (exclusive or) that of the second.
    """
    length = len(data) // LANES
    crc, table = 0xFFFFFFFF, _table()
    if length > 64:
        lanes = np.frombuffer(data, np.uint8, LANES * length).reshape(LANES, length)
        state = np.zeros(LANES, np.uint32)
        for column in lanes.T:
            state = table[(state ^ column) & 0xFF] ^ (state >> 8)
        # One bit at a time, the same zeros show where every bit of a checksum goes.
        moved = 1 << np.arange(32, dtype=np.uint32)
        for _ in range(length):
            moved = table[moved & 0xFF] ^ (moved >> 8)
        bits = np.arange(32)
        for lane in state:
            crc = int(np.bitwise_xor.reduce(moved[(crc >> bits) & 1 == 1], initial=0)) ^ int(lane)
        data = data[LANES * length :]
    for byte in data:
        crc = int(table[(crc ^ byte) & 0xFF]) ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(POLYNOMIAL), table >> 1).astype(np.uint32)
    return table
