"""Path-integral MD: by i-PI, or many ring polymers in one batch."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from schnet_calc.cli.console import (
    Speed,
    Stages,
    err,
    noting,
    print_table,
    stages_shown,
    tell_doubtful,
    warn,
    write_json,
)
from schnet_calc.cli.options import Flat, ModelOptions, OutputOptions, OutputPath, read
from schnet_calc.ipi.settings import PIMDSettings

if TYPE_CHECKING:
    import ase

    from schnet_calc.simulate.bias import Bias
    from schnet_calc.simulate.pimd_folder import PIMDRun

Beads = Annotated[
    int | Literal["auto"],
    Parameter(
        help="P; 1 is classical dynamics; auto takes as many as the structure's harmonic modes ask for."
    ),
]


@dataclass(frozen=True, kw_only=True)
class Simulation(PIMDSettings):
    """A path-integral simulation, whose beads are told apart."""

    beads: Annotated[int, Parameter(parse=False)] = 8
    """P."""


@dataclass(frozen=True)
class Ensemble:
    """Who integrates how many ring polymers."""

    driver: Literal["i-pi", "batch"] | None = None
    """i-pi, or batch: without i-PI, all beads of all replicas in one batch per step. By default batch for several
    replicas and for trpmd."""
    replicas: int | None = None
    """Independent simulations, for batch; by default 16 for trpmd, else 1."""

    def count(self, method: str) -> int | None:
        """Return how many run in one batch; None for i-PI."""
        if self.replicas is not None and self.replicas < 1:
            raise ValueError(f"replicas must be at least 1, got {self.replicas}")
        several, trpmd = (self.replicas or 1) > 1, method == "trpmd"
        if self.driver == "i-pi" and several:
            raise ValueError(f"i-PI runs one replica at a time, got {self.replicas}: say --driver batch")
        if self.driver == "batch" or (self.driver is None and (trpmd or several)):
            return self.replicas or (16 if trpmd else 1)
        if trpmd:
            warn(
                "i-PI's TRPMD starts from the structure, not from thermalised ring polymers; --driver batch "
                "does, with replicas for errors"
            )
        return None


@dataclass(frozen=True)
class PIMDOutput(OutputOptions):
    """What ``pimd`` writes."""

    output: OutputPath = Path("pimd")
    """Folder for simulation.* (a folder in it for each of several replicas) and the figure."""
    json: Path | None = None
    """Where to write the estimators."""


def pimd(
    structure: Path,
    *,
    settings: Annotated[Simulation, Flat],
    beads: Beads = 8,
    ensemble: Annotated[Ensemble, Flat] = Ensemble(),
    resume: bool = False,
    model: ModelOptions,
    out: PIMDOutput = PIMDOutput(),
) -> None:
    """Path-integral MD, in a folder with i-PI's standard output files.

    Parameters
    ----------
    structure
        Where all beads start, any file that ASE reads.
    resume
        Go on with the run in the folder.
    """
    count = ensemble.count(settings.method)
    atoms = read(structure)
    from schnet_calc import plots

    chosen, bias = with_beads(settings, beads, atoms, model.model, model.to_dict())
    run = _run(atoms, model, chosen, out.output, count, resume)
    table, result = run.table(), run.estimators()
    plots.draw_to(out.output / "pimd", plots.draw_pimd, table, size=(9, 3.2), columns=2)
    if result is None:
        err.print("[yellow]too short for estimators with errors")
    rows = {
        "time": f"{table['time'][-1]:.3f} ps, {chosen.beads} beads"
        + (f", {count} replicas" if count else ""),
        "conserved quantity": f"changed by {table['conserved'][-1] - table['conserved'][0]:.1e} eV",
        **(result.described() if result else {}),
        **_biases(bias),
        "doubtful structures": run.doubts.count,
    }
    print_table(f"PIMD of {structure.name}", {**rows, "folder": out.output})
    numbers: dict[str, Any] = {"time_ps": float(table["time"][-1]), "beads": chosen.beads}
    numbers |= {"replicas": count or 1, "doubtful_structures": run.doubts.count}
    if bias is not None:
        numbers |= {"bias_of_beads": bias.of_beads, "bias_of_timestep": bias.of_timestep}
    write_json(out.json, {**numbers, **(result.to_dict() if result else {})})
    tell_doubtful(run.doubts.count, run.doubts.reason)


def with_beads(
    settings: Simulation, beads: int | Literal["auto"], atoms: "ase.Atoms", model: str, how: dict[str, Any]
) -> tuple[PIMDSettings, "Bias | None"]:
    """Return settings with a number of beads, after a word where these or the time step are too coarse.

    Parameters
    ----------
    settings : Simulation
        Without them.
    beads : int or "auto"
        P.
    atoms : Atoms
        Of the harmonic modes.
    model : str
        Of these.
    how : dict
        Options of its evaluation.
    """
    from schnet_calc.model import Model
    from schnet_calc.modelfile.finding import model_sources
    from schnet_calc.simulate.bias import LARGEST, expected_bias, has_modes

    chosen = PIMDSettings(**{**asdict(settings), "beads": 1 if beads == "auto" else beads})
    bias = None
    if has_modes(atoms):
        loaded = Model(model_sources(model), **{**how, "on_doubt": "ignore", "max_forces_std": None})
        bias = expected_bias(atoms, loaded, chosen.temperature, chosen.beads, chosen.timestep)
    if beads == "auto":
        if bias is None:
            raise ValueError(
                f"--beads auto needs sound modes of a molecule of 2 to {LARGEST} atoms, got {len(atoms)} atoms: "
                "say a number"
            )
        chosen = replace(chosen, beads=bias.enough_beads())
        bias = replace(bias, beads=chosen.beads)
    for text in [] if bias is None else bias.warnings():
        warn(text)
    return chosen, bias


def _run(
    atoms: "ase.Atoms",
    model: ModelOptions,
    settings: PIMDSettings,
    output: Path,
    replicas: int | None,
    resume: bool,
) -> "PIMDRun":
    from schnet_calc.simulate.pimd import run_pimd
    from schnet_calc.simulate.ring_polymer_run import run_ring_polymers

    names = model_names(model.model)
    with stages_shown() as stages:
        show = partial(_tell, stages, Speed(settings.timestep), settings, replicas is None)
        how: dict[str, Any] = {**model.to_dict(), "resume": resume, "progress": noting(output, show)}
        if replicas is None:
            stages("start of i-PI", 0, None)
            return run_pimd(atoms, names, settings, output, **how)
        return run_ring_polymers(atoms, names, settings, output, replicas=replicas, **how)


def _tell(
    stages: Stages, speed: Speed, settings: PIMDSettings, by_i_pi: bool, step: int, row: dict[str, float]
) -> None:
    """Show how far a run is; negative steps equilibrate."""
    if by_i_pi and not stages.ended("start of i-PI"):
        stages("start of i-PI", 1, 1)
    if step < 0:
        stages("equilibration", settings.n_equilibration + step, settings.n_equilibration)
        return
    pace, conserved = speed(step), f"conserved {row['conserved']:.4f} eV"  # what is cut comes last
    parts = (f"{row['time']:.2f} ps", f"{row['temperature']:.0f} K", pace, conserved)
    stages("PIMD", step, settings.n_steps, ", ".join(filter(None, parts)))


def _biases(bias: "Bias | None") -> dict[str, str]:
    """What the table says of biases."""
    if bias is None:
        return {}
    return {
        "expected bias, beads": f"{bias.of_beads:+.1%} of the vibrations' kinetic energy",
        "expected bias, timestep": f"{bias.of_timestep:+.1%} of the vibrations' energy",
    }


def model_names(text: str) -> tuple[str, ...]:
    """Return the files, with absolute paths, or names that an argument joins by ``+``."""
    from schnet_calc.modelfile.finding import model_sources
    from schnet_calc.simulate.pimd import absolute_names

    return absolute_names(model_sources(text))
