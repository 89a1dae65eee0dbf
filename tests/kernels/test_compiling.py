"""Where and for what the code is compiled; threads that meet in it."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from helpers import ethanol
from schnet_calc import SchNetCalculator
from schnet_calc.kernels.cpu.barrier import wait
from schnet_calc.kernels.cpu.compiling import exact, jit
from schnet_calc.kernels.cpu.threads import Team


@jit
def meet(me, n_rounds, seen):
    """Count the rounds that a part has come to."""
    for r in range(n_rounds):
        seen[me.part] += 1
        if not wait(me, r):
            return


def test_nobody_waits_for_a_part_that_failed():
    team, seen = Team(), np.zeros(3, np.int64)
    assert team.run(meet, 3, 100, seen)
    assert seen.tolist() == [100, 100, 100]

    def fails(me, *rest):
        if me.part == 1:
            raise MemoryError("none left")
        meet(me, *rest)

    with pytest.raises(MemoryError, match="none left"):
        team.run(fails, 3, 100, np.zeros(3, np.int64))

    def interrupted(me, *rest):
        if me.part == 0:
            raise KeyboardInterrupt
        meet(me, *rest)

    with pytest.raises(KeyboardInterrupt):
        team.run(interrupted, 3, 100, np.zeros(3, np.int64))
    assert team.run(meet, 3, 50, seen)
    assert seen.tolist() == [150, 150, 150]


def test_where_compiled_code_cannot_be_kept(monkeypatch):
    """As in a container whose file system is read-only."""
    kept = numba.njit

    def njit(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return kept(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert exact(lambda x: x + 1)(1) == 2


OTHER = """
import sys
from ase.build import molecule
from schnet_calc import SchNetCalculator
from schnet_calc.kernels.cpu.simd import VECTOR_BYTES
atoms = molecule("CH3CH2OH")
atoms.rattle(0.05, seed=1)
atoms.calc = SchNetCalculator(sys.argv[1], device="cpu")
atoms.calc.engine.atoms_per_thread = 4
print(VECTOR_BYTES, *atoms.get_forces().ravel().tolist())
"""


@pytest.mark.slow
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="compiles for older x86 processors")
def test_on_a_processor_without_wide_vectors(models, tmp_path):
    """Compiled for the first x86-64, which has neither AVX nor fused multiplication."""
    environment = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OTHER, str(models["float32"])],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    width, *forces = done.stdout.split()
    assert width == "32"
    (expected,) = SchNetCalculator(models["float64"], device="cpu").evaluate([ethanol()])
    np.testing.assert_allclose(np.array(forces, float), expected.forces.ravel(), atol=1e-5)
