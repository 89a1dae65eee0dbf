"""Model files in TorchSim: many structures at once, on the CPU or a GPU.

    import torch_sim as ts
    from schnet_calc.torchsim import SchNetModel

    relaxed = ts.optimize(system=[atoms, other], model=SchNetModel("silicon"), optimizer=ts.optimizers.fire)

The network is differentiated automatically, on TorchSim's neighbour lists; its tensors stay on the device.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from schnet_calc.device import choose_device
from schnet_calc.errors import BadStructureError
from schnet_calc.modelfile import Potential, load_potential
from schnet_calc.nn import MAX_ATOMIC_NUMBER

try:
    from torch_sim.models.interface import ModelInterface
    from torch_sim.neighbors import vesin_nl_ts
    from torch_sim.state import SimState
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"{error}: pip install 'schnet-calc[torchsim]'") from error

NeighborList = Callable[..., tuple[Tensor, Tensor]]
"""Of TorchSim: ``(positions, cell, pbc, cutoff)`` of one system -> pairs (2, P) and shifts in cells (P, 3)."""


class SchNetModel(ModelInterface):
    """A model file as TorchSim's ``ModelInterface``.

    Parameters
    ----------
    model : path, str or Potential
        A model file, the name of a shipped model such as ``"silicon"``, or a loaded potential.
    device : str or torch.device
        ``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda[:N]"``.
    dtype : torch.dtype, optional
        Of positions and network; float64 by default, so that energies, which contain those of the atoms,
        keep their digits.
    compute_forces, compute_stress : bool
        What is computed beside the energy.
    neighbor_list_fn : callable, optional
        One of TorchSim's functions of a single system.

    Raises
    ------
    FileNotFoundError, ModelFileError
        As for :func:`~schnet_calc.modelfile.load_potential`.
    ValueError
        The file holds no network of this package, or no energy.
    """

    offsets: Tensor

    def __init__(
        self,
        model: str | Path | Potential,
        device: str | torch.device = "auto",
        dtype: torch.dtype = torch.float64,
        *,
        compute_forces: bool = True,
        compute_stress: bool = True,
        neighbor_list_fn: NeighborList = vesin_nl_ts,
    ) -> None:
        super().__init__()
        self.potential = model if isinstance(model, Potential) else load_potential(model)
        network = self.potential.network()
        if network is None or not network.config.energy:
            raise ValueError(
                f"{self.potential.path or model} holds no network of this package with an energy"
            )
        self._device = choose_device(str(device))
        self._dtype = dtype
        self._compute_forces, self._compute_stress = compute_forces, compute_stress
        self._memory_scales_with = "n_atoms_x_density" if self.potential.cutoff < math.inf else "n_atoms"
        self.neighbor_list_fn = neighbor_list_fn
        self.network = network.to(device=self._device, dtype=dtype)
        offsets = torch.full((MAX_ATOMIC_NUMBER + 1,), math.nan, dtype=torch.float64)
        for number, energy in self.potential.reference_energies.items():
            offsets[number] = energy
        self.register_buffer("offsets", offsets.to(self._device))

    @property
    def compute_forces(self) -> bool:
        """Whether forces are computed."""
        return self._compute_forces

    @compute_forces.setter
    def compute_forces(self, value: bool) -> None:
        """Switch them on or off."""
        self._compute_forces = value

    @property
    def compute_stress(self) -> bool:
        """Whether stresses are computed."""
        return self._compute_stress

    @compute_stress.setter
    def compute_stress(self, value: bool) -> None:
        """Switch them on or off."""
        self._compute_stress = value

    def forward(self, state: Any, **_: Any) -> dict[str, Tensor]:
        """Evaluate a state.

        Parameters
        ----------
        state : SimState or mapping
            Positions (N, 3) and cells (S, 3, 3), Å, atomic numbers, and the system of each atom.

        Returns
        -------
        dict
            ``energy`` (S,) eV; if they are computed ``forces`` (N, 3) eV/Å and ``stress`` (S, 3, 3) eV/Å³, in the
            sign of ASE, zero without a periodic cell.

        Raises
        ------
        BadStructureError
            An element that the model doesn't know, or a crystal for a model without a cutoff.
        """
        found = state if isinstance(state, SimState) else SimState(**state)
        numbers, system = found.atomic_numbers.to(self._device), found.system_idx.to(self._device)
        self._check(numbers, bool(found.pbc))
        cells = found.row_vector_cell.to(self._device, self._dtype)
        place = found.positions.to(self._device, self._dtype).detach()
        pairs, images = self._pairs(place, cells, system, bool(found.pbc))
        positions = place.clone().requires_grad_(True)
        strain = torch.zeros_like(cells, requires_grad=True)
        deformed = torch.eye(3, dtype=self._dtype, device=self._device) + 0.5 * (strain + strain.mT)
        moved = torch.einsum("ni,nij->nj", positions, deformed[system])
        lattice = (cells @ deformed)[system[pairs[0]]]
        shifts = torch.einsum("pi,pij->pj", images, lattice)
        atomic = self.network(numbers, moved, pairs, shifts, system)
        zeros = torch.zeros(len(cells), dtype=torch.float64, device=self._device)
        network = torch.zeros_like(zeros, dtype=self._dtype).index_add(0, system, atomic)
        constant = zeros.index_add(0, system, self.offsets[numbers])
        results = {"energy": (network.detach().double() + constant).to(self._dtype)}
        if self._compute_forces or self._compute_stress:
            gradient, slope = torch.autograd.grad(network.sum(), [positions, strain], allow_unused=True)
            results |= self._derivatives(found, gradient, slope, cells)
        return results

    def _derivatives(
        self, state: Any, gradient: Tensor | None, slope: Tensor | None, cells: Tensor
    ) -> dict[str, Tensor]:
        made = {}
        if self._compute_forces:
            made["forces"] = torch.zeros_like(state.positions) if gradient is None else -gradient
        if self._compute_stress:
            volume = torch.linalg.det(cells).abs()[:, None, None]
            periodic = bool(state.pbc) and slope is not None
            made["stress"] = slope / volume if periodic and slope is not None else torch.zeros_like(cells)
        return made

    def _check(self, numbers: Tensor, periodic: bool) -> None:
        inside = (numbers >= 0) & (numbers <= MAX_ATOMIC_NUMBER)
        known = torch.isfinite(self.offsets[numbers.clamp(0, MAX_ATOMIC_NUMBER)]) & inside
        if not bool(known.all()):
            strange = sorted(set(numbers[~known].tolist()))
            raise BadStructureError(
                f"the model knows the elements {self.potential.elements}, not {strange}"
            )
        if periodic and self.potential.cutoff == math.inf:
            raise BadStructureError("a periodic structure for a model without a cutoff")

    def _pairs(
        self, positions: Tensor, cells: Tensor, system: Tensor, periodic: bool
    ) -> tuple[Tensor, Tensor]:
        """Directed pairs of all systems and the lattice vectors that they cross."""
        if self.potential.cutoff == math.inf:
            same = (system[:, None] == system[None]).fill_diagonal_(False)
            pairs = same.nonzero().T.contiguous()
            return pairs, torch.zeros(pairs.shape[1], 3, dtype=self._dtype, device=self._device)
        cutoff = torch.tensor(self.potential.cutoff, dtype=self._dtype, device=self._device)
        parts = []
        for k, cell in enumerate(cells):
            own = (system == k).nonzero()[:, 0]
            pairs, images = self.neighbor_list_fn(positions[own], cell, periodic, cutoff)
            parts.append((own[pairs.to(self._device)], images.to(self._device, self._dtype)))
        return torch.cat([p for p, _ in parts], dim=1), torch.cat([s for _, s in parts])
