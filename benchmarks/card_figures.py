"""The figure of each model's card: how its errors on unseen frames are distributed.

    python benchmarks/card_figures.py [NAME ...] [--qm9 qm9pack-1.0.3-py3-none-any.whl]

Forces where the model has them, else its first output or the energy. Models whose data aren't at hand are left out,
and so are those whose frames are made again without their labels.
"""

import argparse
from pathlib import Path

from guard import spread_over, unseen_frames
from schnet_calc import load_model, plots
from schnet_calc.training import evaluate
from shipped_grades import CONFIGS, MADE_AGAIN, ROOT

OTHERWISE = {"c20", "silicon", *MADE_AGAIN}
"""Their cards have other figures, or none."""
MOST = 3000
"""Frames, spread evenly over the unseen ones."""


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
            frames = spread_over(unseen_frames(name, arguments.qm9), MOST)
        except FileNotFoundError as error:
            print(f"{name}: no data ({error})")
            continue
        found = evaluate(load_model(name, device="cpu", on_doubt="ignore"), frames)
        what = "forces" if "forces" in found.differences else next(iter(found.differences))
        canvas, axis = plots.new_figure(4.2, 2.4)
        plots.draw_errors([axis], {what: found.differences[what]})
        axis.set_yscale("log")
        canvas.savefig(arguments.output / f"{name}.png", dpi=110)
        print(f"{name}: {what}, mean absolute {found.errors[what].mae:.4g}", flush=True)


if __name__ == "__main__":
    main()
