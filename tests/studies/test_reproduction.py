"""The page of all tables and figures."""

from functools import partial

import pytest

from schnet_calc import plots
from schnet_calc.studies.reproduction import (
    page as page_module,
    stages as stages_module,
    write_reproduction,
)
from schnet_calc.studies.reproduction.page import CATALOGUE
from schnet_calc.studies.reproduction.pieces import Stage


@pytest.fixture
def stages(monkeypatch):
    """Two stages: one that finds something, one whose data are elsewhere."""
    calls = []

    def finds(pieces, data, progress):
        calls.append(data)
        pieces.table("Table 5.3", ["energy", "ours", "theirs"], [["benzene", "0.073", "0.08"]])
        figure, axes = plots.new_figure(2, 2)
        axes.plot([0, 1])
        pieces.figure("Figure 4.3", figure, "activations", "Two functions.")

    def lacks(pieces, data, progress):
        raise FileNotFoundError("QM9's data are not here: pip install 'schnet-calc[qm9]'")

    monkeypatch.setattr(page_module, "STAGES", {"finds": Stage(finds, ("c20",)), "lacks": Stage(lacks, ())})
    return calls


def test_every_table_and_figure_has_its_place(stages, tmp_path):
    path = write_reproduction(tmp_path / "page", "schnet-calc reproduce --page", stages=("finds", "lacks"))
    text = path.read_text()
    for entry in CATALOGUE:
        heading = f"<h2>{entry.label}: {entry.title}</h2>"
        row = f'<th scope="row">{entry.label}</th><td>{entry.title}</td>'
        assert (heading in text) == (entry.label in ("Table 5.3", "Figure 4.3"))
        assert (row in text) != (heading in text)
    assert "<td>0.073</td><td>0.08</td>" in text
    assert "qm9" not in text[: text.index("Not at hand")]
    assert "lacks: QM9&#39;s data are not here" in text
    assert "Two functions." in text
    assert f"<b>2</b><span>of {len(CATALOGUE)} tables" in text


def test_what_is_done_is_taken_as_it_is_unless_models_change(stages, tmp_path, monkeypatch):
    from schnet_calc.studies.reproduction import pieces

    for _ in range(2):
        write_reproduction(tmp_path, "command", stages=("finds",))
    assert len(stages) == 1
    monkeypatch.setattr(pieces, "_digest", lambda models: "other")
    write_reproduction(tmp_path, "command", stages=("finds",))
    assert len(stages) == 2


def test_labels_are_unique_and_what_has_none_of_ours_says_why(tmp_path):
    labels = [entry.label for entry in CATALOGUE]
    assert len(set(labels)) == len(labels)
    path = write_reproduction(tmp_path, "command", stages=())
    assert "<b>0</b>" in path.read_text()
    with pytest.raises(ValueError, match="got 'nothing'"):
        write_reproduction(tmp_path, "command", stages=("nothing",))


@pytest.mark.slow
def test_networks_are_looked_into_without_data(run, tmp_path, monkeypatch):
    monkeypatch.setattr(stages_module, "N_POINTS", 31)  # coarse pictures
    monkeypatch.setattr(stages_module, "filter_cuts", partial(stages_module.filter_cuts, n_points=21))
    code, out, err = run("reproduce", "--page", "--stages", "inside", "-o", "page")
    assert code == 0, err
    text = (tmp_path / "page" / "index.html").read_text()
    known = {entry.label: entry.title for entry in CATALOGUE}
    for label in ("Figure 4.3", "Figure 4.4", "Figure 4.5", "Figure 4.9", "Figure 4.15"):
        section = text[text.index(f"{label}: {known[label]}") :]
        assert "<img" in section[: section.index("</section>")]
    code, out, _ = run("reproduce")
    assert code == 0
    assert "md17" in out
