"""Pages: what they hold, what they refuse, and how they behave in a real browser."""

import html
import json
import re
import shutil
import sys
import time

import ase.io
import numpy as np
import pytest
from ase.build import molecule

from helpers import remember_figures
from schnet_calc import SchNetCalculator
from schnet_calc.cli import app
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.report import write_report
from schnet_calc.simulate.md import MDSettings, run_md
from schnet_calc.simulate.mode_comparison import compare_modes
from schnet_calc.simulate.modes import NormalModes, normal_modes, write_modes
from schnet_calc.simulate.pimd import run_pimd
from schnet_calc.simulate.relax import relax

pytestmark = pytest.mark.slow

DRIVER = shutil.which("chromedriver")


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",  # 3-D without a graphics card
    "--enable-unsafe-swiftshader",
)


@pytest.fixture(scope="module")
def c20_study(tmp_path_factory):
    """The folder of the command, and the figures in it."""
    folder = tmp_path_factory.mktemp("c20") / "study"
    with pytest.MonkeyPatch.context() as monkeypatch:
        figures = remember_figures(monkeypatch)
        command("c20", "--time", "0.1", "-o", folder)
    return folder, figures


@pytest.fixture(scope="module")
def c20_folder(c20_study):
    return c20_study[0]


def command(*arguments):
    words = [str(a) for a in arguments]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sys, "argv", ["schnet-calc", *words])  # what runs note as typed
        app(words, result_action="return_value")


@pytest.fixture(scope="module")
def ethanol_folder(tmp_path_factory):
    """What the commands of a user leave behind, and a run with another model among it."""
    folder = tmp_path_factory.mktemp("ethanol")
    ase.io.write(folder / "start.xyz", molecule("CH3CH2OH"))
    relaxed = folder / "relaxed.xyz"
    command("relax", folder / "start.xyz", "--model", "ethanol", "--fmax", "1e-4", "-o", relaxed)
    atoms = ase.io.read(relaxed)
    calculator, other = (SchNetCalculator(m, dtype="float64") for m in ("ethanol", "ethanol_dtnn"))
    modes = normal_modes(atoms, calculator)
    compared = {"reference": "DTNN", **compare_modes(modes, normal_modes(atoms, other)).to_dict()}
    write_modes(folder / "modes.json", modes, calculator, {"comparison": compared})
    md = ("md", relaxed, "--model", "ethanol", "--temperature", "300")
    command(*md, "--time", "0.05", "--thermostat", "none", "-o", folder / "my nve")
    command(*md, "--time", "0.4", "-o", folder / "md")
    run_md(atoms, other, MDSettings(300, 0.01), folder / "other")
    command(*md, "--time", "0.01", "--replicas", "2", "-o", folder / "copies")
    run_pimd(
        atoms, "ethanol", PIMDSettings(beads=2, temperature=300, time=0.05), folder / "pimd", device="cpu"
    )
    write_report(folder)
    return folder


def test_the_study_of_c20(c20_study):
    c20_folder, figures = c20_study
    page = (c20_folder / "index.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 5
    assert page.count('id="stick-') == 54
    for text in ("surrogate", "Beside the thesis", "1.25 ns, 8 beads", "Seeds: 0", "weights"):
        assert text in page
    numbers = json.loads((c20_folder / "c20.json").read_text())
    assert len(numbers["frequency_errors_cm1"]) == 54
    assert numbers["classical"]["diameter"]["mean_ang"] == pytest.approx(4.1, abs=0.3)
    assert numbers["path_integral"]["beads"] == 8
    spreads = [numbers[k]["nearest_neighbors"]["spread_ang"] for k in ("path_integral", "classical")]
    assert spreads[0] > spreads[1]
    stems = ("cage", "spectrum", "dynamics", "thermostat", "distributions", "pimd")
    assert set(figures) == {f"{stem}.{kind}" for stem in stems for kind in ("png", "svg")}
    assert all((c20_folder / name).is_file() for name in figures)
    cage = figures["cage.png"].axes[0]
    assert len(cage.collections[0].get_offsets()) == 20
    assert sum(len(line.get_xdata()) == 2 for line in cage.lines) == 30
    for ax in figures["dynamics.png"].axes:
        assert all(np.isfinite(line.get_ydata()).all() for line in ax.lines)
    for ax in figures["distributions.png"].axes:
        assert len(ax.get_legend_handles_labels()[1]) >= 1


def test_a_page_of_any_molecule(ethanol_folder):
    page = html.unescape((ethanol_folder / "index.html").read_text())
    for text in (
        "C2H6O",
        "The relaxation converged",
        "21 harmonic frequencies, none of them imaginary",
        "my nve, without thermostat",
        "md, langevin thermostat",
        "The frame with the largest grade",
        "Left out: other (another model).",
        "Conserved quantity and temperature of the beads",
        "PBE+vdW-TS",
        "schnet-calc pimd relaxed.xyz --model ethanol --temperature 300 --time 0.05 --beads 2 --timestep 0.5",
        "schnet-calc md relaxed.xyz --model ethanol --temperature 300 --time 0.05 --thermostat none",
        "-o 'my nve'",
    ):
        assert text in page, text
    assert re.search(r"DTNN has its minimum 0\.0[01]\d Å from the model's", page)
    write_report(ethanol_folder)  # once more over itself
    again = html.unescape((ethanol_folder / "index.html").read_text())
    assert [again.count(x) for x in ("<h2>", "<figure", "<tr>")] == [
        page.count(x) for x in ("<h2>", "<figure", "<tr>")
    ]


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    if DRIVER is None or CHROMIUM is None:
        pytest.skip("no Chromium with its driver here (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def show(browser, folder, width, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((folder / "index.html").as_uri())


def click(browser, selector):
    """As scripts do it: a click at a place would have to wait for the animation's frames."""
    found = browser.execute_script(
        "const e = document.querySelector(arguments[0]);"
        "if (e) e.dispatchEvent(new MouseEvent('click', {bubbles: true})); return !!e;",
        selector,
    )
    assert found, selector


def mode(browser):
    return browser.execute_script("return document.body.dataset.mode")


@pytest.mark.parametrize(
    ("which", "n_modes", "width", "scheme"),
    [("c20_folder", 54, 1280, "light"), ("ethanol_folder", 21, 390, "dark")],
)
def test_in_a_browser(request, browser, which, n_modes, width, scheme):
    show(browser, request.getfixturevalue(which), width, scheme)
    script = browser.execute_script
    assert script("return document.querySelectorAll('button[data-mode]').length") == n_modes
    assert script("return document.querySelectorAll('.viewer canvas').length") == 2
    assert script("return [...document.images].every((i) => i.complete && i.naturalWidth > 0)")
    assert script("return document.documentElement.scrollWidth") <= width
    assert script("return getComputedStyle(document.querySelector('.still')).display") == "none"
    background = script("return getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 28)"}[scheme]

    click(browser, 'button[data-mode="3"]')
    assert mode(browser) == "3"
    assert script("return document.getElementById('now').textContent").startswith("Mode 4 of")
    first, deadline = frame(browser), time.monotonic() + 30
    while frame(browser) == first:  # it moves
        assert time.monotonic() < deadline
    click(browser, 'button[data-mode="3"]')
    assert mode(browser) == ""
    click(browser, '[id="stick-5"]')
    assert mode(browser) == "5"
    click(browser, 'button[data-mode="5"]')
    click(browser, "#labels")

    severe = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert severe == []
    events = [json.loads(e["message"])["message"] for e in browser.get_log("performance")]
    asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
    assert asked
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}


def frame(browser):
    return browser.execute_script("return document.querySelector('#vibration canvas').toDataURL()")


def test_in_print_a_still_picture_takes_the_place(browser, ethanol_folder):
    show(browser, ethanol_folder, 800, "light")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    display = "return getComputedStyle(document.querySelector(arguments[0])).display"
    assert browser.execute_script(display, ".still") == "block"
    assert browser.execute_script(display, ".live") == "none"


def test_modes_survive_their_file(ethanol_folder):
    values = json.loads((ethanol_folder / "modes.json").read_text())
    again = NormalModes.from_dict(values)
    assert again.to_dict().items() <= values.items()
    vibrations = again.vibrations.get_frequencies().real[6:]
    np.testing.assert_allclose(vibrations, again.frequencies, rtol=1e-3)


def test_what_cannot_be_shown_is_named(ethanol_folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="holds no results of 'schnet-calc relax'"):
        write_report(tmp_path)
    for name in ("relaxed.json", "relaxed.xyz"):
        shutil.copy(ethanol_folder / name, tmp_path / name)
    (tmp_path / "not_ours.json").write_text("{broken")
    assert "C2H6O" in write_report(tmp_path).read_text()
    shutil.copy(tmp_path / "relaxed.json", tmp_path / "again.json")
    with pytest.raises(ValueError, match="a page shows one relaxation, and here are 2"):
        write_report(tmp_path)
    (tmp_path / "again.json").unlink()
    shutil.copytree(ethanol_folder / "pimd", tmp_path / "pimd")
    identity = tmp_path / "pimd" / "pimd.json"
    identity.write_text(identity.read_text().replace('"model": ["', '"model": ["0'))
    with pytest.raises(ValueError, match="of another model than the rest"):
        write_report(tmp_path)
    shutil.rmtree(tmp_path / "pimd")
    values = json.loads((ethanol_folder / "modes.json").read_text())
    values["atoms"]["numbers"][0] = 7
    (tmp_path / "modes.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match="of another molecule than the rest"):
        write_report(tmp_path)


def test_odd_folders(ethanol_folder, tmp_path):
    """Whatever lies about is no reason to fail."""
    shutil.copy(ethanol_folder / "relaxed.json", tmp_path / "numbers.json")
    for name, text in {"md.json": '{"time_ps": 1}', "list.json": "[1]", "pimd.json": "{}"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "folder.json").mkdir()
    shutil.copytree(ethanol_folder / "md", tmp_path / "killed")
    (tmp_path / "killed" / "md.csv").write_text("time_ps,potential_ev,kinetic_ev,total_ev,temperature_k\n")
    assert "killed (too short)" in write_report(tmp_path).read_text()
    values = json.loads((tmp_path / "numbers.json").read_text())
    values["model"] = [{"name": "gone.pt", "sha256": "0"}, {"name": "ethanol", "sha256": "1"}]
    (tmp_path / "numbers.json").write_text(json.dumps(values))
    page = write_report(tmp_path).read_text()
    assert "with the model gone.pt+ethanol." in page
    assert "no model file" in page
    assert "the file has others now" in page
    assert "killed (another model)" in page
    values["atoms"]["pbc"] = [True] * 3
    (tmp_path / "numbers.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match="of a periodic structure"):
        write_report(tmp_path)


def test_atoms_without_bonds_have_a_page(tmp_path):
    pair = molecule("CH3CH2OH")[[0, 2]]  # two carbon atoms, pulled apart
    pair.positions[1] = pair.positions[0] + (3.4, 0, 0)
    ase.io.write(tmp_path / "pair.xyz", pair)
    with pytest.raises(SystemExit) as end:  # the model knows no such pair, and says so
        command(
            *("md", tmp_path / "pair.xyz", "--model", "ethanol", "--temperature", "10", "--time", "0.3"),
            *("-o", tmp_path / "md"),
        )
    assert end.value.code == 3
    calculator = SchNetCalculator("ethanol", dtype="float64")
    record = {"task": "relaxation", **calculator.todict(), **relax(pair, calculator, steps=0).to_dict()}
    record["atoms"]["positions_ang"] = pair.positions.tolist()
    (tmp_path / "relaxed.json").write_text(json.dumps(record))
    page = write_report(tmp_path).read_text()
    assert "did not converge" in page
    assert "bond lengths" not in page
