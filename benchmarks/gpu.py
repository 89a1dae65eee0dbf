"""Whether a GPU gets everything right here, and how fast it is: one run, to send back.

    pip install -c constraints.txt '.[test]'
    python benchmarks/gpu.py -o gpu.json

CUDA has never run where this package is developed. Each part runs in a process of its own; one that fails runs
again with ``CUDA_LAUNCH_BLOCKING=1``, so that its traceback names the right call. The file holds everything; the
verdict at the end is to paste into an issue. ``--device cpu --quick`` tries the script itself in a minute.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from on_gpu import PARTS, Trial, verdict

TIMEOUT = 900.0
"""Seconds for a part."""


def main() -> int:
    """Run what is asked for; 0 if all parts are right, 1 if one is not, 2 without a GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="one of everything, small")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--alone", choices=list(PARTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    trial = Trial(options.device, options.quick)
    if options.alone:
        options.output.write_text(json.dumps(PARTS[options.alone](trial)))
        return 0
    if options.device != "cpu":
        import torch

        if not torch.cuda.is_available():
            print("no CUDA device: torch.cuda.is_available() is false", file=sys.stderr)
            return 2
    found: dict[str, Any] = {}
    for name in options.parts:
        if name in ("tests", "ranks") and (trial.quick or trial.device == "cpu"):
            continue  # `pytest` does these on the CPU
        started = time.perf_counter()
        found[name] = attempt(name, trial)
        options.output.write_text(json.dumps(found, indent=1) + "\n")
        state = "FAILED" if "failed" in found[name] else "done"
        print(f"{name}: {state} in {time.perf_counter() - started:.0f} s", flush=True)
    lines, right = verdict(found)
    print("\n".join(["", *lines, f"everything is in {options.output}"]))
    return 0 if right else 1


def attempt(name: str, trial: Trial) -> dict[str, Any]:
    """What a part says, or how it failed, twice."""
    found, failed = part(name, trial, {})
    if failed is None:
        return found
    _, again = part(name, trial, {"CUDA_LAUNCH_BLOCKING": "1"})
    return {"failed": failed, "failed_with_blocking_launches": again or "it did not fail then"}


def part(name: str, trial: Trial, environment: dict[str, str]) -> tuple[dict[str, Any], str | None]:
    """Run a part in a process; its result, and the end of what it printed if it failed."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "part.json"
        command = [sys.executable, __file__, "--device", trial.device, "--alone", name, "-o", str(output)]
        if trial.device == "cpu":  # kernels are interpreted there
            environment = {**environment, "TRITON_INTERPRET": "1"}
        try:
            done = subprocess.run(
                command + ["--quick"] * trial.quick,
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            said = error.stdout or b""
            return {}, f"not done in {TIMEOUT:.0f} s: {said[-3000:]!r}"
        if done.returncode or not output.exists():
            return {}, f"status {done.returncode}: {done.stdout[-3000:]}"
        return json.loads(output.read_text()), None


if __name__ == "__main__":
    sys.exit(main())
