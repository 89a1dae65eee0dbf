"""What ``benchmarks/gpu.py`` says at its end."""

import subprocess

import pytest

import gpu
from on_gpu import Trial, verdict


def test_a_verdict_names_what_is_wrong():
    right = {"errors": {"worst": {"float32": 1e-6}, "too_much": []}, "trouble": {"plain": True}}
    lines, ok = verdict(right)
    assert ok
    assert lines[0] == "VERDICT: right"
    assert len(lines) == 11
    wrong = {
        "errors": {"too_much": ["c20, float32, kernels"]},
        "trouble": {"two threads": False},
        "full": {"50 MB free": "MemoryError: too little", "all free again": False},
        "sizes": {"failed": "status 1"},
    }
    lines, ok = verdict(wrong)
    assert not ok
    assert lines[:3] == [
        "VERDICT: NOT RIGHT",
        "failed parts: sizes",
        "wrong: c20, float32, kernels, two threads, all free again",
    ]


def test_a_part_that_fails_runs_again_with_blocking_launches(monkeypatch):
    environments = []

    def run(command, env, **_):
        environments.append(env.get("CUDA_LAUNCH_BLOCKING"))
        return subprocess.CompletedProcess(command, 1, "Traceback: an illegal access")

    monkeypatch.setattr(gpu.subprocess, "run", run)
    monkeypatch.delenv("CUDA_LAUNCH_BLOCKING", raising=False)
    found = gpu.attempt("sizes", Trial("cuda", True))
    assert environments == [None, "1"]
    assert "illegal access" in found["failed"]
    assert "illegal access" in found["failed_with_blocking_launches"]


@pytest.mark.slow
def test_the_parts_run_on_the_cpu(tmp_path, capsys):
    pytest.importorskip("triton")
    found = gpu.attempt("errors", Trial("cpu", True))
    assert found["worst"]["float64"] < 1e-6
    assert found["too_much"] == []
