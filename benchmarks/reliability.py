"""How far error bars of energies can be believed: predicted beside actual errors of frames that no model has seen.

    python benchmarks/reliability.py docs/reliability.png [NAME ...]

A point is a tenth of the frames, ordered by their error bars; on the line the error bar is the RMS error. In the
title stands the standard deviation of errors by error bars over all frames, one for honest ones.
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from guard import spread_over, unseen_frames
from schnet_calc import load_model, plots

NAMES = (
    "c20",
    "c20_accurate",
    "ethanol",
    "malonaldehyde",
    "benzene",
    "uracil",
    "toluene",
    "h2co",
    "silicon",
)
MOST, BINS = 1000, 10


def errors_and_bars(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Errors of energies of unseen frames, and their error bars, eV."""
    model, frames = load_model(name, device="cpu"), spread_over(unseen_frames(name), MOST)
    found = []
    for start in range(0, len(frames), 100):
        found += model.evaluate([frames.structure(k) for k in range(start, min(start + 100, len(frames)))])
    errors = np.array([p.energy for p in found]) - frames.energies
    return errors, np.array([p.energy_std for p in found])


def main(figure: str, *names: str) -> None:
    """Draw a panel for each model."""
    chosen = names or NAMES
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    canvas, axes = plots.new_figure(3.0 * columns, 2.8 * rows, columns, nrows=rows, squeeze=False)
    for axis in np.ravel(axes)[len(chosen) :]:
        axis.set_visible(False)
    for axis, name in zip(np.ravel(axes), chosen, strict=False):
        errors, bars = errors_and_bars(name)
        groups = np.array_split(np.argsort(bars), min(BINS, len(bars) // 2))
        predicted = [1e3 * np.sqrt(np.mean(bars[g] ** 2)) for g in groups]
        actual = [1e3 * np.sqrt(np.mean(errors[g] ** 2)) for g in groups]
        ends = [0.8 * min(predicted + actual), 1.25 * max(predicted + actual)]
        axis.loglog(ends, ends, lw=0.8, color="grey")
        axis.loglog(predicted, actual, "o", ms=4)
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            side.set_major_formatter(FormatStrFormatter("%g"))
            side.set_minor_formatter(NullFormatter())
        axis.set(
            title=f"{name}: {np.std(errors / bars):.2f}", xlabel="error bar, meV", ylabel="RMS error, meV"
        )
        print(
            f"| {name} | {len(errors)} | {1e3 * np.sqrt(np.mean(errors**2)):.2f} | "
            f"{1e3 * np.sqrt(np.mean(bars**2)):.2f} | {np.std(errors / bars):.2f} |",
            flush=True,
        )
    plots.save_figure(canvas, Path(figure).with_suffix(""))


if __name__ == "__main__":
    main(*sys.argv[1:])
