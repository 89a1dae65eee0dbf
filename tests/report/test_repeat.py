"""What a page says of how to repeat it."""

from types import SimpleNamespace

from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.report.molecule_page import _commands
from schnet_calc.report.page import Table
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
            "pimd": None,
            **what,
        }
    )


def test_every_option_that_was_given_is_named():
    settings = PIMDSettings(
        temperature=300.0, time=10.0, beads=16, method="trpmd", frame_stride=5, transport="socket", seed=3
    )
    run = SimpleNamespace(table=lambda: {"time_ps": [0.0, 2.0]})
    md = {"temperature": 300.0, "thermostat": "nose-hoover", "pressure": 0.5, "interval": 7, "model": "abc"}
    found = findings(
        modes=object(),
        vibrations={"anharmonic": {}, "thermochemistry": {"temperature_k": 350.0}},
        runs=[("run", run, md)],
        pimd=SimpleNamespace(settings=settings, directory=SimpleNamespace(name="beads")),
    )
    modes, classical, quantum, report = _commands(found)
    assert modes == ("schnet-calc modes relaxed.xyz --model h2co --anharmonic --temperature 350 -o modes")
    for option in ("--time 2", "--pressure 0.5", "--interval 7", "--thermostat nose-hoover", "-o run"):
        assert option in classical
    for option in (
        *("--method trpmd", "--frame-stride 5", "--transport socket", "--beads 16", "--seed 3"),
        "-o beads",
    ):
        assert option in quantum
    assert report == "schnet-calc report ."


def test_anharmonic_frequencies_and_thermochemistry_stand_on_the_page():
    record = {
        "anharmonic": {"harmonic_cm1": [1200.0, 1550.5], "fundamentals_cm1": [1180.0, 1520.0]},
        "thermochemistry": {
            **{"temperature_k": 298.15, "pressure_pa": 101325.0},
            **{"enthalpy_ev": 0.75, "entropy_ev_k": 0.0023, "gibbs_energy_ev": 0.07},
        },
    }
    tables = [part for part in vibration_tables(record) if isinstance(part, Table)]
    assert list(tables[0].rows)[1] == ["1", "1550.5", "1520.0", "-30.5"]
    assert ["entropy", "2.3000 meV/K"] in list(tables[1].rows)
    assert vibration_tables({}) == []
