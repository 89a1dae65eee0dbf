"""Tables 5.3 and 5.4 of the thesis at N = 1,000, and what forces are worth, as in Tables 5.3 and 5.6, in small."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schnet_calc.analysis.errors import Errors
from schnet_calc.calculator import SchNetCalculator
from schnet_calc.data.fetch import ORIGINAL
from schnet_calc.studies.kept import MeanErrors, Progress, steps_of
from schnet_calc.studies.tables import held_out
from schnet_calc.training import Run, RunConfig
from schnet_calc.training.evaluation import Evaluation, evaluate
from schnet_calc.training.workflow import finish

PAPER = {
    "benzene": MeanErrors(0.08, 0.31),
    "toluene": MeanErrors(0.12, 0.57),
    "malonaldehyde": MeanErrors(0.13, 0.66),
    "salicylic_acid": MeanErrors(0.20, 0.85),
    "aspirin": MeanErrors(0.37, 1.35),
    "ethanol": MeanErrors(0.08, 0.39),
    "uracil": MeanErrors(0.14, 0.56),
    "naphthalene": MeanErrors(0.16, 0.58),
}
"""What the paper reports for SchNet trained on energies and forces of 1,000 frames, Tables 5.3 and 5.4."""


@dataclass(frozen=True)
class MoleculeErrors:
    """One molecule of the table."""

    molecule: str
    evaluation: Evaluation
    """On frames that were neither trained on nor validated with."""
    seed: int = 0
    """Of split, first weights and order of the frames."""

    @property
    def name(self) -> str:
        """The molecule, with the seed unless that is the first."""
        return self.molecule if self.seed == 0 else f"{self.molecule}, seed {self.seed}"

    @property
    def paper(self) -> MeanErrors:
        """What the paper reports."""
        return PAPER[self.molecule]

    @property
    def found(self) -> MeanErrors:
        """Those of the model."""
        return MeanErrors.of(self.evaluation.errors)

    @property
    def reached(self) -> tuple[bool, ...]:
        """Whether energy and force are at or below the paper's, unrounded."""
        return tuple(ours <= theirs for ours, theirs in zip(self.found, self.paper, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self.evaluation.to_dict(), "paper": self.paper._asdict(), "reached": self.reached}


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """All molecules for no name; ``ValueError`` for one that the tables don't have."""
    for name in names:
        if name not in PAPER:
            raise ValueError(f"no molecule {name!r} in Tables 5.3 and 5.4; there are {', '.join(PAPER)}")
    return tuple(names) or tuple(PAPER)


def find_data(folder: str | Path, molecule: str) -> Path:
    """The file of a molecule: ``md17_NAME.npz``, or the same with the original's name.

    Raises
    ------
    FileNotFoundError
        There is none; the message says what was looked for.
    """
    candidates = [Path(folder) / f"md17_{n}.npz" for n in (molecule, ORIGINAL.get(molecule, molecule))]
    for path in candidates:
        if path.is_file():
            return path
    looked = " or ".join(dict.fromkeys(p.name for p in candidates))
    raise FileNotFoundError(f"no {looked} in {folder}")


def configuration(
    configs: str | Path, data: str | Path, molecule: str, n_train: int, seed: int = 0
) -> RunConfig:
    """The settings of a molecule: ``NAME.toml`` in the folder, or ``default.toml``.

    Parameters
    ----------
    configs, data : path
        Folders of the settings and of the frames.
    molecule : str
        A name of Table 5.3.
    n_train, seed : int
        Frames to train on; of split and weights.
    """
    own = Path(configs) / f"{molecule}.toml"
    path = own if own.is_file() else Path(configs) / "default.toml"
    if not path.is_file():
        raise FileNotFoundError(
            f"neither {own.name} nor default.toml in {configs}: name the folder of configs"
        )
    changes = {
        "file": str(find_data(data, molecule)),
        "n_train": n_train,
        "split": "random",
        "split_seed": seed,
        "seed": seed,
    }
    return RunConfig.from_toml(path).changed(changes)


def train_molecule(
    config: RunConfig,
    directory: str | Path,
    command: str,
    progress: Callable[[Run, Any], None] | None = None,
) -> Evaluation:
    """Train, or go on with the run in the folder, and test; a run that is done is tested only.

    Parameters
    ----------
    config : RunConfig
        From :func:`configuration`.
    directory : path
        Of the run.
    command : str
        For the metadata.
    progress : callable, optional
        As for :meth:`Run.run`.
    """
    run = Run(config, directory, resume=True)
    run.run(progress)
    tested = finish(run, command)
    if tested is None:
        raise ValueError(f"{config.data.file} leaves no frames to test with")
    return tested


def evaluate_molecule(model: str | Path, config: RunConfig, device: str = "auto") -> Evaluation:
    """Test a model file on the frames of the split that its training left alone.

    Parameters
    ----------
    model : str or path
        A file, or a shipped name.
    config : RunConfig
        Whose split says what is unseen.
    device : str
        Where it is evaluated.

    Raises
    ------
    ValueError
        The model was trained on another number of frames: its split is another one.
    """
    calculator = SchNetCalculator(model, device=device)
    trained = calculator.potential.metadata.training.get("n_train")
    if trained != config.data.n_train:
        raise ValueError(f"{model} was trained on {trained} frames, not on {config.data.n_train}")
    return evaluate(calculator, held_out(config))


VARIANTS: dict[str, dict[str, float]] = {
    "energies alone": {"rho": 1.0, "force_weight": 0.0},
    "forces alone": {"rho": 0.0, "force_weight": 1.0},
    "rho = 0.01": {"rho": 0.01},
    "rho = 0.1": {"rho": 0.1},
    "rho = 1": {"rho": 1.0},
    "rho = 10": {"rho": 10.0},
    "rho = 100": {"rho": 100.0},
}
"""What is changed in the configuration; everything else stays."""


@dataclass(frozen=True)
class Variant:
    """One way to weigh energies and forces, trained and tested."""

    name: str
    rho: float
    force_weight: float
    errors: Errors
    """On frames never used."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"rho": self.rho, "force_weight": self.force_weight, **self.errors.to_dict()}


def run_ablation(
    config: RunConfig, directory: str | Path, command: str, progress: Progress | None = None
) -> list[Variant]:
    """Train and test every variant; runs that are there are continued, those that are done only tested.

    Parameters
    ----------
    config : RunConfig
        Of the molecule; its weights are replaced.
    directory : path
        Gets a folder per variant.
    command : str
        For the metadata.
    progress : callable, optional
        Called with the name of a variant, its steps and their number.
    """
    found = []
    for name, changes in VARIANTS.items():
        variant = config.changed(changes)
        folder = Path(directory) / name.replace(" ", "_").replace("=", "")
        tested = train_molecule(variant, folder, command, steps_of(progress, name))
        training = variant.training
        found.append(Variant(name, training.rho, training.force_weight, tested.errors))
    return found
