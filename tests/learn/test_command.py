"""The command: files in, a table, a page and an exit status out."""

import ase.io
import pytest
from ase.build import molecule

from schnet_calc.cli.console import DOUBTFUL
from schnet_calc.cli.learn import LearnOutput, learn
from schnet_calc.learn import LearnSettings

pytestmark = pytest.mark.slow

REFERENCE = "from ase.calculators.emt import EMT\n\ndef calculator():\n    return EMT()\n"


def test_a_file_of_ones_own_and_several_starts(tiny, tmp_path, capsys):
    (tmp_path / "my_dft.py").write_text(REFERENCE)
    stretched = molecule("H2O")
    stretched.positions[1] *= 1.1
    ase.io.write(tmp_path / "water.xyz", [molecule("H2O"), stretched])
    settings = LearnSettings(**{**tiny, "rounds": 1})
    with pytest.raises(SystemExit) as ended:
        learn(
            tmp_path / "water.xyz",
            calculator=tmp_path / "my_dft.py",
            settings=settings,
            out=LearnOutput(tmp_path / "learned", tmp_path / "numbers.json"),
        )
    assert ended.value.code == DOUBTFUL
    told = capsys.readouterr()
    assert "minimum that is known already" in told.err
    assert "trusted" in told.out
    assert (tmp_path / "learned" / "index.html").exists()
    assert (tmp_path / "numbers.json").exists()


def test_nothing_to_start_from():
    with pytest.raises(ValueError, match="no structure to start from"):
        learn()
