"""The figure of each model's card: how its errors on unseen frames are distributed.

    python benchmarks/card_figures.py [NAME ...] [--qm9 qm9pack-1.0.3-py3-none-any.whl]

Forces where the model has them, else its first output or the energy. Models whose data aren't at hand are left out,
and so are those whose frames are made again without their labels.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from guard import unseen_frames
from schnet_calc import load_model, plots
from schnet_calc.data import Frames
from schnet_calc.model import Model
from shipped_grades import CONFIGS, MADE_AGAIN, ROOT

OTHERWISE = {"c20", "silicon", *MADE_AGAIN}
"""Their cards have other figures, or none."""
MOST, BINS = 3000, 61
"""Frames, spread evenly over the unseen ones, and bins."""


def errors_of(model: Model, frames: Frames) -> tuple[str, NDArray[np.float64]]:
    """What is compared, with its unit, and errors (n,) on some frames."""
    rows = np.linspace(0, len(frames) - 1, min(MOST, len(frames))).astype(int).tolist()
    found = []
    for start in range(0, len(rows), 200):
        found += model.evaluate([frames.structure(k) for k in rows[start : start + 200]])
    if model.has_energy and "forces" in frames.labels and np.isfinite(frames.forces).any():
        parts = [p.forces - frames.forces[frames.rows(k)] for p, k in zip(found, rows, strict=True)]
        return "force component, eV/Å", np.concatenate([part.ravel() for part in parts])
    name = next(iter(model.outputs), "energy")
    if name == "energy":
        return "energy, eV", np.array([p.energy for p in found]) - frames.energies[rows]
    told = np.array(
        [float(np.linalg.norm(p.outputs[name])) if name == "dipole" else p.outputs[name] for p in found]
    )
    label = "dipole_length" if name == "dipole" else name
    unit = "e Å" if name == "dipole" else model.outputs[name]
    return f"{label.replace('_', ' ')}, {unit}", told.reshape(len(rows)) - frames.labels[label][rows]


def main() -> None:
    """Draw a figure for each model into ``docs/errors``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--qm9", default="qm9pack", help="its wheel or folder, where it is not installed")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "errors")
    arguments = parser.parse_args()
    arguments.output.mkdir(exist_ok=True)
    for name in arguments.names or sorted(set(CONFIGS) - OTHERWISE):
        try:
            frames = unseen_frames(name, arguments.qm9)
        except FileNotFoundError as error:
            print(f"{name}: no data ({error})")
            continue
        what, errors = errors_of(load_model(name, device="cpu", on_doubt="ignore"), frames)
        reach = float(np.quantile(np.abs(errors), 0.999))
        canvas, axis = plots.new_figure(4.2, 2.4)
        axis.hist(np.clip(errors, -reach, reach), bins=BINS, range=(-reach, reach), log=True)
        axis.set(xlabel=f"error of {what}", ylabel="count")
        axis.set_title(f"mean absolute {np.abs(errors).mean():.3g}", fontsize=9)
        canvas.savefig(arguments.output / f"{name}.png", dpi=110)
        print(f"{name}: {what}, mean absolute {np.abs(errors).mean():.4g}", flush=True)


if __name__ == "__main__":
    main()
