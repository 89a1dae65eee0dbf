"""What a person waits for in the first minute, in CPU seconds, beside an older version in turns.

    python benchmarks/first_minute.py --against e71baa3 --rounds 3 --write first_minute.md

Each row runs in a process of its own; its seconds are those of the process and its children, user and system. The
older version is a worktree of the repository in a temporary folder, with the same packages. Caches of numba are in
temporary folders, one for each version: the row "empty" begins with none, "warm" follows it. ``--only WORD`` takes
the rows with that word.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "--help": ["--help"],
    "learn --help": ["learn", "--help"],
    "train --help": ["train", "--help"],
    "info c20": ["info", "c20"],
    "a missing file": ["evaluate", "c20", "nothing.xyz"],
    "a misspelt model": ["info", "c2O"],
}
FORCES = """
from ase.build import molecule
from schnet_calc import SchNetCalculator
atoms = molecule("CH3CH2OH")
atoms.calc = SchNetCalculator("ethanol", device="cpu")
atoms.get_forces()
"""
TRAINING = """
import os, tempfile
from pathlib import Path
from ase.build import molecule
from ase.calculators.emt import EMT
from ase.io import write
from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig
folder, frames = Path(tempfile.mkdtemp(dir=os.environ["WASTE"])), []
for seed in range(12):
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=seed)
    atoms.calc = EMT()
    atoms.get_forces()
    frames.append(atoms)
write(folder / "frames.extxyz", frames)
training = TrainingConfig(steps=1, batch_size=4, validate_every=1, device="cpu", warmup=0)
network = SchNetConfig(n_features=16, n_interactions=2, n_gaussians=12, cutoff=4.0)
data = DataConfig(str(folder / "frames.extxyz"), n_train=8, n_validation=4)
Run(RunConfig(data, network, training), folder).run()
"""
IMPORTS = "import torch, ase, numba"
SCRIPTS = {
    "torch, ase and numba alone": (IMPORTS, "empty"),
    "first forces, empty cache": (FORCES, "empty"),
    "first forces, warm cache": (FORCES, "warm"),
    "first training step, empty cache": (TRAINING, "empty"),
    "first training step, warm cache": (TRAINING, "warm"),
}


def environment(source: Path, waste: Path, cache: Path) -> dict[str, str]:
    """Return variables with which Python imports the package of a source tree and numba keeps its code apart."""
    own = {"PYTHONPATH": str(source), "NUMBA_CACHE_DIR": str(cache), "WASTE": str(waste)}
    one = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "COLUMNS": "80"}
    return {**os.environ, **own, **one}


def seconds(arguments: list[str], env: dict[str, str], waste: Path, right: tuple[int, ...]) -> float:
    """Run Python and return its CPU seconds, user and system.

    Raises
    ------
    RuntimeError
        Its exit status is none of the right ones.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *arguments], env=env, cwd=waste, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in right:
        raise RuntimeError(f"{arguments}: status {done.returncode}\n{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def version(reference: str, waste: Path) -> Iterator[Path]:
    """Check an older version out, and remove it at the end."""
    place = waste / "older"
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", str(place), reference], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True, capture_output=True)


def one_row(name: str, source: Path, waste: Path, cache: Path) -> float:
    """Return the CPU seconds of a row for one version; an empty cache is a new one, which the warm row then has."""
    if name in COMMANDS:
        env = environment(source, waste, cache)
        return seconds(["-m", "schnet_calc.cli", *COMMANDS[name]], env, waste, (0, 1))
    code, kind = SCRIPTS[name]
    latest = cache / name.partition(",")[0].replace(" ", "_")
    if kind == "empty":
        latest.unlink(missing_ok=True)
        latest.symlink_to(tempfile.mkdtemp(dir=waste))
    return seconds(["-c", code], environment(source, waste, latest), waste, (0,))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--against", default="HEAD", help="version to compare with, as git names it")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", default="", help="a word of the rows that are wanted")
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    given = parser.parse_args()
    lines = ["| CPU seconds | before | now |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder, version(given.against, Path(folder)) as older:
        versions = {"before": older, "now": ROOT}
        caches = {name: Path(tempfile.mkdtemp(prefix=name, dir=folder)) for name in versions}
        for row in [name for name in (*COMMANDS, *SCRIPTS) if given.only in name]:
            found: dict[str, list[float]] = {name: [] for name in versions}
            for _ in range(given.rounds):
                for name, source in versions.items():
                    found[name].append(one_row(row, source, Path(folder), caches[name]))
            lines.append(f"| {row} | " + " | ".join(f"{median(v):.2f}" for v in found.values()) + " |")
            print(lines[-1], flush=True)
    if given.write:
        given.write.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
