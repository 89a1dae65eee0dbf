"""What a page says of how to repeat it."""

from pathlib import Path
from types import SimpleNamespace

from schnet_calc.cli import console
from schnet_calc.folders import COMMANDS, commands_noted
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.report.molecule_page import _commands
from schnet_calc.report.page import Table
from schnet_calc.report.page_spectra import dynamic_spectra, infrared_parts
from schnet_calc.report.sections import vibration_tables


def findings(**what):
    """What a folder holds, as far as commands ask for it."""
    return SimpleNamespace(
        **{
            "model_names": "h2co",
            "relaxation": None,
            "modes": None,
            "vibrations": {},
            "comparison": None,
            "runs": [],
            "spectra": [],
            "pimd": None,
            "replicas": 16,
            **what,
        }
    )


def test_every_option_that_was_given_is_named():
    settings = PIMDSettings(
        temperature=300.0, time=10.0, beads=16, method="trpmd", frame_stride=5, transport="socket", seed=3
    )
    run = SimpleNamespace(table=lambda: {"time_ps": [0.0, 2.0]}, trajectory=Path("nowhere/md.traj"))
    md = {"temperature": 300.0, "thermostat": "nose-hoover", "pressure": 0.5, "interval": 7, "model": "abc"}
    found = findings(
        modes=object(),
        vibrations={"anharmonic": {}, "thermochemistry": {"temperature_k": 350.0}},
        runs=[("run", run, md)],
        pimd=SimpleNamespace(settings=settings, directory=Path("beads")),
    )
    modes, classical, quantum, report = _commands(found)
    assert modes == ("schnet-calc modes relaxed.xyz --model h2co --anharmonic --temperature 350 -o modes")
    for option in ("--time 2", "--pressure 0.5", "--interval 7", "--thermostat nose-hoover", "-o run"):
        assert option in classical
    for option in (
        *("--method trpmd", "--frame-stride 5", "--transport socket", "--beads 16", "--seed 3"),
        "--driver batch --replicas 16 -o beads",
    ):
        assert option in quantum
    assert report == "schnet-calc report ."


def test_commands_are_repeated_as_they_were_typed():
    typed = "schnet-calc modes relaxed.xyz --model h2co --isotope H=2.014 --pressure 2e5 -o modes"
    replicas = {"temperature": 300.0, "thermostat": "none", "replicas": [4, 4, 4]}
    run = SimpleNamespace(table=lambda: {"time_ps": [0.0, 2.0]}, trajectory=Path("nowhere/md.traj"))
    found = findings(
        relaxation={"command": "schnet-calc relax 'my file.xyz' --model h2co --fmax 1e-4"},
        modes=object(),
        vibrations={"command": typed},
        runs=[("many", run, replicas)],
    )
    relax, modes, classical, _ = _commands(found)
    assert relax == found.relaxation["command"]
    assert modes == typed
    assert "--replicas 3" in classical


def test_runs_and_spectra_are_repeated_as_they_were_typed(tmp_path):
    (tmp_path / "md").mkdir()
    typed = [
        "schnet-calc md 'my file.xyz' --model h2co --dtype float64 --device cpu --on-doubt ignore --time 1 -o md",
        "schnet-calc md 'my file.xyz' --model h2co --dtype float64 --time 2 --resume -o md",
    ]
    (tmp_path / "md" / COMMANDS).write_text("\n".join(typed) + "\n")
    spectrum = "schnet-calc spectrum md --model h2co --resolution 7 --json spectrum.json"
    run = SimpleNamespace(trajectory=tmp_path / "md" / "md.traj", table=lambda: {"time_ps": [0.0, 2.0]})
    found = findings(
        runs=[("md", run, {"thermostat": "none"})],
        spectra=[("spectrum.json", {"classical": {"command": spectrum}}), ("old.json", {"classical": {}})],
    )
    assert _commands(found) == [*typed, spectrum, "schnet-calc report ."]


def test_a_command_is_noted_once_it_runs(tmp_path, monkeypatch):
    steps = []
    for words in (["md", "--time", "1"], ["md", "--time", "2", "--resume"]):
        monkeypatch.setattr(console.sys, "argv", ["schnet-calc", *words])
        told = console.noting(tmp_path, lambda *step: steps.append(step))
        before = len(commands_noted(tmp_path))
        for step in range(3):
            told(step, None)
        assert len(commands_noted(tmp_path)) == before + 1
    assert commands_noted(tmp_path) == ["schnet-calc md --time 1", "schnet-calc md --time 2 --resume"]
    assert steps == [(0, None), (1, None), (2, None)] * 2


def test_infrared_lines_stand_at_the_best_places(tmp_path):
    record = {"frequencies_cm1": [1200.0, 1550.0], "intensities_km_mol": [5.0, 60.0]}
    picture, table = infrared_parts(record, tmp_path)
    assert "harmonic" in picture.caption
    assert list(table.rows)[1] == ["2", "1550.0", "60.0"]
    _, table = infrared_parts(record | {"anharmonic": {"fundamentals_cm1": [1180.0, 1520.0]}}, tmp_path)
    assert next(iter(table.rows)) == ["1", "1180.0", "5.0"]
    assert infrared_parts({"frequencies_cm1": [1200.0]}, tmp_path) == []


def test_spectra_of_the_dynamics_are_drawn_from_their_file(tmp_path):
    one = {"wavenumbers_cm1": [0.0, 1000.0, 2000.0], "intensity": [0.0, 2.0, 1.0], "error": [0.0, 0.1, 0.1]}
    both = {
        **{"temperature_k": {"value": 290.0, "error": None}, "asked_temperature_k": 300.0},
        **{"notes": ["short"], "vibrational": one, "infrared": None},
    }
    picture, table = dynamic_spectra(findings(spectra=[("spectrum.json", {"classical": both})]), tmp_path)
    assert (
        picture.caption
        == "From spectrum.json. Bands are jackknife errors over replicas; dotted, the harmonic lines."
    )
    alone = {"classical": both | {"vibrational": one | {"error": [0.0, 0.0, 0.0]}}}
    picture, _ = dynamic_spectra(findings(spectra=[("spectrum.json", alone)]), tmp_path)
    assert picture.caption == "From spectrum.json. Dotted, the harmonic lines."
    assert ("temperature", "290.0 K, 300 K asked for") in list(table.rows)


def test_anharmonic_frequencies_and_thermochemistry_stand_on_the_page():
    record = {
        "anharmonic": {"harmonic_cm1": [1200.0, 1550.5], "fundamentals_cm1": [1180.0, 1520.0]},
        "thermochemistry": {
            **{"temperature_k": 298.15, "pressure_pa": 101325.0},
            **{"enthalpy_ev": 0.75, "entropy_ev_k": 0.0023, "gibbs_energy_ev": 0.07},
        },
    }
    tables = [part for part in vibration_tables(record) if isinstance(part, Table)]
    assert list(tables[0].rows)[1] == ["2", "1550.5", "1520.0", "-30.5"]
    assert ["entropy", "2.3000 meV/K"] in list(tables[1].rows)
    assert vibration_tables({}) == []
