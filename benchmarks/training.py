"""Steps per second of force training: explicit forces against automatic differentiation, in one run.

python benchmarks/training.py path/to/c20_500K.npz [--threads 1]
"""

import argparse
import tempfile
import time

from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig


def milliseconds(run: Run, steps: int) -> float:
    """Median-free mean over a few steps, after two to warm up."""
    for _ in range(2):
        run._one_step()
        run.step += 1
    started = time.perf_counter()
    for _ in range(steps):
        run._one_step()
        run.step += 1
    return 1e3 * (time.perf_counter() - started) / steps


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    print(f"batch {arguments.batch}, {arguments.threads} thread(s), float32; ms per step")
    print(f"{'T':>2} {'F':>4} {'autograd':>10} {'explicit':>10} {'ratio':>6}")
    for n_interactions, n_features in ((3, 64), (3, 128), (6, 128)):
        times = []
        for gradients, steps in (("autograd", 4), ("explicit", 20)):
            config = RunConfig(
                DataConfig(arguments.data, n_train=200, n_validation=10),
                SchNetConfig(n_features, n_interactions, cutoff=6.0, basis_width=0.15),
                TrainingConfig(
                    batch_size=arguments.batch,
                    gradients=gradients,
                    threads=arguments.threads,
                    spline_spacing=0.03,
                ),
            )
            with tempfile.TemporaryDirectory() as folder:
                times.append(milliseconds(Run(config, folder), steps))
        print(
            f"{n_interactions:2d} {n_features:4d} {times[0]:10.1f} {times[1]:10.1f} "
            f"{times[0] / times[1]:6.1f}"
        )


if __name__ == "__main__":
    main()
