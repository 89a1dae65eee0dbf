"""A worker process whose GPU is lost ends, so that another one takes over."""

import pytest
import torch

from schnet_calc.ipi import worker_process
from schnet_calc.ipi.worker_process import STUCK, ending_when_stuck


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (torch.OutOfMemoryError("CUDA error: out of memory"), False),
        (RuntimeError("something else"), False),
    ],
)
def test_errors_that_stay(monkeypatch, capfd, error, ends):
    def leave(status):
        raise SystemExit(status)

    def evaluate(request):
        raise error

    monkeypatch.setattr(worker_process.os, "_exit", leave)
    with pytest.raises(SystemExit if ends else RuntimeError) as found:
        ending_when_stuck(evaluate, None)
    if ends:
        assert found.value.code == STUCK
        assert "illegal memory access" in capfd.readouterr().err
