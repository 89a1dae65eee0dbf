"""Every example, and every Python snippet of the README, at small size."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import DATA

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NEED_DATA = {"train_ethanol"}


def run(arguments, folder):
    environment = {**os.environ, "CI": "1", "SCHNET_CALC_DATA": str(DATA)}
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example(path, tmp_path):
    if path.stem in NEED_DATA and not DATA.is_dir():
        pytest.skip(f"no reference data in {DATA}; set SCHNET_CALC_DATA")
    assert run([str(path)], tmp_path).strip()


def test_readme_snippets(tmp_path):
    snippets = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    assert snippets
    for snippet in snippets:
        run(["-c", snippet], tmp_path)
