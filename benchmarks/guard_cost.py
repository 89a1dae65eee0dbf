"""What grades cost: processor time of a step of C20, and of a batch, with and without them, in turns.

    python benchmarks/guard_cost.py [MODEL] [--turns 40]

"in words" is the same model without its grades: distances, neighbours and compositions alone. The least time of all
turns counts, since whatever else the machine does only adds to it.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from schnet_calc import load_model
from schnet_calc.analysis.molecules import dodecahedron
from schnet_calc.model import Model
from schnet_calc.modelfile import load_potential
from schnet_calc.structures.geometries import Geometries


def seconds(call: Callable[[], object], count: int) -> float:
    """Processor time of one call, of so many."""
    start = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start) / count


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="c20")
    parser.add_argument("--turns", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    potential = load_potential(arguments.model)
    models = {
        "ignored": Model(potential, device="cpu", on_doubt="ignore"),
        "in words": Model(replace(potential, grades=None), device="cpu"),
        "with grades": load_model(arguments.model, device="cpu"),
    }
    rng, images = np.random.default_rng(0), []
    for _ in range(128):
        images.append(dodecahedron())
        images[-1].positions += rng.normal(0.0, 0.01, images[-1].positions.shape)
    many = Geometries.from_atoms(images)
    cases = {
        "a step of C20": (lambda m: lambda: m.evaluate(images[:1]), 200),
        "128 of them": (lambda m: lambda: m.evaluate(images), 2),
        "128 of them, as arrays": (lambda m: lambda: m.totals(many), 2),
    }
    for title, (make, count) in cases.items():
        calls = {name: make(model) for name, model in models.items()}
        least = dict.fromkeys(calls, np.inf)
        for _ in range(arguments.turns):
            for name, call in calls.items():
                least[name] = min(least[name], seconds(call, count))
        base = least["in words"]
        texts = [f"{name} {1e6 * t:.1f} µs ({t / base - 1:+.1%})" for name, t in least.items()]
        print(f"{title}: {', '.join(texts)}", flush=True)


if __name__ == "__main__":
    main()
