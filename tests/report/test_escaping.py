"""Names from files reach a page as text."""

import json
import re

import pytest
from ase.build import molecule
from matplotlib.figure import Figure

from helpers import ethanol, write_model
from schnet_calc.learn.result import LearnResult, Round
from schnet_calc.learn.settings import LearnSettings
from schnet_calc.report.learn_page import write_learn_report
from schnet_calc.report.page import Commands, Page, Picture, Section, Structure3D, Table, Text, write_page
from schnet_calc.report.sections import model_section
from schnet_calc.simulate.records import describe

EVIL = "</script><!--<script>alert(1)</script><img src=x onerror=alert(2)>\" onload='alert(3)'"


def test_every_part_of_a_page_escapes_what_it_shows(tmp_path):
    figure = Figure()
    figure.subplots().set_title(EVIL)
    figure.savefig(tmp_path / "a.svg")
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    picture = Picture(svg, EVIL, EVIL, inline=True)
    parts = [
        picture,
        Picture(svg, EVIL, EVIL),
        Table([[EVIL, EVIL]], [EVIL, EVIL], EVIL),
        Text(EVIL),
        Commands([EVIL]),
        Structure3D(picture, [(EVIL, EVIL)]),
    ]
    card = {
        "cutoff": None,
        "dtype": EVIL,
        "architecture": EVIL,
        "training": {"data": EVIL, "command": EVIL},
    }
    sections = [Section(EVIL, parts), model_section(card, EVIL)]
    page = Page(EVIL, EVIL, sections, [(EVIL, EVIL)], {"name": EVIL})
    text = write_page(page, tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "<!--<script>" not in text
    ours = re.findall(r"<script[^>]*>", text)
    assert ours == ['<script type="application/json" id="molecule">', "<script>", "<script>"]


@pytest.mark.slow
def test_names_of_files_and_models_on_a_page(tmp_path, run):
    """From the command line: a structure, a model and a folder whose names are HTML."""
    evil = "<img src=x onerror=alert(1)>"
    (folder := tmp_path / f"{evil} of me").mkdir()
    model = write_model(tmp_path / f"{evil}.pt")
    ethanol().write(start := tmp_path / f"{evil}.xyz")
    code, _, err = run(
        "relax", str(start), "--model", str(model), "-o", str(folder / "relaxed.xyz"), "--fmax", "100"
    )
    assert code in (0, 3), err
    code, _, err = run("report", str(folder))
    assert code == 0, err
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert "&lt;img src=x" in text
    assert "<img src=x" not in text


def test_names_on_the_page_of_learning(tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    only = Round(0, 20, 40, 0.1, 0.1, 1.0, 0.5, 0.3, 10, 1, True, example=evil)
    proof = {
        "dynamics": {"n_frames": 0},
        "stability": {"stable": False, "reason": evil},
        "frequencies": None,
    }
    result = LearnResult(tmp_path, [tmp_path / evil], [only], False, 20, 40, 1, proof, {"labels": 1.0})
    state = {
        "reference": evil,
        "starts": [describe(molecule("H2O"))],
        "settings": LearnSettings().to_dict(),
        "result": result.to_dict(),
    }
    (tmp_path / "learn.json").write_text(json.dumps(state))
    text = write_learn_report(tmp_path).read_text(encoding="utf-8")
    assert "&lt;img src=x" in text
    assert "<img src=x" not in text
