"""Grades, and all else that the guard knows, for shipped models, from the data that each was trained on.

    python benchmarks/shipped_grades.py c20 silicon ...        # or no name: all of them
    python benchmarks/shipped_grades.py c20_accurate --file runs/c20_accurate/model.pt

Nothing is trained again. Frames of ``h2co`` and ``water`` are made first, by the scripts beside their
configurations; where data are missing, the model is named and left as it is.
"""

import argparse
import os
import warnings
from pathlib import Path

from schnet_calc.modelfile import find_model
from schnet_calc.training.config import RunConfig
from schnet_calc.training.knowledge import add_knowledge, frames_of_training

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SCHNET_CALC_DATA", ROOT.parent / "shared" / "data"))
CONFIGS = {
    "c20": "c20/5_cosine.toml",
    "c20_accurate": "c20/accurate_5.toml",
    "ethanol_dtnn": "dtnn/ethanol.toml",
    "h2co": "h2co/train.toml",
    "isomers": "isomers/forces.toml",
    "isomers_energies": "isomers/energies.toml",
    "materials": "materials/30000.toml",
    "materials_3000": "materials/3000.toml",
    "qm9": "qm9/u0_2.toml",
    "qm9_dipole": "qm9/dipole_2.toml",
    "qm9_g298": "qm9/g298_2.toml",
    "qm9_gap": "qm9/gap.toml",
    "qm9_h298": "qm9/h298.toml",
    "qm9_orbitals": "qm9/orbitals.toml",
    "qm9_sums": "qm9/sums_2.toml",
    "qm9_u298": "qm9/u298.toml",
    "silicon": "silicon/train.toml",
    "silicon_general": "silicon/general.toml",
    "water": "water/train.toml",
    **{
        name: f"md17/{name}.toml"
        for name in ("aspirin", "benzene", "ethanol", "malonaldehyde", "toluene", "uracil")
    },
    **dict.fromkeys(("naphthalene", "salicylic_acid"), "md17/default.toml"),
}
"""Under ``examples``, the last part of each training."""


def changes(name: str, qm9: str) -> dict[str, str]:
    """Where the data of a model lie here, in place of what its configuration says."""
    config = RunConfig.from_toml(ROOT / "examples" / CONFIGS[name])
    file, split = config.data.file, config.data.split
    if CONFIGS[name].startswith("md17") or name == "ethanol_dtnn":
        molecule = name.removesuffix("_dtnn")
        return {"file": str(DATA / "md17" / f"md17_{molecule}.npz")}
    found = {}
    if file == "qm9pack":
        found["file"] = qm9
    elif "shared/data/" in file:
        found["file"] = str(DATA / file.partition("shared/data/")[2])
    elif not Path(file).exists():
        found["file"] = str(ROOT / "examples" / Path(CONFIGS[name]).parent / file)
    if split not in ("random", "blocks") and not Path(split).exists():
        found["split"] = str(ROOT / "examples" / Path(CONFIGS[name]).parent / split)
    return found


def main() -> None:
    """Take the names from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument(
        "--file", type=Path, help="the model file to write anew, instead of the shipped one"
    )
    parser.add_argument("--output", type=Path, help="a folder to write to, instead of the file itself")
    parser.add_argument("--qm9", default="qm9pack", help="its wheel or folder, where it is not installed")
    arguments = parser.parse_args()
    for name in arguments.names or CONFIGS:
        path = arguments.file or find_model(name)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                where = changes(name, arguments.qm9)
                train, unseen = frames_of_training(ROOT / "examples" / CONFIGS[name], changes=where)
        except FileNotFoundError as error:
            print(f"{name}: no data ({error})")
            continue
        output = path if arguments.output is None else arguments.output / path.name
        before = path.stat().st_size
        add_knowledge(path, output, train, unseen)
        print(f"{name}: {len(train)} frames, {before:,} -> {output.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
