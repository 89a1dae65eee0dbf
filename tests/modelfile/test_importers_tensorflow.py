"""The original SchNet: checkpoints of TensorFlow, written here byte by byte."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from modelfile.foreign_models import NUMBERS, POSITIONS, Plain
from modelfile.tensorflow_files import table, variables, write
from schnet_calc.errors import ModelFileError
from schnet_calc.modelfile.importers import foreign_format, read_foreign
from schnet_calc.modelfile.importers.sstable import crc32c, read_table

PEERS = Path(os.environ.get("SCHNET_CALC_PEERS", Path(__file__).parents[3] / "shared" / "peers"))
GAP = 0.8
SHAPE = {"cutoff": "none", "filter_activation": True, "head_activation": "ssp", "width": (GAP / 2) ** 0.5}


def energy_here(path: Path, **options: object) -> float:
    imported = read_foreign(path, energy_unit="eV", options={"gap": GAP, "cutoff": 4.0, **options})
    positions, numbers = torch.tensor(POSITIONS), torch.tensor(NUMBERS)
    pairs = torch.tensor(np.array(np.nonzero(~np.eye(len(NUMBERS), dtype=bool))))
    shifts = torch.zeros(pairs.shape[1], 3, dtype=torch.float64)
    network = imported.network.double()
    energies = network(numbers, positions, pairs, shifts, torch.zeros_like(numbers))
    return float(energies.sum()) + sum(imported.reference_energies[int(z)] for z in NUMBERS)


@pytest.fixture
def plain() -> Plain:
    """A network whose Gaussians are as that code makes them."""
    return Plain(**SHAPE)


def each(plain: Plain) -> torch.Tensor:
    return plain.energies(torch.tensor(POSITIONS))


def test_energies(tmp_path, plain):
    index = write(tmp_path / "best_model", variables(plain))
    for path in (index, tmp_path / "best_model", tmp_path / "best_model.data-00000-of-00001"):
        assert foreign_format(path) == "TensorFlow SchNet checkpoint"
        assert energy_here(path) == pytest.approx(float(each(plain).sum()), abs=1e-9)
    imported = read_foreign(index, energy_unit="eV", options={"gap": GAP, "cutoff": 4.0})
    assert imported.network.config.cutoff_function == "none"
    assert imported.network.config.filter_activation
    assert "no cutoff function: all pairs of a molecule count" in imported.source["assumed"]


def test_offsets(tmp_path, plain):
    refs = torch.zeros(100, 1).index_put((torch.tensor([1, 6, 8]),), torch.tensor([[-1.0], [-6.0], [-8.0]]))
    more = {
        "std_per_atom": torch.tensor([0.5]),
        "mean_per_atom": torch.tensor([-2.5]),
        "atomref/embeddings/W": refs,
    }
    index = write(tmp_path / "m", variables(plain, **more))
    scaled = float(0.5 * each(plain).sum()) - 2.5 * len(NUMBERS)
    assert energy_here(index) == pytest.approx(scaled + float(refs[NUMBERS].sum()), abs=1e-7)
    assert energy_here(index, atomization_energy=True) == pytest.approx(scaled, abs=1e-7)


def test_shared_blocks_and_whole_trainings(tmp_path):
    plain = Plain(shared=True, blocks=3, **SHAPE)
    index = write(tmp_path / "m", variables(plain, shared=True))
    assert energy_here(index, n_interactions=3) == pytest.approx(float(each(plain).sum()), abs=1e-9)
    with pytest.raises(ModelFileError, match="does not tell n_interactions: give it"):
        read_foreign(index, energy_unit="eV", options={"gap": GAP})
    with pytest.raises(ModelFileError, match="a whole number is needed"):
        energy_here(index, n_interactions=0.5)
    with pytest.raises(ModelFileError, match="1 to 100 interactions"):
        energy_here(index, n_interactions=10**8)
    plain = Plain(**SHAPE)
    names = {f"SchNet/{name}": tensor for name, tensor in variables(plain).items()}
    names |= {f"{name}/Adam": torch.ones(2) for name in names} | {"global_step": torch.ones(())}
    index = write(tmp_path / "training", names, suffix="")
    assert energy_here(index) == pytest.approx(float(each(plain).sum()), abs=1e-9)


def test_averages_over_neighbours(tmp_path, plain):
    """Without a cutoff all atoms have as many neighbours: an average is a sum of features over that number."""
    tensors = variables(plain)
    averaged = energy_here(write(tmp_path / "a", tensors), filter_pool_mode="mean")
    smaller = {
        k: v / (len(NUMBERS) - 1) if k.endswith("CFConv/in2fac/W") else v for k, v in tensors.items()
    }
    assert averaged == pytest.approx(energy_here(write(tmp_path / "b", smaller)), abs=1e-6)
    assert averaged != pytest.approx(energy_here(write(tmp_path / "c", tensors)), abs=1e-3)
    with pytest.raises(ModelFileError, match="filter_pool_mode = 'max'"):
        energy_here(tmp_path / "a.index", filter_pool_mode="max")


def test_what_variables_do_not_tell(tmp_path, plain):
    index = write(tmp_path / "m", variables(plain))
    with pytest.raises(ModelFileError, match="5 Gaussians, but ceil"):
        energy_here(index, cutoff=20.0)
    assumed = read_foreign(index, energy_unit="eV").source["assumed"]
    assert {"gap = 0.1, the default of that code", "cutoff = 0.5, the default of that code"} <= set(assumed)


def test_damage(tmp_path, plain):
    index = write(tmp_path / "m", variables(plain))
    data, content = Path(f"{tmp_path / 'm'}.data-00000-of-00001"), index.read_bytes()
    for at in range(0, len(content) // 2, 7):
        index.write_bytes(content[:at] + bytes([content[at] ^ 8]) + content[at + 1 :])
        with pytest.raises(ModelFileError):
            energy_here(index)
    index.write_bytes(content[:-60] + content[-48:])
    with pytest.raises(ModelFileError, match="the index of the checkpoint is damaged"):
        energy_here(index)
    index.write_bytes(content)
    numbers = data.read_bytes()
    data.write_bytes(numbers[:100] + bytes([numbers[100] ^ 1]) + numbers[101:])
    with pytest.raises(ModelFileError, match="checksum doesn't fit"):
        energy_here(index)
    data.unlink()
    with pytest.raises(ModelFileError, match="belongs to this checkpoint, but is not there"):
        energy_here(index)
    with pytest.raises(ModelFileError, match="snappy"):
        energy_here(write(tmp_path / "m", variables(plain), compression=1))
    with pytest.raises(ModelFileError, match="lacks interaction_0/Dense/W"):
        energy_here(write(tmp_path / "m", {"x": torch.zeros(2)}))


def test_checksum():
    assert crc32c(b"123456789") == 0xE3069283
    data = np.random.default_rng(1).bytes(70_001)
    crc = 0xFFFFFFFF
    for byte in data:  # by definition, bit by bit
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    assert crc32c(data) == crc ^ 0xFFFFFFFF
    assert read_table(table({b"key": b"1", b"keys": b"2"})) == {b"key": b"1", b"keys": b"2"}


@pytest.mark.skipif(not PEERS.is_dir(), reason=f"no files of other codes in {PEERS}; set SCHNET_CALC_PEERS")
def test_the_authors_model_of_c20():
    path = PEERS / "D_tensorflow_c20_energy_best_model.index"
    imported = read_foreign(path, energy_unit="kcal/mol", elements=["C"])
    config = imported.network.config
    assert (config.n_interactions, config.n_features, config.n_gaussians) == (6, 128, 200)
    assert (config.basis_stop, config.output_layers) == (20.0, (64,))
    assert config.basis_width == pytest.approx(0.05**0.5)
    assert imported.reference_energies[6] * 20 == pytest.approx(-20689.9, abs=0.1)  # PBE, mean of the data
