"""Names from files reach a page as text."""

import re

from matplotlib.figure import Figure

from schnet_calc.report.page import Commands, Page, Picture, Section, Structure3D, Table, Text, write_page
from schnet_calc.report.sections import model_section

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
