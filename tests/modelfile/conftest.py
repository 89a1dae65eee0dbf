"""Files that must not be loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile import load_potential


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[bytes, str], None]:
    """See that a file of these bytes is refused with a message."""

    def see(content: bytes, message: str) -> None:
        path = tmp_path / "refused.pt"
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=message):
            load_potential(path)

    return see
