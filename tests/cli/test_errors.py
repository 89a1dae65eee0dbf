"""Errors are one line."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("ipi", "c20", "cage.xyz", "--unix", "nobody", "--wait", "0.2"),
            "no server at UNIX socket /tmp/ipi_nobody",
        ),
        (
            ("ipi", "c20", "cage.xyz", "--prefix", "/tmp/a_"),
            "the prefix '/tmp/a_' is for UNIX sockets: name one with --unix",
        ),
        (
            ("ipi", "no.pt", "cage.xyz", "--unix", "nobody"),
            "no model file 'no.pt'",
        ),
        (("ipi", "c20", "cage.xyz", "--unix", "x" * 200), "at most 107 bytes"),
        (
            ("pimd", "cage.xyz", "--model", "c20", "--temperature", "0", "--time", "1"),
            "temperature must be positive",
        ),
        (("info", "nothing"), "no shipped model of that name"),
        (("relax", "nowhere.xyz", "--model", "c20"), "nowhere.xyz"),
        (("train",), "no data: name a config file or give --data FILE"),
        (("train", "--data", "missing.npz"), "there is no file missing.npz"),
        (("evaluate", "c20", "missing.npz"), "there is no file missing.npz"),
        (("train", "bad.toml"), "unknown key 'n_feature' in [model]"),
        (("relax", "notes.foo", "--model", "c20"), "notes.foo"),
    ],
)
def test_errors_are_one_line(run, cage, tmp_path, arguments, message):
    (tmp_path / "bad.toml").write_text("[model]\nn_feature = 3\n")
    (tmp_path / "notes.foo").write_text("no structure\n")
    code, _, err = run(*arguments)
    assert code == 1
    assert message in err.replace("\n", " ")
    assert "Traceback" not in err
