"""Any number of threads, the user's own, forks and signals: the same numbers."""

import os
import signal
import threading
import time

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from helpers import ethanol, skewed_silicon
from schnet_calc import SchNetCalculator


def structures():
    apart = ase.Atoms("C2O", positions=[[0, 0, 0], [50, 0, 0], [0, 80, 0]])
    return [ethanol(), ase.Atoms("C"), skewed_silicon(), molecule("CH3COOH"), apart, ethanol()]


@pytest.mark.parametrize("n_threads", [1, 2, 5, 9])
def test_a_batch_is_exactly_its_members(models, threads, n_threads):
    threads(n_threads)
    calculator = SchNetCalculator(models["float32"], device="cpu")
    for found, atoms in zip(calculator.evaluate(structures()), structures(), strict=True):
        (alone,) = calculator.evaluate([atoms])
        np.testing.assert_array_equal(found.energies, alone.energies)
        np.testing.assert_array_equal(found.forces, alone.forces)
        np.testing.assert_array_equal(found.virial, alone.virial)


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_any_number_of_threads_for_one_structure(models, threads, n_threads):
    """More threads than pairs, or than atoms, too."""
    calculator = SchNetCalculator(models["float64"], device="cpu")
    calculator.engine.atoms_per_thread = 1
    for atoms in structures():
        threads(1)
        (alone,) = calculator.evaluate([atoms])
        threads(n_threads)
        (shared,) = calculator.evaluate([atoms])
        np.testing.assert_allclose(shared.energies, alone.energies, atol=1e-12)
        np.testing.assert_allclose(shared.forces, alone.forces, atol=1e-12)
        np.testing.assert_allclose(shared.virial, alone.virial, atol=1e-11)


def test_large_and_small_in_one_batch(models, threads):
    threads(2)
    calculator = SchNetCalculator(models["float64"], device="cpu")
    images = [ethanol(), bulk("Si", cubic=True) * (2, 2, 2), molecule("CO"), bulk("Si", cubic=True) * 2]
    for k, atoms in enumerate(images):
        atoms.rattle(0.05, seed=k)
    expected = calculator.evaluate(images)
    calculator.engine.large = 20
    for a, b in zip(calculator.evaluate(images), expected, strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-11)
    # One small structure among large ones, and many portions.
    for a, b in zip(calculator.evaluate(images[1:]), expected[1:], strict=True):
        np.testing.assert_allclose(a.forces, b.forces, atol=1e-11)
    engine = calculator.engine
    engine.large, engine.most_pairs = 10**9, 30
    engine.atoms_per_thread = 10**9  # a portion may be a single structure, which is not to be shared
    for a, b in zip(calculator.evaluate(images * 3), expected * 3, strict=True):
        np.testing.assert_array_equal(a.forces, b.forces)
    images[3].positions[1] = images[3].positions[0]
    with pytest.raises(ValueError, match="structure 3: atoms 0 and 1 are at the same place"):
        calculator.evaluate(images)


def test_threads_of_the_user_do_not_meet_each_other(models, threads):
    """Whoever finds the team at work evaluates alone."""
    threads(2)
    crystal = bulk("Si", cubic=True) * (3, 3, 2)
    crystal.rattle(0.05, seed=0)
    calculators = [SchNetCalculator(models["float64"], device="cpu") for _ in range(3)]
    (expected,) = calculators[0].evaluate([crystal])
    found = []

    def work(calculator):
        for _ in range(20):
            found.append(calculator.evaluate([crystal])[0].forces)

    users = [threading.Thread(target=work, args=(c,)) for c in calculators]
    for user in users:
        user.start()
    for user in users:
        user.join(60)
        assert not user.is_alive()
    assert len(found) == 60
    for forces in found:
        np.testing.assert_allclose(forces, expected.forces, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_share_a_large_structure(models, dtype, threads):
    atoms = bulk("Si", cubic=True) * (4, 4, 3)
    atoms.rattle(0.1, seed=0)
    calculator = SchNetCalculator(models[dtype], device="cpu")
    found = []
    for n_threads in (1, 3):
        threads(n_threads)
        assert calculator.engine.threads_for(len(atoms)) == n_threads
        found.append(calculator.evaluate([atoms])[0])
    tolerance = {"float32": 1e-5, "float64": 1e-11}[dtype]
    np.testing.assert_allclose(found[1].energies, found[0].energies, atol=tolerance)
    np.testing.assert_allclose(found[1].forces, found[0].forces, atol=tolerance)
    np.testing.assert_allclose(found[1].virial, found[0].virial, atol=1e3 * tolerance)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_threads_after_a_fork(models):
    calculator = SchNetCalculator(models["float64"], device="cpu")
    structures = [ethanol() for _ in range(4)]
    expected = calculator.evaluate(structures)[0].energy
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(abs(calculator.evaluate(structures)[0].energy - expected) < 1e-9).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 10) == b"True"


@pytest.mark.parametrize("copies", [1, 60])
def test_a_signal_during_an_evaluation_is_an_interrupt(models, copies):
    """Whenever it comes: within compiled code, Python's handlers run where numba calls Python."""
    atoms = ethanol()
    for k in range(1, copies):
        other = ethanol()
        other.positions += [5.0 * k, 0.0, 0.0]
        atoms += other
    calculator = SchNetCalculator(models["float32"], device="cpu")
    calculator.evaluate([atoms])
    start = time.perf_counter()
    calculator.evaluate([atoms])
    once = time.perf_counter() - start

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in np.random.default_rng(0).uniform(1e-6, 3 * once, 200):
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012
                signal.setitimer(signal.ITIMER_REAL, delay)
                for _ in range(100_000):
                    calculator.evaluate([atoms])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert np.isfinite(calculator.evaluate([atoms])[0].energy)
