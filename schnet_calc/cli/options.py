"""The idiom of all commands: dataclasses as options, some of them shared.

A command takes its settings class, :class:`ModelOptions` and an :class:`OutputOptions` of its own. The text below a
field is its help, which begins with the unit. None of this needs torch, ASE or NumPy, so that help and first errors
come at once: modules with settings and the commands' own import such only inside functions.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from schnet_calc.modelfile.finding import find_model, model_sources

if TYPE_CHECKING:
    import ase

    from schnet_calc import SchNetCalculator

Flat = Parameter(name="*")
"""For a dataclass, whose fields are the options."""
Several = Parameter(consume_multiple=True, negative="")
"""For a list: ``--elements H C O``."""
OutputPath = Annotated[Path, Parameter(name=["--output", "-o"])]
JsonPath = Annotated[Path | None, Parameter(help="Where to write the numbers.")]
DType = Literal["float32", "float64"]
MODEL_HELP = "A model file, or the name of a shipped model; several joined by + make a committee."
ModelName = Annotated[str, Parameter(help=MODEL_HELP)]
"""For commands whose first argument is the model."""


@Parameter(name="*", group="Model")
@dataclass(frozen=True)
class EvaluationOptions:
    """How a model is evaluated."""

    device: str = "auto"
    """auto (CUDA where there is one), cpu or cuda[:N]."""
    dtype: DType | None = None
    """Of the evaluation; by default that of the file."""
    engine: Literal["auto", "compiled", "script"] = "auto"
    """compiled: fast, any SchNet; script: any network, runs the TorchScript of foreign files; auto: compiled where
    it can, never a file's TorchScript."""
    on_doubt: str = "warn"
    """For structures outside of what the model knows: warn, ignore, stop, or an .extxyz file to write them to. Exit
    status 3 says that there were some, unless it is ignore."""
    max_forces_std: float | None = None
    """eV/Å; disagreement of a committee about a force that is a reason for doubt."""

    def to_dict(self) -> dict[str, Any]:
        """Return what :class:`~schnet_calc.Model` takes beside the files."""
        return {name: value for name, value in asdict(self).items() if name != "model"}

    def open(self, model: str) -> "SchNetCalculator":
        """Return the calculator of a model, or of several joined by ``+``."""
        sources = check_model(model)
        from schnet_calc import SchNetCalculator

        return SchNetCalculator(sources, **self.to_dict())


@dataclass(frozen=True)
class FrameOptions(EvaluationOptions):
    """How frames are evaluated of which all results are wanted, whether the model knows them or not."""

    on_doubt: str = "ignore"
    """For frames outside of what the model knows: warn, ignore, stop, or an .extxyz file to write them to."""


@dataclass(frozen=True)
class _Named:
    model: str
    """A model file, or the name of a shipped model; several joined by + make a committee."""


@Parameter(name="*", group="Model")
@dataclass(frozen=True)
class ModelOptions(EvaluationOptions, _Named):
    """Which model, and how it is evaluated."""

    def __post_init__(self) -> None:
        check_model(self.model)

    def calculator(self) -> "SchNetCalculator":
        """Return the calculator."""
        return self.open(self.model)


@Parameter(name="*", group="Model")
@dataclass(frozen=True)
class PreciseModelOptions(ModelOptions):
    """The same for results that float32 would round too much."""

    dtype: DType | None = "float64"
    """Of the evaluation."""


@Parameter(name="*", group="Output")
@dataclass(frozen=True)
class OutputOptions:
    """Where results go; a command has a subclass with its own default and says what is written there."""

    output: OutputPath
    """Where the results go."""
    json: Path | None = None
    """Where to write the numbers, too."""


def check_model(model: str) -> list[str]:
    """Return the files or names in what names a model.

    Raises
    ------
    FileNotFoundError
        One of them is neither.
    """
    sources = model_sources(model)
    for source in sources:
        find_model(source)
    return sources


def read(structure: Path) -> "ase.Atoms":
    """Return the last structure of a file, before anything heavier than ASE is imported."""
    check_files(structure)
    from schnet_calc.data.readers import read_structure

    return read_structure(structure)


def check_files(*paths: Path | None) -> None:
    """Look for files before anything that takes its time.

    Raises
    ------
    FileNotFoundError
        One is not there.
    """
    for path in paths:
        if path is not None and not path.exists():
            raise FileNotFoundError(f"there is no file {path}")


def check_data(path: Path) -> None:
    """Look for a file of labelled structures; errors as for :func:`check_files`."""
    if not path.name.startswith("qm9pack"):  # an installed package
        check_files(path)
