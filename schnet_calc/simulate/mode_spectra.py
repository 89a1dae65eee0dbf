"""Dynamics of a stiff molecule along its normal modes: a spectrum of each of them."""

from collections.abc import Sequence

import numpy as np
from ase import units
from numpy.typing import NDArray

from schnet_calc.analysis.spectra import spectrum
from schnet_calc.analysis.spectrum import Spectrum
from schnet_calc.simulate.dynamics import Dynamics, rotations_onto
from schnet_calc.simulate.modes import NormalModes

FloatArray = NDArray[np.float64]


def mode_spectra(
    runs: Sequence[Dynamics], modes: NormalModes, resolution: float | None = None
) -> list[Spectrum]:
    """Return the spectral density of the motion along each mode; its area is the mode's kinetic temperature, K.

    Frames are turned onto the modes' structure first. Modes whose bands overlap, or that don't absorb, are seen one
    by one.

    Parameters
    ----------
    runs : sequence of Dynamics
        Of one molecule; their replicas are pooled.
    modes : NormalModes
        Of a minimum that the molecule stays about.
    resolution : float, optional
        cm⁻¹, as for :func:`~schnet_calc.analysis.spectra.spectrum`.
    """
    series = [along_modes(positions, modes) for run in runs for positions in run.positions]
    interval = runs[0].timestep
    return [
        spectrum([values[:, k : k + 1] for values in series], interval, rate=True, resolution=resolution)
        for k in range(len(modes.frequencies))
    ]


def along_modes(positions: FloatArray, modes: NormalModes) -> FloatArray:
    """Return (M, modes) displacements of frames (M, N, 3), Å, in Å√amu over the root of Boltzmann's constant.

    Parameters
    ----------
    positions : array
        (M, N, 3) Å, anywhere and turned anyhow.
    modes : NormalModes
        Along which.
    """
    masses = modes.atoms.get_masses()
    middle = modes.atoms.get_center_of_mass()
    centres = (positions * masses[:, None]).sum(axis=1, keepdims=True) / masses.sum()
    turned = np.einsum("mna,mab->mnb", positions - centres, rotations_onto(modes.atoms, positions))
    away = turned - (modes.atoms.positions - middle)
    return np.asarray(np.einsum("mna,kna,n->mk", away, modes.modes, masses) / np.sqrt(units.kB))
