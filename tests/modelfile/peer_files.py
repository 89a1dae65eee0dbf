"""Writes the files in ``files/`` with SchNetPack itself; needs SchNetPack 2.1 with hydra, or 1.0.

    python tests/modelfile/peer_files.py FOLDER

Weights are random; ``spk1.npz`` and ``spk2.npz`` get energies and forces of one structure in float64.
"""

import sys
from pathlib import Path

import numpy as np
import schnetpack
import torch
from ase.build import molecule

SILU = {"_target_": "torch.nn.SiLU"}
SILU_FUNCTION = {"_target_": "torch.nn.functional.silu", "_partial_": True}
SSP = {"_target_": "schnetpack.nn.activations.shifted_softplus", "_partial_": True}
ATOMWISE = {"_target_": "schnetpack.atomistic.Atomwise", "output_key": "energy", "n_in": 8}
FORCES = {"_target_": "schnetpack.atomistic.Forces", "energy_key": "energy", "force_key": "forces"}
SCALE = {
    "_target_": "schnetpack.transform.ScaleProperty",
    "scale": {"_target_": "torch.tensor", "data": 2.5},
}
CASES = {
    "spk2_hydra_partial": (SSP, [ATOMWISE, FORCES]),
    "spk2_silu_module_scale_output": (SILU, [ATOMWISE, {**SCALE, "input_key": "energy"}, FORCES]),
    "spk2_scale_other_key": (
        SILU_FUNCTION,
        [{**ATOMWISE, "output_key": "raw"}, {**SCALE, "input_key": "raw", "output_key": "energy"}, FORCES],
    ),
}


def structure():
    """Ethanol, displaced."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    return atoms


def drawn(model):
    """The model with random weights."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(0.4 * torch.randn_like(weight))
    return model


def version_2(folder: Path) -> dict:
    """Write the files of SchNetPack 2, as hydra builds the models; energies and forces by name."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf
    from schnetpack.interfaces import AtomsConverter
    from schnetpack.transform import ASENeighborList

    spk, found = "schnetpack", {}
    for name, (activation, outputs) in CASES.items():
        torch.manual_seed(11)
        body = {
            "_target_": f"{spk}.representation.SchNet",
            "n_atom_basis": 8,
            "n_interactions": 2,
            "radial_basis": {"_target_": f"{spk}.nn.radial.GaussianRBF", "n_rbf": 6, "cutoff": 4.0},
            "cutoff_fn": {"_target_": f"{spk}.nn.cutoff.CosineCutoff", "cutoff": 4.0},
            "activation": activation,
        }
        config = {
            "_target_": f"{spk}.model.NeuralNetworkPotential",
            "representation": body,
            "input_modules": [{"_target_": f"{spk}.atomistic.PairwiseDistances"}],
            "output_modules": outputs,
        }
        model = drawn(instantiate(OmegaConf.create(config)))
        torch.save(model, folder / f"{name}.pt")
        pairs = ASENeighborList(cutoff=4.0)
        convert = AtomsConverter(neighbor_list=pairs, dtype=torch.float64, device="cpu")
        said = model.double()(convert(structure()))
        found[f"{name}_energy"] = said["energy"].detach().numpy()
        found[f"{name}_forces"] = said["forces"].detach().numpy()
    return found


def version_1(folder: Path) -> dict:
    """Write the file of SchNetPack 1 whose convolutions are averages."""
    np.int, np.float = int, float  # noqa: NPY001 - which numpy has given up since
    from schnetpack.atomistic import Atomwise
    from schnetpack.atomistic.model import AtomisticModel
    from schnetpack.data.atoms import AtomsConverter
    from schnetpack.environment import AseEnvironmentProvider
    from schnetpack.nn.cutoff import CosineCutoff
    from schnetpack.representation import SchNet

    torch.manual_seed(12)
    body = SchNet(8, 8, 2, cutoff=2.5, n_gaussians=6, normalize_filter=True, cutoff_network=CosineCutoff)
    statistics = {"mean": torch.tensor([-1.5]), "stddev": torch.tensor([2.0])}
    head = Atomwise(8, property="energy", derivative="forces", negative_dr=True, **statistics)
    model = drawn(AtomisticModel(body, head))
    torch.save(model, folder / "spk1_normalize_filter.pt")
    inputs = AtomsConverter(environment_provider=AseEnvironmentProvider(2.5))(structure())
    inputs = {k: v.double() if v.dtype == torch.float32 else v for k, v in inputs.items()}
    inputs["_positions"] = torch.tensor(structure().positions)[None]
    said = model.double()(inputs)
    return {
        "spk1_normalize_filter_energy": said["energy"].detach().numpy().ravel(),
        "spk1_normalize_filter_forces": said["forces"].detach().numpy()[0],
    }


def main() -> None:
    """Write what the installed version writes."""
    folder = Path(sys.argv[1])
    newer = hasattr(schnetpack, "atomistic") and hasattr(schnetpack, "model")
    atoms = structure()
    found = version_2(folder) if newer else version_1(folder)
    name = "spk2.npz" if newer else "spk1.npz"
    np.savez(folder / name, numbers=atoms.numbers, positions=atoms.positions, **found)


if __name__ == "__main__":
    main()
