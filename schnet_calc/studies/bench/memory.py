"""The memory of one evaluation, in a process of its own."""

import resource
import subprocess
import sys
from pathlib import Path

import torch

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.studies.bench.cases import diamond, md_step


def peak_memory(model: Path, n_atoms: int) -> float:
    """MiB of a process of its own that evaluates so many atoms of diamond, with this one's threads.

    Raises
    ------
    RuntimeError
        It failed; the end of what it said is in the message.
    """
    code = f"from {__name__} import evaluate_alone; evaluate_alone({str(model)!r}, {n_atoms}, "
    code += f"{torch.get_num_threads()})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the process that measures memory failed: {done.stderr[-500:]}")
    return float(done.stdout.split()[-1])


def evaluate_alone(model: str, n_atoms: int, threads: int) -> None:
    """What that process does: two steps, and a line with its peak memory in MiB.

    Parameters
    ----------
    model : str
        A file, or a shipped name.
    n_atoms, threads : int
        Size of the crystal; of torch.
    """
    torch.set_num_threads(threads)
    step = md_step(diamond(n_atoms), SchNetCalculator(model, device="cpu", on_doubt="ignore"))
    step()
    step()
    sys.stdout.write(f"{held_at_most():.1f}\n")


def held_at_most() -> float:
    """Return the most MiB that this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent had when it made this process
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)
