"""Random structures and damaged model files: each must give the right number or a named error.

    python benchmarks/fuzz.py --minutes 10 --seed 0

Every case follows from its number alone (``--case N`` repeats one). Cases run in a child process: one that
dies or takes longer than ``--patience`` seconds is a failure, and so is a result that is no number, that
differs between the two engines, or an error of another kind than those that are documented.
"""

import argparse
import collections
import io
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
import zipfile
from pathlib import Path

KINDS = ("structure", "file")


def main() -> None:
    """Parse arguments; be parent or child."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for a case")
    parser.add_argument("--case", type=int, help="run this one only, here")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        serve()
    elif arguments.case is not None:
        print(Fuzzer().run(arguments.case))
    else:
        sys.exit(watch(arguments.minutes, arguments.seed, arguments.patience))


def watch(minutes: float, seed: int, patience: float) -> int:
    """Feed cases to children until the time is over; the number of failures."""
    counts: collections.Counter[str] = collections.Counter()
    failures = []
    end = time.monotonic() + 60 * minutes
    case, child = seed, Child()
    while time.monotonic() < end:
        outcome = child.ask(case, patience)
        if outcome.startswith("FAILURE"):
            failures.append((case, outcome))
            print(f"case {case}: {outcome}", flush=True)
        if not child.alive():
            child = Child()
        counts[f"{KINDS[case % 2]}: {outcome.split(':')[0]}"] += 1
        case += 1
    child.close()
    print(f"cases {seed} to {case - 1}, {len(failures)} failures")
    for name, count in sorted(counts.items()):
        print(f"{count:8d}  {name}")
    return min(len(failures), 1)


class Child:
    """A process that runs cases."""

    def __init__(self) -> None:
        command = [sys.executable, __file__, "--child"]
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


def serve() -> None:
    """Run the cases that arrive on standard input."""
    fuzzer = Fuzzer()
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            outcome = fuzzer.run(int(line))
        except Exception as error:  # a failure of the case, or of the fuzzer
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome = f"FAILURE: {type(error).__name__}: {error} ({where.filename}, {where.lineno})"
        print(outcome.replace("\n", " ")[:300], flush=True)


class Fuzzer:
    """Makes and runs cases, with two small models of random weights."""

    def __init__(self) -> None:
        import torch

        from schnet_calc import neighbors
        from schnet_calc.modelfile import save_model
        from schnet_calc.nn import SchNet, SchNetConfig

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
        self.calculators = [self._calculator("model.pt", engine) for engine in ("script", "fused")]

    def _calculator(self, name: str, engine: str):
        from schnet_calc import SchNetCalculator

        return SchNetCalculator(self.folder / name, device="cpu", engine=engine)

    def run(self, case: int) -> str:
        """A word about the outcome of a case; an exception is a failure."""
        import numpy as np

        rng = np.random.default_rng(case)
        return self._structure(rng) if KINDS[case % 2] == "structure" else self._file(rng)

    def _structure(self, rng) -> str:
        atoms = random_atoms(rng)
        before = atoms.copy()
        outcomes = [evaluated(calculator, atoms) for calculator in self.calculators]
        if not same_arrays(before, atoms):
            raise AssertionError("the input was changed")
        words = [o if isinstance(o, str) else "a number" for o in outcomes]
        if words[0] != words[1]:
            raise AssertionError(f"script says {words[0]}, fused {words[1]}")
        if words[0] == "a number":
            compare(*outcomes)
        return words[0]

    def _file(self, rng) -> str:
        from schnet_calc.errors import ModelFileError

        (self.folder / "damaged.pt").write_bytes(damage(self.content, rng))
        try:
            calculator = self._calculator("damaged.pt", str(rng.choice(["script", "fused"])))
        except ModelFileError:
            return "ModelFileError"
        except ValueError as error:
            if "fused engine needs" in str(error):
                return "no model for the fused engine"
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


def random_atoms(rng):
    """A structure, with some of what users and broken tools do to it."""
    import ase
    from ase.build import bulk, molecule

    kind = rng.integers(5)
    if kind == 0:
        atoms = molecule(str(rng.choice(["CH4", "C2H6", "C6H6", "SiH4", "CH3CH2OH"])))
    elif kind == 1:
        atoms = bulk("Si", cubic=bool(rng.integers(2))) * tuple(rng.integers(1, 4, 3))
    elif kind == 2:
        n = int(rng.integers(0, 200))
        atoms = ase.Atoms(rng.choice([1, 6, 14], n), rng.normal(scale=rng.uniform(1, 20), size=(n, 3)))
    elif kind == 3:
        atoms = ase.Atoms("C", cell=rng.normal(scale=3, size=(3, 3)), pbc=True) * tuple(
            rng.integers(1, 3, 3)
        )
    else:
        n = int(rng.integers(1, 30))
        atoms = ase.Atoms(rng.choice([1, 6, 14], n), rng.uniform(size=(n, 3)), pbc=rng.integers(2, size=3))
        atoms.set_cell(rng.normal(scale=5, size=(3, 3)), scale_atoms=True)
    for _ in range(int(rng.integers(0, 4))):
        CHANGES[rng.integers(len(CHANGES))](atoms, rng)
    return atoms


def extreme(rng) -> float:
    """Numbers that break things."""
    import numpy as np

    fixed = [0.0, np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, 1e16, 5e-324]
    return float(rng.choice(fixed)) if rng.integers(2) else float(rng.normal() * 10.0 ** rng.uniform(-9, 9))


def _position(atoms, rng):
    if len(atoms):
        atoms.positions[rng.integers(len(atoms)), rng.integers(3)] = extreme(rng)


def _cell(atoms, rng):
    atoms.cell[rng.integers(3), rng.integers(3)] = extreme(rng)


def _scale(atoms, rng):
    factor = 10.0 ** rng.uniform(-6, 6)
    atoms.positions *= factor
    if rng.integers(2):
        atoms.set_cell(atoms.cell.array * factor)


def _pbc(atoms, rng):
    atoms.pbc = rng.integers(2, size=3)


def _number(atoms, rng):
    if len(atoms):
        atoms.numbers[rng.integers(len(atoms))] = rng.choice([-5, 0, 1, 6, 8, 14, 100, 118, 10**6])


def _coincide(atoms, rng):
    if len(atoms) > 1:
        atoms.positions[0] = atoms.positions[-1] + rng.choice([0.0, 1e-300, 1e-9, 1e-3, 0.01]) * rng.normal(
            size=3
        )


def _shift(atoms, rng):
    atoms.positions += rng.normal(size=3) * 10.0 ** rng.uniform(0, 14)


def _skew(atoms, rng):
    atoms.cell[:] = atoms.cell.array + rng.integers(-50, 50) * np_roll(atoms.cell.array)


def _order(atoms, rng):
    atoms.cell[:] = atoms.cell.array[rng.permutation(3)]


def _vacuum(atoms, rng):
    atoms.set_cell([10.0 ** rng.uniform(0, 9) for _ in range(3)])


def np_roll(cell):
    """The lattice vectors in another order."""
    import numpy as np

    return np.roll(cell, 1, axis=0)


CHANGES = (_position, _cell, _scale, _pbc, _number, _coincide, _shift, _skew, _order, _vacuum)


def damage(content: bytes, rng) -> bytes:
    """A model file after an accident, or in the hands of somebody who rebuilds archives."""
    if rng.integers(3):
        return rebuilt(content, rng)
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        place, size = int(rng.integers(len(data))), int(10 ** rng.uniform(0, 4))
        what = rng.integers(5)
        if what == 0:
            data[place] ^= 1 << int(rng.integers(8))
        elif what == 1:
            del data[place:]
        elif what == 2:
            data[place : place + size] = rng.bytes(size)
        elif what == 3:
            data[place:place] = data[place : place + size]
        else:
            data[place : place + size] = bytes(size)
        if not data:
            break
    return bytes(data)


def rebuilt(content: bytes, rng) -> bytes:
    """An intact archive of changed entries, with or without the hash that gives it away."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w") as target:
        names = source.namelist()
        hit = str(rng.choice(names))
        for name in names:
            data = source.read(name)
            if name.endswith("metadata.json"):
                data = changed_metadata(data, rng, damage=hit == name)
            elif name == hit:
                data = changed_bytes(data, rng)
            if name != hit or rng.integers(10):
                target.writestr(name, data)
    return buffer.getvalue()


def changed_bytes(data: bytes, rng) -> bytes:
    """Some bytes of an entry other than they were."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if changed:
            changed[rng.integers(len(changed))] = int(rng.integers(256))
    return bytes(changed) if rng.integers(8) else bytes(changed[: rng.integers(len(changed) + 1)])


def changed_metadata(data: bytes, rng, damage: bool) -> bytes:
    """Metadata without the hash of the contents, and maybe with other values."""
    metadata = json.loads(data)
    metadata.pop("contents_sha256")
    if damage:
        table = metadata["hyperparameters"] if rng.integers(2) else metadata
        key = str(rng.choice(sorted(table)))
        values = [None, True, -1, 0, 1, 10**9, 1e400, -3.5, "", "x", [], {}, [1], {"6": 1}, float("nan")]
        table[key] = values[rng.integers(len(values))]
        if not rng.integers(5):
            del table[key]
    return json.dumps(metadata).encode()


if __name__ == "__main__":
    main()
