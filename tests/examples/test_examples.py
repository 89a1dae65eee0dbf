"""Every example, at small size."""

import os
import re
import runpy
import shutil
import subprocess
import sysconfig

import pytest

from helpers import DATA, ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
I_PI = sorted(p.parent for p in (ROOT / "examples").glob("ipi_*/input.xml"))
NEED_DATA = {"train_ethanol"}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """A folder of their own; small sizes, as where a service runs them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")
    monkeypatch.setenv("SCHNET_CALC_DATA", str(DATA))


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example(path, capsys, monkeypatch):
    if path.stem in NEED_DATA and not DATA.is_dir():
        pytest.skip(f"no reference data in {DATA}; set SCHNET_CALC_DATA")
    monkeypatch.setattr("sys.argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    out = capsys.readouterr().out
    assert out.strip()
    if path.stem == "proton_transfer":  # beads with a thermostat have no rate
        assert out.count("the density has a barrier of") == 2
        assert "/ps" not in out
        assert "per ps" not in out


@pytest.mark.slow
@pytest.mark.parametrize("folder", I_PI, ids=lambda p: p.name)
def test_commands_of_i_pi_examples(folder, tmp_path):
    """What the README of the example says, as it stands, for a few steps."""
    work = tmp_path / folder.name
    shutil.copytree(folder, work)
    text = (work / "input.xml").read_text()
    assert "<total_steps> 2000 </total_steps>" in text
    (work / "input.xml").write_text(text.replace("> 2000 <", "> 20 <"))
    commands = re.findall(r"```bash\n(.*?)```", (work / "README.md").read_text(), flags=re.S)
    scripts = sysconfig.get_path("scripts")
    result = subprocess.run(
        ["bash", "-c", "\n".join(["set -e; trap 'kill $(jobs -p) || true' EXIT", *commands, "wait"])],
        cwd=work,
        env={**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    (properties,) = work.glob("*.out")
    assert properties.read_text().split("\n")[-2].split()[0].startswith("2.0")
