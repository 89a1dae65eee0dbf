"""Path-integral molecular dynamics without i-PI: many ring polymers, one batch of the network per step."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ase
import ase.io
import numpy as np
from numpy.typing import NDArray

from schnet_calc.errors import BadStructureError, DoubtfulStructureError, NotFiniteError
from schnet_calc.folders import locked
from schnet_calc.interruption import whole
from schnet_calc.ipi.doubts import Doubts, read_doubts
from schnet_calc.ipi.errors import StructureError
from schnet_calc.ipi.input import STRUCTURE, PIMDSettings, i_pi_structure
from schnet_calc.ipi.outputs import cut_outputs
from schnet_calc.model import Model, Source, as_model
from schnet_calc.simulate.pimd_folder import PIMDRun, claim, identity_of
from schnet_calc.simulate.pimd_process import FAILED, Progress
from schnet_calc.simulate.ring_polymer_files import Writer, read_state, replica_folders
from schnet_calc.simulate.ring_polymers import Bath, Integrator, Polymers, on_host
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.structure import Structure

if TYPE_CHECKING:
    import torch

FloatArray = NDArray[np.float64]
SAVED_EVERY = 10.0
"""Seconds after which a run that is stopped has lost nothing, at a row of properties."""


class BeadForces:
    """A model's energies and forces of beads.

    Parameters
    ----------
    model : Model
        What evaluates.
    atoms : Atoms
        Species, cell and periodic directions.
    count : int
        Beads of all replicas together.
    """

    def __init__(self, model: Model, atoms: ase.Atoms, count: int) -> None:
        self.model = model
        self.first = first = Structure.from_atoms(atoms)
        cells = np.repeat(first.cell[None], count, axis=0)
        self._geometries = Geometries(first.numbers, np.empty(0), cells, first.pbc)
        self.resident = model.resident(self.first, count)
        self.device = None if self.resident is None else self.resident.device
        """Where beads are tensors; None for NumPy's arrays."""

    def __call__(self, places: Any) -> tuple[Any, Any]:
        """Return (R, P) eV and (R, P, N, 3) eV/Å of (R, P, N, 3) Å, tensors of tensors.

        Raises
        ------
        StructureError
            Of one that can't be evaluated, or is doubtful with ``on_doubt="stop"``.
        """
        replicas, beads, n_atoms, _ = places.shape
        flat = places.reshape(-1, n_atoms, 3)
        try:
            energies, forces = self._on_host(flat) if self.resident is None else self._on_device(flat)
        except (BadStructureError, NotFiniteError, DoubtfulStructureError) as error:
            replica, bead = divmod(error.index, beads)
            where = f"bead {bead} of replica {replica}: {error}"
            positions, cell = on_host(flat)[error.index], self.first.cell
            raise StructureError(error.index, positions, cell, where) from error
        return energies.reshape(replicas, beads), forces.reshape(places.shape)

    def _on_host(self, flat: Any) -> tuple[Any, Any]:
        found = self.model.totals(self._at(flat))
        return found.energies, found.forces

    def _at(self, flat: Any) -> Geometries:
        return self._geometries._replace(positions=on_host(flat))

    def _on_device(self, flat: "torch.Tensor") -> tuple[Any, Any]:
        """The same of tensors; the guard is given a copy of the positions, if it looks."""
        assert self.resident is not None
        found = self.resident(flat)
        if found is None:  # an error, or too little memory for all at once
            energies, forces = self._on_host(flat)
            return flat.new_tensor(energies), flat.new_tensor(forces)
        if self.model.guard.on_doubt != "ignore":
            lists, energies = self.model.lists, on_host(found[0])
            self.model.guard.check_geometries(self._at(flat), lists, energies, found[2])
        return found[:2]


def run_ring_polymers(
    atoms: ase.Atoms,
    model: Model | Source | Sequence[Source],
    settings: PIMDSettings,
    directory: str | Path,
    *,
    replicas: int = 16,
    resume: bool = False,
    progress: Progress | None = None,
    **model_settings: Any,
) -> PIMDRun:
    """Run path-integral MD of independent replicas, all beads of all of them in one batch per step.

    A replica's trajectory depends on the seed and its number alone, not on how many there are. Output is i-PI's: in
    the folder for one replica, in ``replica_0``, ``replica_1`` ... for several.

    Parameters
    ----------
    atoms : Atoms
        Where all beads start; velocities are drawn for the temperature.
    model : Model, path or str, or a list of the last two
        What evaluates.
    settings : PIMDSettings
        Beads, temperature, time, thermostat; its transport is not looked at.
    directory : path
        For output.
    replicas : int
        R.
    resume : bool
        Go on with the run in the folder: to the bit what an uninterrupted run gives.
    progress : callable, optional
        Called at every row with the steps done, which are negative while it equilibrates, and means over replicas.
    **model_settings
        ``device``, ``dtype``, ``engine``, ``on_doubt`` and ``max_forces_std`` for a model that isn't loaded yet.

    Raises
    ------
    FileExistsError, ValueError, FolderInUseError
        As for :func:`~schnet_calc.run_pimd`; no replicas; constraints.
    StructureError
        A bead that can't be evaluated; it is in ``failed_structure.xyz``.
    """
    if replicas < 1:
        raise ValueError(f"replicas must be at least 1, got {replicas}")
    if atoms.constraints:
        raise ValueError("ring polymers with constraints are not supported: remove them from the structure")
    directory, start = Path(directory), i_pi_structure(atoms)
    loaded = as_model(model, **model_settings)
    with locked(directory):
        identity = identity_of(atoms, [p.sha256 for p in loaded.potentials], settings, replicas)
        there = claim(directory, atoms, identity, resume)
        run = _Run(start, loaded, settings, directory, replicas)
        try:
            run.go(run.found() if there else None, progress)
        except StructureError as error:
            error.write(directory / FAILED, start)
            raise
    return PIMDRun(directory, settings)


class _Run:
    """One run: integrators of its two stages, what evaluates, and what writes."""

    def __init__(
        self, atoms: ase.Atoms, model: Model, settings: PIMDSettings, directory: Path, replicas: int
    ) -> None:
        self.atoms, self.settings, self.directory, self.replicas = atoms, settings, directory, replicas
        self.masses = atoms.get_masses()
        self.forces = BeadForces(model, atoms, replicas * settings.beads)
        self.writer = Writer(directory, atoms, replicas, settings.beads)
        self.before, self.earlier = model.guard.count, read_doubts(directory)
        self.guard, self.saved = model.guard, time.monotonic()
        bath = Bath(settings.temperature, settings.thermostat, settings.time_constant)
        warming = Bath(settings.temperature, "pile_l", settings.time_constant)
        if settings.method == "trpmd":
            bath = Bath.trpmd(settings.temperature)
        self.stages = [
            Integrator(self.masses, settings.beads, settings.timestep, b, self.forces.device)
            for b in (warming, bath)
        ]

    def found(self) -> tuple[int, Polymers] | None:
        """What an earlier process has left; rows and frames beyond it are cut."""
        state = read_state(self.directory)
        for folder in replica_folders(self.directory, self.replicas):
            cut_outputs(folder, -1 if state is None else state[0])
            if state is None or state[0] < 0:
                for path in folder.glob("simulation.*"):
                    path.unlink()
        return None if state is None else (state[0], self.stages[0].taken_up(state[1]))

    def go(self, found: tuple[int, Polymers] | None, progress: Progress | None) -> None:
        """Integrate to the end from where the run was, or from the structure."""
        settings = self.settings
        step, s = found or self._begin()
        while step < settings.n_steps:
            stage = self.stages[step >= 0]
            stage.begin(s)
            stage.take(s, *self.forces(stage.places(s)))
            stage.finish(s)
            step += 1
            if step == 0:
                s.heat[:] = 0.0
            due = step % settings.stride == 0 or step == settings.n_steps
            rows = self._rows(step, s) if due else None
            if step >= 0:
                self._write(step, s, rows)
            if rows is not None:
                self._report(step, s, rows, progress)

    def _begin(self) -> tuple[int, Polymers]:
        settings = self.settings
        positions = np.repeat(self.atoms.positions[None], self.replicas, axis=0)
        seeds = [[settings.seed, k] for k in range(self.replicas)]
        s = self.stages[0].start(positions, seeds)
        self.stages[0].take(s, *self.forces(self.stages[0].places(s)))
        step = -settings.n_equilibration
        if step == 0:
            self._write(step, s, self._rows(step, s))
        (self.directory / STRUCTURE).unlink(missing_ok=True)
        ase.io.write(self.directory / STRUCTURE, self.atoms, format="extxyz")
        return step, s

    def _write(self, step: int, s: Polymers, rows: FloatArray | None) -> None:
        settings = self.settings
        if step == 0:
            self.writer.begin()
        if rows is not None and step % settings.stride == 0:
            self.writer.rows(rows)
        if step % settings.frame_stride == 0:
            self.writer.frames(step, on_host(self.stages[1].places(s)))

    def _rows(self, step: int, s: Polymers) -> FloatArray:
        """The columns of :data:`~schnet_calc.simulate.ring_polymer_files.COLUMNS` for each replica."""
        first = np.array([step, 1e-3 * step * self.settings.timestep])
        found = self.stages[step >= 0].properties(s)
        return np.column_stack([np.tile(first, (self.replicas, 1)), *map(on_host, found.values())])

    def _report(self, step: int, s: Polymers, rows: FloatArray, progress: Progress | None) -> None:
        """Tell how far it is, and save every now and then."""
        settings, now = self.settings, time.monotonic()
        due = step % settings.checkpoint_stride == 0 or now - self.saved > SAVED_EVERY
        if due or step == settings.n_steps:
            with whole():
                self.writer.save(step, s)
                self._save_doubts()
            self.saved = now
        if progress is not None:
            names = ("step", "time", "conserved", "temperature", "potential")
            progress(step, dict(zip(names, rows.mean(axis=0).tolist(), strict=False)))

    def _save_doubts(self) -> None:
        new = self.guard.count - self.before
        if new:
            reason = (self.guard.reasons or [""])[0]
            self.earlier += Doubts(new, reason)
            self.earlier.write(self.directory)
            self.before = self.guard.count
