"""The machine, the engine that it gets, and the tests that want a GPU."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from on_gpu import Trial
from on_gpu.engines import engine_of


def machine(trial: Trial) -> dict[str, Any]:
    """Card, versions, memory, and what TF32 is set to."""
    found: dict[str, Any] = {
        "card": platform.processor() or "a CPU",
        "driver": None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "triton": _version("triton"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "tf32": torch.get_float32_matmul_precision(),
        "sequence": type(engine_of("h2co", trial, "float32").sequence).__name__,
    }
    if trial.device != "cpu":
        properties = torch.cuda.get_device_properties(trial.device)
        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.sm,power.limit", "--format=csv,noheader"]
        try:
            found["driver"] = subprocess.run(query, capture_output=True, text=True).stdout.strip()
        except OSError as error:
            found["driver"] = str(error)
        found |= {"card": properties.name, "capability": f"{properties.major}.{properties.minor}"}
        found["free_and_total_memory"] = torch.cuda.mem_get_info()
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def marked_tests(trial: Trial) -> dict[str, Any]:
    """What ``pytest -m gpu`` says."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "--no-header", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], env=dict(os.environ)
    )
    return {"status": done.returncode, "end": done.stdout[-3000:]}
