"""Other fast potentials on crystals of 1,000 atoms: what a step costs for each atom, on one thread."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
import torch
from ase.calculators.calculator import Calculator

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.studies.bench.cases import diamond, md_step, silicon, write_random_model
from schnet_calc.studies.bench.timing import take_turns, threads

NEP = {"C": (7.0, 4.0), "Si": (5.0, 5.0)}
"""Å; radial and angular cutoffs that published models have."""
MACE_CUTOFF = 5.0
"""Å"""


@dataclass(frozen=True)
class Anchor:
    """A line of the table: microseconds per atom and step on one thread."""

    name: str
    ours: float
    theirs: float
    ratio: float
    """Theirs over ours, median over rounds in which they took turns."""


def run_anchors(against: str, seconds: float = 3.0) -> list[Anchor]:
    """Time steps of ASE with our calculator and another potential's, on diamond and silicon.

    Ours are the network of the C20 study on diamond (random weights) and the shipped ``silicon`` (10 Å). Theirs
    have random weights, which cost what trained ones do: for ``"nep"`` NEP4 with 30 neurons, for ``"mace"`` two
    layers with 64 scalar channels.

    Parameters
    ----------
    against : str
        ``"nep"`` (``pip install calorine``) or ``"mace"`` (``pip install mace-torch``).
    seconds : float
        For each timing, about.

    Raises
    ------
    ModuleNotFoundError
        It is not installed.
    """
    make = {"nep": nep_calculator, "mace": mace_calculator}[against]
    found = []
    with tempfile.TemporaryDirectory() as name, threads(1):
        random = Path(name) / "c20.pt"
        write_random_model(random)
        for title, atoms, model in (
            ("diamond, T = 6, F = 128, 5 Å", diamond(1000), random),
            ("silicon, the shipped model, 10 Å", silicon(), "silicon"),
        ):
            ours = SchNetCalculator(model, device="cpu", on_doubt="ignore")
            theirs = make(atoms.get_chemical_symbols()[0], Path(name))
            steps = {"ours": md_step(atoms, ours), "theirs": md_step(atoms, theirs)}
            times = {k: 1e3 * t / len(atoms) for k, t in take_turns(steps, seconds).items()}
            found.append(
                Anchor(
                    title,
                    float(np.median(times["ours"])),
                    float(np.median(times["theirs"])),
                    float(np.median(times["theirs"] / times["ours"])),
                )
            )
    return found


def nep_calculator(symbol: str, folder: Path) -> Calculator:
    """Return NEP4 with random weights for one element, evaluated by calorine on the CPU.

    The file's layout: descriptors of 5 radial and 5 x 5 angular functions, one hidden layer, and the
    descriptors' scales.
    """
    try:
        from calorine.calculators import CPUNEP
    except ImportError as error:
        raise ModuleNotFoundError(f"{error}: pip install calorine") from error
    radial, angular = NEP[symbol]
    n_max, n_basis, l_max, n_neurons = 4, 8, 4, 30
    size = (n_max + 1) * (2 + l_max)
    n_weights = (size + 2) * n_neurons + 1 + 2 * (n_max + 1) * (n_basis + 1)
    weights = np.random.default_rng(0).normal(scale=0.3, size=n_weights)
    header = [
        f"nep4 1 {symbol}",
        f"cutoff {radial:g} {angular:g} 200 100",
        f"n_max {n_max} {n_max}",
        f"basis_size {n_basis} {n_basis}",
        f"l_max {l_max} 2 0",
        f"ANN {n_neurons} 0",
    ]
    path = folder / f"nep_{symbol}.txt"
    path.write_text("\n".join([*header, *(f"{w:.7e}" for w in weights), *["0.1"] * size]) + "\n")
    calculator: Calculator = CPUNEP(str(path))
    return calculator


def mace_calculator(symbol: str, folder: Path) -> Calculator:
    """Return a small MACE with random weights for one element, in float32 on the CPU."""
    try:
        from e3nn.o3 import Irreps
        from mace.calculators import MACECalculator
        from mace.modules import ScaleShiftMACE, interaction_classes
    except ImportError as error:
        raise ModuleNotFoundError(f"{error}: pip install mace-torch") from error
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        network = ScaleShiftMACE(
            r_max=MACE_CUTOFF,
            num_bessel=8,
            num_polynomial_cutoff=5,
            max_ell=3,
            interaction_cls=interaction_classes["RealAgnosticResidualInteractionBlock"],
            interaction_cls_first=interaction_classes["RealAgnosticResidualInteractionBlock"],
            num_interactions=2,
            num_elements=1,
            hidden_irreps=Irreps("64x0e"),
            MLP_irreps=Irreps("16x0e"),
            atomic_energies=np.zeros(1),
            avg_num_neighbors=30.0,
            atomic_numbers=[ase.Atoms(symbol).numbers[0]],
            correlation=3,
            gate=torch.nn.functional.silu,
            atomic_inter_scale=1.0,
            atomic_inter_shift=0.0,
        )
        calculator: Any = MACECalculator(models=[network], device="cpu", default_dtype="float32")
    finally:
        torch.set_default_dtype(before)
    return calculator
