"""What the fuzzer draws: structures that make no sense, and model files with damage."""

import io
import json
import zipfile


def random_atoms(rng):
    """A structure, with some of what users and broken tools do to it."""
    import ase
    from ase.build import bulk, molecule

    kind = rng.integers(5)
    if kind == 0:
        atoms = molecule(str(rng.choice(["CH4", "C2H6", "C6H6", "SiH4", "CH3CH2OH"])))
    elif kind == 1:
        atoms = bulk("Si", cubic=bool(rng.integers(2))) * tuple(rng.integers(1, 4, 3))
    elif kind == 2:
        n = int(rng.integers(0, 200))
        atoms = ase.Atoms(rng.choice([1, 6, 14], n), rng.normal(scale=rng.uniform(1, 20), size=(n, 3)))
    elif kind == 3:
        atoms = ase.Atoms("C", cell=rng.normal(scale=3, size=(3, 3)), pbc=True) * tuple(
            rng.integers(1, 3, 3)
        )
    else:
        n = int(rng.integers(1, 30))
        atoms = ase.Atoms(rng.choice([1, 6, 14], n), rng.uniform(size=(n, 3)), pbc=rng.integers(2, size=3))
        atoms.set_cell(rng.normal(scale=5, size=(3, 3)), scale_atoms=True)
    for _ in range(int(rng.integers(0, 4))):
        CHANGES[rng.integers(len(CHANGES))](atoms, rng)
    return atoms


def extreme(rng) -> float:
    """Numbers that break things."""
    import numpy as np

    fixed = [0.0, np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, 1e16, 5e-324]
    return float(rng.choice(fixed)) if rng.integers(2) else float(rng.normal() * 10.0 ** rng.uniform(-9, 9))


def _position(atoms, rng):
    if len(atoms):
        atoms.positions[rng.integers(len(atoms)), rng.integers(3)] = extreme(rng)


def _cell(atoms, rng):
    atoms.cell[rng.integers(3), rng.integers(3)] = extreme(rng)


def _scale(atoms, rng):
    factor = 10.0 ** rng.uniform(-6, 6)
    atoms.positions *= factor
    if rng.integers(2):
        atoms.set_cell(atoms.cell.array * factor)


def _pbc(atoms, rng):
    atoms.pbc = rng.integers(2, size=3)


def _number(atoms, rng):
    if len(atoms):
        atoms.numbers[rng.integers(len(atoms))] = rng.choice([-5, 0, 1, 6, 8, 14, 100, 118, 10**6])


def _coincide(atoms, rng):
    if len(atoms) > 1:
        atoms.positions[0] = atoms.positions[-1] + rng.choice([0.0, 1e-300, 1e-9, 1e-3, 0.01]) * rng.normal(
            size=3
        )


def _shift(atoms, rng):
    atoms.positions += rng.normal(size=3) * 10.0 ** rng.uniform(0, 14)


def _skew(atoms, rng):
    atoms.cell[:] = atoms.cell.array + rng.integers(-50, 50) * np_roll(atoms.cell.array)


def _order(atoms, rng):
    atoms.cell[:] = atoms.cell.array[rng.permutation(3)]


def _vacuum(atoms, rng):
    atoms.set_cell([10.0 ** rng.uniform(0, 9) for _ in range(3)])


def np_roll(cell):
    """The lattice vectors in another order."""
    import numpy as np

    return np.roll(cell, 1, axis=0)


CHANGES = (_position, _cell, _scale, _pbc, _number, _coincide, _shift, _skew, _order, _vacuum)


def damage(content: bytes, rng) -> bytes:
    """A model file after an accident, or in the hands of somebody who rebuilds archives."""
    if rng.integers(3):
        return rebuilt(content, rng)
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        place, size = int(rng.integers(len(data))), int(10 ** rng.uniform(0, 4))
        what = rng.integers(5)
        if what == 0:
            data[place] ^= 1 << int(rng.integers(8))
        elif what == 1:
            del data[place:]
        elif what == 2:
            data[place : place + size] = rng.bytes(size)
        elif what == 3:
            data[place:place] = data[place : place + size]
        else:
            data[place : place + size] = bytes(size)
        if not data:
            break
    return bytes(data)


def rebuilt(content: bytes, rng) -> bytes:
    """An intact archive of changed entries, with or without the hash that gives it away."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w") as target:
        names = source.namelist()
        hit = str(rng.choice(names))
        for name in names:
            data = source.read(name)
            if name.endswith("metadata.json"):
                data = changed_metadata(data, rng, damage=hit == name)
            elif name == hit:
                data = changed_bytes(data, rng)
            if name != hit or rng.integers(10):
                target.writestr(name, data)
    return buffer.getvalue()


def changed_bytes(data: bytes, rng) -> bytes:
    """Some bytes of an entry other than they were."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        if changed:
            changed[rng.integers(len(changed))] = int(rng.integers(256))
    return bytes(changed) if rng.integers(8) else bytes(changed[: rng.integers(len(changed) + 1)])


def changed_metadata(data: bytes, rng, damage: bool) -> bytes:
    """Metadata without the hash of the contents, and maybe with other values."""
    metadata = json.loads(data)
    metadata.pop("contents_sha256")
    if damage:
        table = metadata["hyperparameters"] if rng.integers(2) else metadata
        key = str(rng.choice(sorted(table)))
        values = [None, True, -1, 0, 1, 10**9, 1e400, -3.5, "", "x", [], {}, [1], {"6": 1}, float("nan")]
        table[key] = values[rng.integers(len(values))]
        if not rng.integers(5):
            del table[key]
    return json.dumps(metadata).encode()
