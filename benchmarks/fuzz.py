"""Random structures and damaged or hostile files: each must give the right number or a named error.

    python benchmarks/fuzz.py --minutes 10 --seed 0

Every case follows from its number alone (``--case N`` repeats one). Cases run in a child process: one that
dies, takes longer than ``--patience`` seconds or needs a GiB more than before is a failure, and so is a result
that is no number, that differs between the two engines, or an error of another kind than those that are
documented.
"""

import argparse
import collections
import contextlib
import io
import queue
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from functools import cached_property
from pathlib import Path

from fuzz_files import hostile_pickle, odd_arrays, odd_checkpoint, odd_metadata
from fuzz_kinds import damage, random_atoms

KINDS = ("structure", "file", "metadata", "pickle", "arrays", "checkpoint")
MOST_SECONDS = 2.0
"""Of CPU time, that any file of these may take."""


def main() -> None:
    """Parse arguments; be parent or child."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for a case")
    parser.add_argument("--case", type=int, help="run this one only, here")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of cases, all by default")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    kinds = arguments.kinds.split(",")
    if not set(kinds) <= set(KINDS):
        parser.error(f"kinds are {', '.join(KINDS)}, got {arguments.kinds}")
    if arguments.child:
        serve(kinds)
    elif arguments.case is not None:
        print(Fuzzer(kinds).run(arguments.case))
    else:
        sys.exit(watch(arguments.minutes, arguments.seed, arguments.patience, kinds))


def watch(minutes: float, seed: int, patience: float, kinds: list[str]) -> int:
    """Feed cases to children until the time is over; the number of failures."""
    counts: collections.Counter[str] = collections.Counter()
    failures = []
    end = time.monotonic() + 60 * minutes
    case, child = seed, Child(kinds)
    while time.monotonic() < end:
        outcome = child.ask(case, patience)
        if outcome.startswith("FAILURE"):
            failures.append((case, outcome))
            print(f"case {case}: {outcome}", flush=True)
        if not child.alive():
            child = Child(kinds)
        counts[f"{kinds[case % len(kinds)]}: {outcome.split(':')[0]}"] += 1
        case += 1
    child.close()
    print(f"cases {seed} to {case - 1}, {len(failures)} failures")
    for name, count in sorted(counts.items()):
        print(f"{count:8d}  {name}")
    return min(len(failures), 1)


class Child:
    """A process that runs cases."""

    def __init__(self, kinds: list[str]) -> None:
        command = [sys.executable, __file__, "--child", "--kinds", ",".join(kinds)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.lines.get(timeout=300)  # it is ready

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put("")

    def alive(self) -> bool:
        """Whether it can take another case."""
        return self.process.poll() is None

    def ask(self, case: int, patience: float) -> str:
        """The outcome of a case."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{case}\n")
        self.process.stdin.flush()
        try:
            answer = self.lines.get(timeout=patience)
        except queue.Empty:
            self.close()
            return f"FAILURE: no answer within {patience:g} s"
        if answer:
            return answer
        return f"FAILURE: the process died with {self.process.wait()}"

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def serve(kinds: list[str]) -> None:
    """Run the cases that arrive on standard input."""
    from schnet_calc.studies.bench.timing import held_at_most

    fuzzer = Fuzzer(kinds)
    allowed = held_at_most() + 1024
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            outcome = fuzzer.run(int(line))
        except Exception as error:  # a failure of the case, or of the fuzzer
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome = f"FAILURE: {type(error).__name__}: {error} ({where.filename}, {where.lineno})"
        held = held_at_most()
        if held > allowed:
            outcome, allowed = f"FAILURE: {held:.0f} MiB, then {outcome}", held + 1024
        print(outcome.replace("\n", " ")[:300], flush=True)


class Fuzzer:
    """Makes and runs cases, with two small models of random weights."""

    def __init__(self, kinds: list[str]) -> None:
        self.kinds = kinds
        import torch

        from schnet_calc.modelfile import save_model
        from schnet_calc.nn import SchNet, SchNetConfig
        from schnet_calc.structures import neighbors

        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        # Quick cases: 200,000 pairs are many here.
        neighbors.available_memory = lambda: 200_000 * neighbors.PAIR_BYTES
        neighbors.WORTH_ASKING = 0
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz"))
        torch.manual_seed(0)
        shape = SchNetConfig(n_features=16, n_interactions=2, n_gaussians=16, cutoff=4.0)
        save_model(self.folder / "model.pt", SchNet(shape).double(), {1: -13.0, 6: -1000.0, 14: -7000.0})
        self.content = (self.folder / "model.pt").read_bytes()

    @cached_property
    def calculators(self):
        """Of both engines."""
        return [self._calculator("model.pt", engine) for engine in ("script", "compiled")]

    def _calculator(self, name: str, engine: str):
        from schnet_calc import SchNetCalculator

        return SchNetCalculator(self.folder / name, device="cpu", engine=engine)

    def run(self, case: int) -> str:
        """A word about the outcome of a case; an exception is a failure."""
        import numpy as np

        rng = np.random.default_rng(case)
        kind = self.kinds[case % len(self.kinds)]
        begun = time.process_time()
        outcome: str = getattr(self, f"_{kind}")(rng)
        reads = 2 if kind == "pickle" else 1
        if kind not in ("structure", "file") and time.process_time() - begun > reads * MOST_SECONDS:
            raise AssertionError(f"{time.process_time() - begun:.1f} s of CPU for a file")
        return outcome

    def _metadata(self, rng) -> str:
        """Metadata of the wrong kinds, sizes, depths and characters; ``info`` prints what it takes."""
        from schnet_calc.cli.models import info
        from schnet_calc.errors import ModelFileError

        (self.folder / "odd.pt").write_bytes(odd_metadata(self.content, rng))
        shown = io.StringIO()
        try:
            with contextlib.redirect_stdout(shown):
                info(str(self.folder / "odd.pt"))
        except ModelFileError as error:
            shown.write(str(error))
            outcome = "ModelFileError"
        else:
            outcome = "shown"
        text = shown.getvalue()
        if any(c in text for c in "\x1b\x07\u202e") or len(text) > 200_000:
            raise AssertionError(f"what was printed has {len(text)} characters, or steers the terminal")
        return outcome

    def _pickle(self, rng) -> str:
        """Pickles that are made to take time or memory; read for import, and for the format in ``info``."""
        from schnet_calc.errors import ModelFileError
        from schnet_calc.modelfile.importers import foreign_format, read_foreign

        path = self.folder / "pickle.pt"
        path.write_bytes(hostile_pickle(rng))
        foreign_format(path)
        try:
            read_foreign(path, energy_unit="eV")
        except ModelFileError:
            return "ModelFileError"
        return "read"

    def _checkpoint(self, rng) -> str:
        """Checkpoints of TensorFlow."""
        from schnet_calc.errors import ModelFileError
        from schnet_calc.modelfile.importers import read_foreign

        index = odd_checkpoint(self.folder / "checkpoint", rng)
        try:
            read_foreign(index, energy_unit="eV", options={"cutoff": 4.0, "gap": 0.8})
        except ModelFileError:
            return "ModelFileError"
        return "read"

    def _arrays(self, rng) -> str:
        """Archives of arrays that say they are large, or are cut."""
        from schnet_calc.data import read_frames
        from schnet_calc.errors import DataError

        path = self.folder / "arrays.npz"
        path.write_bytes(odd_arrays(rng))
        try:
            read_frames(path)
        except (DataError, MemoryError) as error:
            return type(error).__name__
        return "read"

    def _structure(self, rng) -> str:
        atoms = random_atoms(rng)
        before = atoms.copy()
        outcomes = [evaluated(calculator, atoms) for calculator in self.calculators]
        if not same_arrays(before, atoms):
            raise AssertionError("the input was changed")
        words = [o if isinstance(o, str) else "a number" for o in outcomes]
        if words[0] != words[1]:
            raise AssertionError(f"script says {words[0]}, compiled {words[1]}")
        if words[0] == "a number":
            compare(*outcomes)
        return words[0]

    def _file(self, rng) -> str:
        from schnet_calc.errors import ModelFileError

        (self.folder / "damaged.pt").write_bytes(damage(self.content, rng))
        try:
            calculator = self._calculator("damaged.pt", str(rng.choice(["script", "compiled"])))
        except ModelFileError:
            return "ModelFileError"
        except ValueError as error:
            if "compiled engine evaluates" in str(error):
                return "no model for the compiled engine"
            raise
        import ase

        atoms = ase.Atoms("CH", [(0, 0, 0), (0, 0, 1.1)])
        try:
            found = evaluated(calculator, atoms)
        except RuntimeError as error:
            return f"TorchScript's error {type(error).__name__}"
        return found if isinstance(found, str) else "loads"


def evaluated(calculator, atoms):
    """A prediction of finite numbers, or the name of a documented error that says something."""
    import numpy as np

    try:
        (found,) = calculator.evaluate([atoms])
    except (ValueError, FloatingPointError, MemoryError) as error:
        if len(str(error)) < 10:
            raise AssertionError(f"an error without words: {error!r}") from error
        return type(error).__name__
    for name in ("energies", "forces", "virial"):
        if not np.isfinite(getattr(found, name)).all():
            raise AssertionError(f"{name} are not finite: {getattr(found, name)}")
    return found


def compare(a, b) -> None:
    """Both engines mean the same energy surface."""
    import numpy as np

    scale = 1.0 + float(np.abs(a.forces).max()) + float(np.abs(a.energies).max() * 1e-4)
    for name in ("energies", "forces"):
        off = float(np.abs(getattr(a, name) - getattr(b, name)).max())
        if off > 1e-3 * scale:
            raise AssertionError(f"{name} differ by {off:.1e} between the engines, of {scale:.1e}")


def same_arrays(a, b) -> bool:
    """Whether two structures hold the same bytes, not-a-number included."""
    return all(x.tobytes() == y.tobytes() for x, y in zip(contents(a), contents(b), strict=True))


def contents(atoms):
    """Arrays of a structure."""
    return atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc


if __name__ == "__main__":
    main()
