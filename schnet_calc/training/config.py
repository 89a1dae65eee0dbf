"""What a training run needs to know; one TOML file holds it all."""

import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from schnet_calc.checks import check_choice, check_not_negative, check_positive
from schnet_calc.data.labels import Labels
from schnet_calc.errors import suggestion
from schnet_calc.nn.config import NetworkConfig, SchNetConfig
from schnet_calc.nn.registry import architecture_of, network_config


def _check_types(section: Any) -> None:
    """Raise ValueError where a value is not of the type of the field's default."""
    for item in fields(section):
        value, default = getattr(section, item.name), item.default
        if isinstance(default, tuple):
            continue
        kinds = (int, float) if isinstance(default, float) else type(default)
        if default is not None and not isinstance(value, kinds):
            wanted = type(default).__name__
            raise ValueError(f"{item.name} must be of type {wanted}, got {value!r}")


@dataclass(frozen=True)
class DataConfig(Labels):
    """Where the frames come from and how they are split."""

    file: str = ""
    properties: tuple[str, ...] = ()
    """Labels to train on, of those in the file; all if empty."""
    n_train: int | None = None
    """Frames to train on; by default 80 percent of the file, at most 1000."""
    n_validation: int | None = None
    """Frames to validate with; by default 10 percent of the file, at most 1000."""
    n_test: int | None = None
    """Frames to test with; by default all that are left."""
    split: str = "random"
    """"random", "blocks", or a split file such as an earlier run's split.npz."""
    n_blocks: int = 10
    """Of time, where the split is by blocks."""
    split_seed: int = 0
    """Of the draw."""
    bootstrap: bool = False
    """Draw the training frames from those of the split, with replacement, by the seed of the training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "properties", tuple(self.properties))
        _check_types(self)

    @property
    def labels(self) -> Labels:
        """What :func:`~schnet_calc.data.read_frames` takes."""
        return Labels(**{f.name: getattr(self, f.name) for f in fields(Labels)})


@dataclass(frozen=True)
class TrainingConfig:
    """Loss, optimiser and schedule."""

    steps: int = 100_000
    """In all; a finished run goes on with more."""
    batch_size: int = 8
    """Frames per step."""
    rho: float = 1.0
    """Weight of the energy loss (thesis Eq. 5.7, there 0.01); 0 trains on forces alone."""
    force_weight: float = 1.0
    """Weight of the force loss; 0 trains on energies alone."""
    force_scale: float = 0.0
    """eV/Å; the force loss of a frame is divided by 1 + (its forces, RMS per atom / scale)², so that hot
    frames don't drown those near equilibrium. 0: all weigh the same."""
    force_outlier: float = 0.0
    """eV/Å; the error of an atom's force counts by its square below this length and by the length itself
    far above it (pseudo-Huber), so that few large errors don't drown the many. 0: squares alone, as in
    thesis Eq. 5.7."""
    stress_weight: float = 0.0
    """Weight of the squared error of the virial per atom, in eV²."""
    dipole_weight: float = 1.0
    """Weight of the squared error of the dipole, in (e·Å)²."""
    scalar_weight: float = 1.0
    """Weight of the squared error of every further number, in units of its variance."""
    learning_rate: float = 1e-3
    """The highest, after the warm-up."""
    final_learning_rate: float = 1e-6
    """At the last step."""
    warmup: int = 500
    """Steps of linear warm-up."""
    schedule: str = "cosine"
    """"cosine", "exponential" (decay to the final rate) or "constant"."""
    ema: float = 0.999
    """Decay of the exponential moving average of the weights that is validated and exported."""
    optimizer: str = "soap"
    """"soap" (Adam in the eigenbasis of each layer's gradients), "adam" or "amsgrad"."""
    start_from: str = ""
    """A model file, or a checkpoint with its optimiser's state, that the run starts with."""
    clip: float = 10.0
    """Largest norm of the gradient, eV."""
    reference: str = "elements"
    """Reference energies: "elements" (least squares), "atom" (one for all) or "none"."""
    validate_every: int = 2000
    """Steps between two validations."""
    n_validate: int = 1000
    """Validation frames used at each check."""
    patience: int = 0
    """Checks without an improvement after which to stop; 0 never stops early."""
    checkpoint_minutes: float = 5.0
    """Minutes between two checkpoints; there is one at every validation and every interruption, too."""
    seed: int = 0
    """Of the first weights and the order of the frames."""
    dtype: str = "float32"
    """"float32" or "float64"."""
    device: str = "auto"
    """"auto", "cpu" or "cuda[:N]"."""
    threads: int = 0
    """CPU threads; 0 leaves torch's default."""
    gradients: str = "auto"
    """"explicit" forces (SchNet), "autograd" (any network), or what fits."""
    spline_spacing: float = 0.02
    """Å between the knots of the filter tables that explicit forces are computed from."""

    def __post_init__(self) -> None:
        choices = {
            "schedule": ("cosine", "exponential", "constant"),
            "reference": ("elements", "atom", "none"),
            "dtype": ("float32", "float64"),
            "optimizer": ("adam", "amsgrad", "soap"),
            "gradients": ("auto", "explicit", "autograd"),
        }
        for name, known in choices.items():
            check_choice(name, getattr(self, name), known)
        _check_types(self)
        positive = (
            "steps",
            "batch_size",
            "learning_rate",
            "validate_every",
            "n_validate",
            "spline_spacing",
        )
        check_positive(self, *positive)
        if not self.clip > 0:  # an infinite one clips nothing
            raise ValueError(f"clip must be positive, got {self.clip}")
        if not (self.rho >= 0 and 0 <= self.ema < 1):
            raise ValueError(f"rho >= 0 and 0 <= ema < 1 are needed, got {self.rho}, {self.ema}")
        forces = ("force_weight", "force_scale", "force_outlier")
        check_not_negative(self, "rho", *forces, "stress_weight", "dipole_weight", "scalar_weight")


@dataclass(frozen=True)
class RunConfig:
    """A whole run: [data], [model] and [training] of the TOML file."""

    data: DataConfig = field(default_factory=DataConfig)
    model: NetworkConfig = field(default_factory=SchNetConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        if self.model.pooling == "mean" and self.training.reference != "none":
            raise ValueError(
                "pooling = 'mean' is for intensive properties: it needs reference = 'none', "
                f"got {self.training.reference!r}"
            )

        if self.training.stress_weight > 0 and not self.data.stress_key:
            raise ValueError("stress_weight asks for stresses to train on: say stress_key in [data]")

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionaries of plain values."""
        tables = asdict(self)
        tables["model"]["architecture"] = architecture_of(self.model)
        return tables

    def changed(self, changes: dict[str, Any]) -> "RunConfig":
        """A copy with other values; every key is looked for in all three sections.

        Raises
        ------
        ValueError
            A key that none of them has.
        """
        parts: dict[str, Any] = {"data": self.data, "training": self.training}
        parts["model"] = _as(changes.get("architecture"), self.model)
        known_anywhere = {f.name for section in parts.values() for f in fields(section)} | {"architecture"}
        strange = sorted(set(changes) - known_anywhere)
        if strange:
            architecture = architecture_of(parts["model"])
            raise ValueError(f"{strange[0]} is no setting of data, training or a {architecture}")
        for name, section in parts.items():
            known = {f.name for f in fields(section)}
            parts[name] = replace(section, **{k: v for k, v in changes.items() if k in known})
        return RunConfig(**parts)

    @classmethod
    def from_dict(cls, tables: dict[str, Any]) -> "RunConfig":
        """From nested dictionaries; an unknown section or key is an error that names it.

        ``architecture`` in ``[model]`` chooses the network, ``"SchNet"`` or ``"DTNN"``.
        """
        model = dict(tables.get("model", {}))
        kind = type(network_config(model.pop("architecture", "SchNet"), {}))
        sections: dict[str, Any] = {"data": DataConfig, "model": kind, "training": TrainingConfig}
        unknown = sorted(set(tables) - set(sections))
        if unknown:
            raise ValueError(f"unknown section {unknown[0]!r}; known are {', '.join(sections)}")
        parts: dict[str, Any] = {}
        for name, section in sections.items():
            table = model if name == "model" else tables.get(name, {})
            known = {f.name for f in fields(section)}
            strange = sorted(set(table) - known)
            if strange:
                raise ValueError(
                    f"unknown key {strange[0]!r} in [{name}]; known are {', '.join(sorted(known))}."
                    + suggestion(strange[0], known)
                )
            parts[name] = section(**table)
        return cls(**parts)

    @classmethod
    def from_toml(cls, path: str | Path) -> "RunConfig":
        """Read a configuration file; relative data and split files are looked for beside it, too."""
        path = Path(path)
        with path.open("rb") as stream:
            tables = tomllib.load(stream)
        data = tables.get("data", {})
        for key in {"file", "split"} & set(data):
            beside = path.parent / data[key]
            if not Path(data[key]).exists() and beside.is_file():
                data[key] = str(beside)
        return cls.from_dict(tables)


def _as(architecture: str | None, model: NetworkConfig) -> NetworkConfig:
    """The hyperparameters for another architecture: those that both have are kept, if any was chosen."""
    if architecture in (None, architecture_of(model)):
        return model
    other = network_config(str(architecture), {})
    if model == type(model)():
        return other
    shared = {f.name for f in fields(other)} & {f.name for f in fields(model)}
    return replace(other, **{name: getattr(model, name) for name in shared})
