"""Steps per second of force training, in one run: ours against automatic differentiation and SchNetPack.

python benchmarks/training.py md17_aspirin.npz [--batch 32] [--threads 2] [--against schnetpack]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import torch

from schnet_calc.data import read_frames
from schnet_calc.nn import SchNetConfig
from schnet_calc.training import DataConfig, Run, RunConfig, TrainingConfig
from schnet_calc.training.loss import loss_function

NETWORKS = ((3, 64), (3, 128), (6, 128))


def milliseconds(step: Callable[[], None], repeats: int) -> float:
    """Median over steps, after three to warm up."""
    for _ in range(3):
        step()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


def our_run(arguments: argparse.Namespace, network: SchNetConfig, gradients: str, optimizer: str) -> Run:
    """A run that nothing is saved of."""
    config = RunConfig(
        DataConfig(arguments.data, n_train=320, n_validation=10),
        network,
        TrainingConfig(
            batch_size=arguments.batch,
            gradients=gradients,
            optimizer=optimizer,
            threads=arguments.threads,
            spline_spacing=0.03,
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        return Run(config, folder)


def our_step(run: Run) -> Callable[[], None]:
    """A whole step: batch, forces, gradient, clipping, optimiser, average of the weights."""

    def step() -> None:
        run._one_step()
        run.step += 1

    return step


def parts_of_a_step(run: Run, repeats: int) -> dict[str, float]:
    """Where its time goes, ms."""
    indices = run._indices()
    batch = run.train.batch(indices)
    training = run.config.training

    def forward() -> torch.Tensor:
        return loss_function(run.predict(run.network, batch), batch, training)

    def backward() -> None:
        forward().backward()

    whole = milliseconds(our_step(run), repeats)
    parts = {
        "batch": milliseconds(lambda: run.train.batch(indices), repeats),
        "energies and forces": milliseconds(forward, repeats),
    }
    parts["gradient"] = milliseconds(backward, repeats) - parts["energies and forces"]
    parts["optimiser, clipping, average"] = whole - sum(parts.values())
    return {**parts, "whole": whole}


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--against", choices=["schnetpack"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"batch {arguments.batch}, {arguments.threads} thread(s), float32; median ms per step")
    peer = " schnetpack  ratio" if arguments.against else ""
    print(f"{'T':>2} {'F':>4} {'autograd':>9} {'adam':>7} {'soap':>7} {'autograd/adam':>14}{peer}")
    for n_interactions, n_features in NETWORKS:
        network = SchNetConfig(n_features, n_interactions, n_gaussians=25, cutoff=6.0)
        times = []
        for gradients, optimizer in (("autograd", "adam"), ("explicit", "adam"), ("explicit", "soap")):
            run = our_run(arguments, network, gradients, optimizer)
            repeats = 5 if gradients == "autograd" else arguments.repeats
            times.append(milliseconds(our_step(run), repeats))
        line = f"{n_interactions:2d} {n_features:4d} {times[0]:9.1f} {times[1]:7.1f} {times[2]:7.1f} "
        line += f"{times[0] / times[1]:14.1f}"
        if arguments.against:
            from schnet_calc.bench.schnetpack import training_step

            frames = read_frames(arguments.data).select(torch.arange(320).numpy())
            other = milliseconds(training_step(network, frames, arguments.batch), 7)
            line += f" {other:10.1f} {other / times[1]:6.1f}"
        print(line)
    run = our_run(arguments, SchNetConfig(64, 3, n_gaussians=25, cutoff=6.0), "explicit", "adam")
    print("\nT = 3, F = 64, adam:")
    for name, value in parts_of_a_step(run, arguments.repeats).items():
        print(f"  {name:30s} {value:7.2f} ms")


if __name__ == "__main__":
    main()
