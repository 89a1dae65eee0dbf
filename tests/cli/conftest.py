"""The command line, called in this process."""

import ase.io
import pytest

from schnet_calc.studies.c20 import dodecahedron


@pytest.fixture
def cage(tmp_path, request):
    """C20 off its minimum, by a module's RATTLED, Å."""
    atoms = dodecahedron()
    atoms.rattle(getattr(request.module, "RATTLED", 0.05), seed=0)
    ase.io.write(tmp_path / "cage.xyz", atoms)
    return tmp_path / "cage.xyz"
