"""Dynamics from one start, in portions: classical, or path integrals."""

import time as clock
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import ase
import ase.io
import numpy as np

from schnet_calc import SchNetCalculator
from schnet_calc.ipi.outputs import bead_files, read_frames
from schnet_calc.ipi.settings import PIMDSettings
from schnet_calc.learn.settings import LearnSettings
from schnet_calc.simulate.md import MDSettings, run_md
from schnet_calc.simulate.pimd import run_pimd

INTERVAL = 20
"""Steps between frames."""
PATIENCE = 60.0
"""Minutes to wait for the i-PI of an interrupted run, which goes on by itself."""
BUSY = "another run is at work"


@dataclass
class Run(ABC):
    """Dynamics from one start."""

    models: list[Path]
    atoms: ase.Atoms
    settings: LearnSettings
    folder: Path
    tell: Callable[[int], None]
    """Told the steps made."""

    @abstractmethod
    def advance(self, time: float) -> None:
        """Run, or go on, to some ps."""

    @abstractmethod
    def frames(self) -> list[list[ase.Atoms]]:
        """Return the trajectories so far, one or one per bead."""


class Classical(Run):
    """ASE's, hotter than asked for."""

    @cached_property
    def calculator(self) -> SchNetCalculator:
        """What moves it; made once."""
        return SchNetCalculator(self.models, device=self.settings.device, on_doubt="ignore")

    def advance(self, time: float) -> None:
        """Run, or go on."""
        settings = self.settings
        kelvin = settings.heat * settings.temperature
        how = MDSettings(kelvin, time, settings.timestep, interval=INTERVAL, seed=settings.seed)
        told: Any = {"resume": True, "progress": lambda step, _: self.tell(step)}
        run_md(self.atoms, self.calculator, how, self.folder, **told)

    def frames(self) -> list[list[ase.Atoms]]:
        """Return the one trajectory."""
        trajectory = self.folder / "md.traj"
        return [on_template(self.atoms, ase.io.read(trajectory, ":")) if trajectory.exists() else []]


class PathIntegral(Run):
    """I-PI's, at the temperature asked for."""

    def advance(self, time: float) -> None:
        """Wait for another i-PI in the folder: that of a killed run goes on to its end, and spares us the work."""
        how, deadline = pimd_settings(self.settings, time), clock.monotonic() + 60.0 * PATIENCE
        options: dict[str, Any] = {"resume": True, "device": self.settings.device}
        while True:
            try:
                run_pimd(
                    self.atoms,
                    self.models,
                    how,
                    self.folder,
                    progress=lambda step, _: self.tell(step),
                    **options,
                )
            except RuntimeError as error:
                if BUSY not in str(error) or clock.monotonic() > deadline:
                    raise
                clock.sleep(1.0)
            else:
                return

    def frames(self) -> list[list[ase.Atoms]]:
        """Return the trajectory of each bead."""
        return [on_template(self.atoms, read_frames(path)) for path in bead_files(self.folder)]


KINDS: dict[str, Callable[..., Run]] = {"MD": Classical, "PIMD": PathIntegral}


def pimd_settings(settings: LearnSettings, time: float) -> PIMDSettings:
    """Return what i-PI is told for a run of some ps."""
    return PIMDSettings(
        beads=settings.beads,
        temperature=settings.temperature,
        time=time,
        timestep=settings.timestep,
        frame_stride=INTERVAL,
        seed=settings.seed,
    )


def on_template(template: ase.Atoms, frames: Sequence[ase.Atoms]) -> list[ase.Atoms]:
    """Return frames with the charges and spins of the start, and for crystals with their own cells."""
    found = []
    for frame in frames:
        atoms = template.copy()
        atoms.info = dict(template.info)
        atoms.positions = frame.positions
        if template.pbc.any():
            atoms.set_cell(frame.cell)
        if not np.isfinite(atoms.positions).all():
            break
        found.append(atoms)
    return found
