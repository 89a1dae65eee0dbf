"""Model files as metatomic's ``AtomisticModel``: for LAMMPS, i-PI, eOn, chemiscope and whatever else drives it.

from schnet_calc.metatomic import export_metatomic

export_metatomic("silicon", "silicon_metatomic.pt")
"""

import math
from pathlib import Path
from typing import Dict, List, Optional  # noqa: UP035 - TorchScript reads the capitalised ones

import torch
from torch import Tensor

from schnet_calc.modelfile import Potential, load_potential
from schnet_calc.modelfile.torchscript import quiet_torchscript
from schnet_calc.nn import MAX_ATOMIC_NUMBER, Network

try:
    from metatensor.torch import Labels, TensorBlock, TensorMap
    from metatomic.torch import (
        AtomisticModel,
        ModelCapabilities,
        ModelMetadata,
        ModelOutput,
        NeighborListOptions,
        System,
    )
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(f"{error}: pip install 'schnet-calc[metatomic]'") from error


class MetatomicSchNet(torch.nn.Module):
    """A network with metatomic's interface: energies of systems or of atoms, eV, differentiable.

    Parameters
    ----------
    network : Network
        As it is evaluated; its type is that of the systems.
    offsets : Tensor
        (Z,), eV, by atomic number.
    total : Tensor
        (H, H), the error bar of a sum f (H,) of last hidden layers is ``|total f|``, eV; (0, 0) if there is none.
    cutoff : float
        Å; infinite where all pairs of a molecule count.
    """

    offsets: Tensor
    total: Tensor

    def __init__(self, network: Network, offsets: Tensor, total: Tensor, cutoff: float) -> None:
        super().__init__()
        self.network = network
        self.all_pairs = cutoff == math.inf
        self.register_buffer("offsets", offsets)
        self.register_buffer("total", total)
        self.list = NeighborListOptions(
            cutoff=1.0 if self.all_pairs else cutoff, full_list=True, strict=True, requestor="schnet_calc"
        )

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:  # noqa: UP006
        """Return the one list of pairs that the network needs, if it has a cutoff."""
        if self.all_pairs:
            empty: List[NeighborListOptions] = []  # noqa: UP006
            return empty
        return [self.list]

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[Labels] = None,  # noqa: UP045
    ) -> Dict[str, TensorMap]:  # noqa: UP006
        """Return what is asked for of each system.

        Parameters
        ----------
        systems : list of System
            With the pairs that were asked for.
        outputs : dict
            What is wanted, by name: ``energy`` and ``energy_uncertainty``, eV.
        selected_atoms : Labels, optional
            System and atom of those that count; all by default.
        """
        results: Dict[str, TensorMap] = {}  # noqa: UP006
        energies: List[Tensor] = []  # noqa: UP006
        layers: List[Tensor] = []  # noqa: UP006
        labels: List[Tensor] = []  # noqa: UP006
        for k, system in enumerate(systems):
            features = self.features(system)
            atoms = torch.arange(len(system), device=features.device)
            if selected_atoms is not None:
                chosen = selected_atoms.values
                atoms = chosen[chosen[:, 0] == k][:, 1].to(torch.int64)
            energies.append(self.energies(system, features).index_select(0, atoms))
            if "energy_uncertainty" in outputs:
                layers.append(self.network.hidden(features).index_select(0, atoms))
            labels.append(torch.stack([torch.full_like(atoms, k), atoms], dim=1))
        samples = torch.cat(labels).to(torch.int32)
        if "energy" in outputs:
            of_atoms = outputs["energy"].sample_kind == "atom"
            values = per_sample(torch.cat(energies).reshape(-1, 1), samples, len(systems), of_atoms)
            results["energy"] = as_map(values, samples, of_atoms)
        if "energy_uncertainty" in outputs:
            of_atoms = outputs["energy_uncertainty"].sample_kind == "atom"
            layer = per_sample(torch.cat(layers), samples, len(systems), of_atoms)
            bars = torch.linalg.vector_norm(layer @ self.total.T, dim=1, keepdim=True)
            results["energy_uncertainty"] = as_map(bars, samples, of_atoms)
        return results

    def features(self, system: System) -> Tensor:
        """Return the last features (N, F) of the atoms of one system, without a unit."""
        numbers = system.types.to(torch.int64)
        if self.all_pairs:
            away = torch.ones(len(system), len(system), device=numbers.device)
            pairs = (away - torch.eye(len(system), device=numbers.device)).nonzero().T
            shifts = torch.zeros_like(system.positions).index_select(0, pairs[0])
        else:
            block = system.get_neighbor_list(self.list)
            pairs = block.samples.values[:, :2].T.to(torch.int64)
            images = block.samples.values[:, 2:].to(system.positions.dtype)
            shifts = images @ system.cell
        positions = system.positions
        vectors = positions.index_select(0, pairs[1]) + shifts - positions.index_select(0, pairs[0])
        found: Tensor = self.network.representation(numbers, vectors, pairs)
        return found

    def energies(self, system: System, features: Tensor) -> Tensor:
        """Return the energies (N,) of the atoms of one system, eV, from their features (N, F)."""
        numbers = system.types.to(torch.int64)
        return self.network.read_energies(features, torch.zeros_like(numbers)) + self.offsets.index_select(
            0, numbers
        )


def per_sample(values: Tensor, samples: Tensor, n_systems: int, of_atoms: bool) -> Tensor:
    """Return values of atoms, or their sums over each system, in their unit.

    Parameters
    ----------
    values : Tensor
        (N, K).
    samples : Tensor
        int32 (N, 2): system and atom of each.
    n_systems : int
        B.
    of_atoms : bool
        Whether they are wanted as they are; else the sums (B, K).
    """
    if of_atoms:
        return values
    zeros = torch.zeros(n_systems, values.shape[1], dtype=values.dtype, device=values.device)
    return zeros.index_add(0, samples[:, 0].to(torch.int64), values)


def as_map(values: Tensor, samples: Tensor, of_atoms: bool) -> TensorMap:
    """Return one number per system (B, 1) or per atom (N, 1) as metatomic wants it.

    Parameters
    ----------
    values : Tensor
        The numbers.
    samples : Tensor
        int32 (N, 2): system and atom of each atom.
    of_atoms : bool
        Whether the numbers are those of atoms.
    """
    names = ["system", "atom"]
    if not of_atoms:
        samples = torch.arange(len(values), dtype=torch.int32, device=values.device).reshape(-1, 1)
        names = ["system"]
    one = torch.zeros(1, 1, dtype=torch.int32, device=values.device)
    components: List[Labels] = []  # noqa: UP006
    block = TensorBlock(values, Labels(names, samples), components, Labels(["energy"], one))
    return TensorMap(Labels(["_"], one), [block])


def export_metatomic(
    model: str | Path | Potential, path: str | Path, dtype: str = "float64"
) -> "AtomisticModel":
    """Write a model as metatomic's file.

    Parameters
    ----------
    model : path, str or Potential
        A model file, the name of a shipped model, or a loaded potential.
    path : path
        The file to write.
    dtype : str
        ``"float64"``, or ``"float32"``, whose total energies have seven digits.

    Returns
    -------
    AtomisticModel
        What was written: output ``energy`` of systems or atoms, in eV and Å; forces and stress are its derivatives.
        If the file has error bars, also ``energy_uncertainty``, eV: a standard deviation.

    Raises
    ------
    FileNotFoundError, ModelFileError
        As for :func:`~schnet_calc.modelfile.load_potential`.
    ValueError
        It holds no network of this package, no energy, or an average over atoms.
    """
    potential = model if isinstance(model, Potential) else load_potential(model)
    network = potential.network()
    name = Path(potential.path).stem or "model"
    if network is None or not network.config.energy:
        raise ValueError(f"{name} holds no network of this package with an energy")
    if network.config.pooling == "mean":
        raise ValueError(f"{name} averages over atoms: its energy is no sum of theirs, as metatomic has it")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype is float32 or float64, got {dtype!r}")
    kind = getattr(torch, dtype)
    offsets = torch.zeros(MAX_ATOMIC_NUMBER + 1, dtype=kind)
    for number, energy in potential.reference_energies.items():
        offsets[number] = energy
    graded = None if potential.grades is None else potential.grades.energy
    total = torch.zeros(0, 0) if graded is None else torch.from_numpy(graded.total)
    wrapped = MetatomicSchNet(network.to(kind), offsets, total.to(kind), potential.cutoff).eval()
    reach = potential.cutoff * network.config.n_interactions
    capabilities = ModelCapabilities(
        outputs=_outputs(uncertain=bool(total.numel())),
        atomic_types=potential.elements,
        interaction_range=reach,
        length_unit="Angstrom",
        supported_devices=["cuda", "cpu"],
        dtype=dtype,
    )
    about = ModelMetadata(
        name=name,
        description=f"{potential.metadata.architecture}, exported by schnet_calc; weights {potential.sha256}",
    )
    with quiet_torchscript():
        exported = AtomisticModel(wrapped, about, capabilities)
        exported.save(str(path))
    return exported


def _outputs(uncertain: bool) -> dict[str, ModelOutput]:
    """What a model can be asked for; each also summed over the atoms of a system."""
    found = {"energy": ModelOutput(unit="eV", sample_kind="atom", description="atomic energies")}
    if uncertain:
        about = "standard deviation from the last hidden layer"
        found["energy_uncertainty"] = ModelOutput(unit="eV", sample_kind="atom", description=about)
    return found
