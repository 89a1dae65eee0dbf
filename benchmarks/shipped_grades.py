"""Grades, and all else that the guard knows, for shipped models, from the data that each was trained on.

    python benchmarks/shipped_grades.py c20 silicon ...        # or no name: all of them
    python benchmarks/shipped_grades.py c20_accurate --file runs/c20_accurate/model.pt

Nothing is trained again. ``h2co`` and ``water`` were trained on frames of ours, too: the scripts beside their
configurations make these geometries again, and the model's own energies stand for their labels, which nobody has to
compute for ranges of energies. Where data are missing, the model is named and left as it is.
"""

import argparse
import os
import runpy
import tempfile
import warnings
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from schnet_calc import load_model
from schnet_calc.data import Frames, Split, read_frames
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
    "qm9_lumo": "qm9/lumo_2.toml",
    "qm9_orbitals": "qm9/orbitals.toml",
    "qm9_r2": "qm9/r2_3.toml",
    "qm9_sums": "qm9/sums_2.toml",
    "qm9_thermal": "qm9/thermal_2.toml",
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


def frames_of_h2co(model: Path) -> tuple[Frames, Split]:
    """What ``h2co`` was trained on, and how it was split."""
    script = runpy.run_path(str(ROOT / "examples" / "h2co" / "far_from_the_minimum.py"))
    images = ase.io.read(DATA / "h2co" / "h2co_ccsdt_f12.extxyz", ":")
    added = script["displaced"](images, np.random.default_rng(0))
    highest = min(a.get_potential_energy() for a in images) + script["MOST"]
    return joined(model, images, script["split_of"](images), added, highest)


def frames_of_water(model: Path) -> tuple[Frames, Split]:
    """What ``water`` was trained on, and how it was split."""
    script = runpy.run_path(str(ROOT / "examples" / "water" / "close_contacts.py"))
    images = ase.io.read(DATA / "water" / "water64.extxyz", ":")
    added = [after for _, after in script["pairs"](images)]
    return joined(model, images, script["split_of"](images), added)


def joined(
    model: Path, images: list[ase.Atoms], split: Split, added: list[ase.Atoms], highest: float = np.inf
) -> tuple[Frames, Split]:
    """Data and what was added to the training frames, as far as the model has it below the highest energy, eV."""
    for atoms, found in zip(added, load_model(model, on_doubt="ignore").evaluate(added), strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=found.energy, forces=found.forces)
    added = [a for a in added if a.get_potential_energy() < highest]
    with tempfile.TemporaryDirectory() as folder:
        ase.io.write(Path(folder) / "frames.extxyz", [*images, *added])
        frames = read_frames(Path(folder) / "frames.extxyz")
    more = np.arange(len(images), len(frames))
    return frames, Split(np.concatenate([split.train, more]), split.validation, split.test)


MADE_AGAIN = {"h2co": frames_of_h2co, "water": frames_of_water}


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
                if name in MADE_AGAIN:
                    frames, split = MADE_AGAIN[name](path)
                    train, unseen = frames.select(split.train), frames.select(split.validation)
                else:
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
