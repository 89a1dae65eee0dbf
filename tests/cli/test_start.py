"""What commands import before they know that there is something to do."""

import json
import os
import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest
from cyclopts import App

from schnet_calc.cli import console, main
from schnet_calc.cli.app import COMMANDS, SAID, app

HEAVY = {"torch", "numba", "llvmlite", "scipy", "matplotlib", "ase", "numpy", "jinja2", "ipi"}
SCRIPT = """
import contextlib, io, json, sys
from schnet_calc.cli import main
told = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:], text = arguments, io.StringIO()
    from schnet_calc.cli import console
    console.err.file = console.out.file = text
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code
    modules = {n for name in sys.modules for n in (name, name.partition(".")[0])}
    told.append((status, text.getvalue(), sorted(modules)))
print(json.dumps(told))
"""


def called(*commands):
    """Status, text and libraries imported so far of commands, one after the other in one process."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    return [(status, text, set(modules)) for status, text, modules in json.loads(done.stdout)]


def names():
    return [name for name in app if not name.startswith("-")]


def test_help_needs_no_library():
    several = [["reproduce", "md17"], ["lammps", "build"], ["lammps", "export"], ["reproduce", "qm9"]]
    told = called([], ["--help"], *[[*c, "--help"] for c in [*([n] for n in names()), *several]])
    assert [status for status, _, _ in told] == [0] * len(told), told
    assert len(names()) == len(COMMANDS)
    assert not told[-1][2] & HEAVY


def test_what_is_said_for_a_command_is_what_it_says():
    ((status, listed, modules), (_, shown, _)) = called([], ["train", "--help"])
    for place, said in SAID.items():
        module, _, name = place.partition(":")
        command = getattr(import_module(f"schnet_calc.{module}"), name)
        assert command.__doc__.splitlines()[0] == said["help"]
        assert said["help"].split()[0] in listed
    assert status == 0
    assert "schnet_calc.cli.training_options" not in modules
    assert "--n-features" in shown
    assert "F, features per atom." in shown
    assert "[default: 64]" in shown


def test_the_list_of_commands_imports_none_and_says_what_they_say():
    ((status, listed, modules), (_, bare, _)) = called(["--help"], [])
    assert status == 0
    assert bare == listed
    words = " ".join(line.strip("│ ") for line in listed.splitlines())
    for place in COMMANDS:
        module, _, name = place.partition(":")
        assert f"schnet_calc.{module}" not in modules
        command = getattr(import_module(f"schnet_calc.{module}"), name)
        said = command.help if isinstance(command, App) else command.__doc__
        assert " ".join(said.splitlines()[0].split()) in " ".join(words.split())


def test_info_needs_no_torch():
    ((status, _, modules),) = called(["info", "c20"])
    assert status == 0
    assert not modules & {"torch", "numba", "llvmlite", "scipy", "matplotlib", "safetensors"}


MISSING = [
    ("relax", "no.xyz", "--model", "c20"),
    ("neb", "no.xyz", "no.xyz", "--model", "c20"),
    ("md", "no.xyz", "--model", "c20", "--temperature", "300", "--time", "1"),
    ("pimd", "no.xyz", "--model", "c20", "--temperature", "300", "--time", "1"),
    ("modes", "no.xyz", "--model", "c20"),
    ("spectrum", "no"),
    ("crystal", "no.xyz", "--model", "silicon"),
    ("insight", "c20", "no.xyz"),
    ("data", "no.xyz"),
    ("train", "no.toml"),
    ("train", "--data", "no.xyz"),
    ("learn", "no.xyz"),
    ("evaluate", "c20", "no.xyz"),
    ("export", "no.safetensors", "m.pt"),
    ("domain", "c20", "no.xyz", "-o", "m.pt"),
    ("import", "no.pt", "-o", "m.pt"),
    ("ipi", "c20", "no.xyz"),
    ("ipi-input", "no.xyz", "--model", "c20", "--temperature", "300", "--time", "1"),
    ("lammps", "no.lmp", "--model", "silicon", "--elements", "Si"),
    ("report", "no"),
]
UNKNOWN = [
    ("relax", "pyproject.toml", "--model", "c2O"),
    ("md", "pyproject.toml", "--model", "c2O", "--temperature", "300", "--time", "1"),
    ("pimd", "pyproject.toml", "--model", "c2O", "--temperature", "300", "--time", "1"),
    ("evaluate", "c2O", "pyproject.toml"),
    ("info", "c2O"),
    ("ipi", "c2O", "pyproject.toml"),
    ("lammps", "pyproject.toml", "--model", "c2O", "--elements", "Si"),
]


def test_faults_of_a_file_are_told_before_torch_is_imported(tmp_path):
    file = tmp_path / "own_keys.xyz"
    file.write_text("1\nProperties=species:S:1:pos:R:3 my_energy=1.0\nH 0 0 0\n")
    told = called(["data", str(file)], ["evaluate", "c20", str(file)])
    for status, text, modules in told:
        assert status == 1
        assert "my_energy" in text
        assert not modules & {"torch", "numba", "matplotlib"}


def test_a_word_that_is_no_option_comes_alone(monkeypatch, capsys):
    """What is shown until a command speaks is taken away before cyclopts' own errors, too."""
    before = []
    shown = SimpleNamespace(stop=lambda: before.append(capsys.readouterr().err))
    monkeypatch.setattr(console, "_waiting", [shown])
    monkeypatch.setattr(sys, "argv", ["schnet-calc", "train", "--n-featres", "8"])
    with pytest.raises(SystemExit):
        main()
    assert before == [""]
    assert "Did you mean --n-features?" in capsys.readouterr().err


def test_missing_files_and_unknown_models_are_told_at_once():
    told, before = called(*MISSING, *UNKNOWN), set()
    for arguments, (status, text, modules) in zip([*MISSING, *UNKNOWN], told, strict=True):
        assert status == 1, (arguments, text)
        assert "no." in text or "there is no file no" in text or "'c2O'" in text, (arguments, text)
        allowed = {"ase", "numpy"} if arguments[:2] == ("train", "--data") else set()  # units of labels
        assert not modules & HEAVY - allowed - before, arguments
        before |= modules & allowed


@pytest.mark.parametrize(
    "arguments",
    [
        ("relax", "a.xyz"),
        ("relax", "a.xyz", "--model", "c20", "--fmax", "small"),
        ("md", "a.xyz", "--model", "c20", "--temperature", "300", "--time", "1", "--engine", "fast"),
        ("melt",),
    ],
)
def test_wrong_words_are_status_two(run, arguments):
    code, _, err = run(*arguments)
    assert code == 2
    assert "Traceback" not in err


def test_every_command_has_json():
    for name in names():
        command = app[name]
        if command.default_command is not None:
            options = {n for a in command.assemble_argument_collection() for n in a.names}
            assert "--json" in options or name == "reproduce", name


def test_what_evaluates_has_the_same_options():
    shared = {"--device", "--dtype", "--engine", "--on-doubt", "--max-forces-std"}
    for name in (
        "energy",
        "relax",
        "neb",
        "md",
        "pimd",
        "modes",
        "spectrum",
        "crystal",
        "evaluate",
        "ipi",
        "lammps",
    ):
        options = {n for a in app[name].assemble_argument_collection() for n in a.names}
        assert shared <= options, name


def test_options_say_what_they_are():
    """Each has a text, and those with a unit begin with it."""
    silent = []
    for name in names():
        if app[name].default_command is None:
            continue
        for argument in app[name].assemble_argument_collection(parse_docstring=True):
            if argument.parse and argument.show and not argument.parameter.help and not argument.children:
                silent.append(f"{name} {argument.name}")
    assert not silent


def test_help_texts_are_paragraphs():
    """No line of a text is broken where the source's was, and no default is empty."""
    text = subprocess.run(
        [sys.executable, "-m", "schnet_calc.cli", "relax", "--help"],
        env=os.environ | {"COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "warn, ignore, stop, or an .extxyz file to write them to. Exit status 3 says" in text
    told = called(*[[name, "--help"] for name in names()])
    assert not [text for _, text, _ in told if '[default: ""]' in text or "[default: ()]" in text]
    (_, text, _) = told[names().index("spectrum")]
    assert "Replicas and folders of one kind are pooled, with error bands" in " ".join(text.split())


@pytest.mark.parametrize(("term", "shown"), [("xterm", 1), ("dumb", 0)])
def test_a_terminal_that_cannot_erase_shows_no_spinner(monkeypatch, term, shown):
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(console, "err", console.SafeConsole(stderr=True, force_terminal=True))
    console.start_waiting()
    try:
        assert len(console._waiting) == shown
    finally:
        console.stop_waiting()
