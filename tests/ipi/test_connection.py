"""Addresses."""

import pytest

from schnet_calc.ipi import (
    Address,
)


@pytest.mark.parametrize("length", [107, 108])
def test_paths_of_unix_sockets_have_a_limit(length):
    prefix = "/tmp/" + "x" * (length - 6)
    if length <= 107:
        assert Address(unix="y", prefix=prefix).path.endswith("xy")
        return
    with pytest.raises(ValueError, match=r"at most 107 bytes.* has 108"):
        Address(unix="y", prefix=prefix)


def test_ports_are_checked():
    with pytest.raises(ValueError, match="between 1 and 65535, got 70000"):
        Address(port=70000)
