"""The command line, called in this process."""

import ase.io
import pytest

from schnet_calc import cli
from schnet_calc.studies.c20 import dodecahedron


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Call the command line; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["schnet-calc", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


@pytest.fixture
def cage(tmp_path):
    atoms = dodecahedron()
    atoms.rattle(0.05, seed=0)
    ase.io.write(tmp_path / "cage.xyz", atoms)
    return tmp_path / "cage.xyz"
