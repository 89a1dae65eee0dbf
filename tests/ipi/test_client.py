"""The client against a scripted server: states, batches, life-cycle. No model, no i-PI."""

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest

from helpers import encode_request
from schnet_calc.ipi import (
    Address,
    Client,
    ModelSpec,
    ProcessWorker,
    ProtocolError,
    ServerLostError,
    StructureError,
    WorkerError,
)
from schnet_calc.ipi.wire import Reply, Request, header

N = 2


ATOMS = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.7]])


class Springs:
    """Counts what it is asked; energies that tell the structures apart."""

    def __init__(self, delay: float = 0.0) -> None:
        self.batches: list[int] = []
        self.delay = delay

    def __call__(self, request: Request) -> Reply:
        self.batches.append(len(request.cells))
        time.sleep(self.delay)
        energies = (request.positions**2).sum(axis=(1, 2))
        return Reply(energies, -2 * request.positions, np.zeros_like(request.cells), [""] * len(energies))


class Server:
    """The other side, one call per message."""

    def __init__(self, folder) -> None:
        self.address = Address(unix="test", prefix=f"{folder}/")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.address.path)
        self.listener.listen()
        self.listener.settimeout(20)
        self.peers: list[Peer] = []

    def accept(self) -> "Peer":
        self.peers.append(Peer(self.listener.accept()[0]))
        return self.peers[-1]

    def close(self) -> None:
        self.listener.close()
        Path(self.address.path).unlink()


class Peer:
    """One connection, seen from the server."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(20)
        self.socket = connected

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def status(self) -> str:
        self.socket.sendall(header("STATUS"))
        return self.read(12).decode().strip()

    def greet(self, batch: int = 1) -> None:
        assert self.status() == "NEEDINIT"
        text = f"batch_size:{batch}" if batch > 1 else " "
        self.socket.sendall(header("INIT") + np.int32([0, len(text)]).tobytes() + text.encode())
        assert self.status() == "READY"

    def ask(self, positions, get: bool = True, times: int = 1) -> None:
        positions = np.asarray(positions, dtype=float)
        cells = np.broadcast_to(np.eye(3) * 20, (len(positions), 3, 3)).copy()
        message = encode_request(Request(cells, positions))
        self.socket.sendall(times * message + (header("GETFORCE") if get else b""))

    def energies(self, batch: int) -> np.ndarray:
        assert self.read(12) == header("FORCEREADY")
        energies = np.frombuffer(self.read(8 * batch))
        assert np.frombuffer(self.read(4), np.int32)[0] == N
        self.read(8 * batch * (3 * N + 9))
        for _ in range(batch):
            assert self.read(4) == np.int32(0).tobytes()
        return energies

    def exit(self) -> None:
        self.socket.sendall(header("EXIT"))
        self.socket.close()


class Running:
    """A client in a thread."""

    def __init__(self, *arguments, **options) -> None:
        self.client = Client(*arguments, **{"wait": 5.0, **options})
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.client.run()
        except Exception as error:
            self.error = error

    def join(self) -> None:
        self.thread.join(20)
        assert not self.thread.is_alive(), "the client hangs"


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path)
    yield made
    made.listener.close()
    for peer in made.peers:
        peer.socket.close()


def beads(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, N, 3))


def expected(positions) -> np.ndarray:
    return (np.asarray(positions) ** 2).sum(axis=(1, 2))


def test_single_requests_and_exit(server):
    running = Running(Springs(), ATOMS, server.address)
    peer = server.accept()
    peer.greet()
    for seed in range(3):
        peer.ask(beads(1, seed))
        np.testing.assert_allclose(peer.energies(1), expected(beads(1, seed)))
    assert peer.status() == "READY"
    server.close()
    peer.exit()
    running.join()
    assert running.error is None
    assert running.client.served.structures == 3


def test_status_between_positions_and_forces(server):
    """Servers that don't send everything at once ask for the state in between."""
    running = Running(Springs(delay=0.05), ATOMS, server.address)
    peer = server.accept()
    peer.greet()
    peer.ask(beads(1), get=False)
    assert peer.status() == "HAVEDATA"
    peer.socket.sendall(header("GETFORCE"))
    np.testing.assert_allclose(peer.energies(1), expected(beads(1)))
    server.close()
    peer.exit()
    running.join()


def test_padded_duplicates_are_evaluated_once(server):
    springs = Springs()
    running = Running(springs, ATOMS, server.address)
    peer = server.accept()
    peer.greet(batch=8)
    padded = beads(5)[[0, 1, 2, 3, 4, 4, 4, 4]]
    peer.ask(padded)
    np.testing.assert_allclose(peer.energies(8), expected(padded))
    assert springs.batches == [5]
    server.close()
    peer.exit()
    running.join()


def test_requests_of_several_connections_are_one_batch(server):
    springs = Springs(delay=0.01)
    running = Running(springs, ATOMS, server.address, connections=4)
    peers = []
    for _ in range(4):
        peers.append(server.accept())
        peers[-1].greet()
    positions = beads(4)
    for _ in range(5):
        for peer, place in zip(peers, positions, strict=True):
            peer.ask([place])
        answers = np.concatenate([peer.energies(1) for peer in peers])
        np.testing.assert_allclose(answers, expected(positions))
    assert springs.batches[-1] == 4
    # One of them falls silent: the others are answered all the same.
    for peer, place in zip(peers[:3], positions, strict=False):
        peer.ask([place])
    for peer in peers[:3]:
        peer.energies(1)
    server.close()
    for peer in peers:
        peer.exit()
    running.join()
    assert running.error is None


def answers_and_leaves(server, running):
    """A whole conversation of one request, to the end of the client."""
    peer = server.accept()
    peer.greet()
    peer.ask(beads(1))
    np.testing.assert_allclose(peer.energies(1), expected(beads(1)))
    server.close()
    peer.exit()
    running.join()
    assert running.error is None


@pytest.mark.parametrize("cut", [5, 40, 170])
def test_reconnects_after_a_loss_in_the_middle_of_a_message(server, cut):
    running = Running(Springs(), ATOMS, server.address)
    peer = server.accept()
    peer.greet()
    message = encode_request(Request(np.eye(3)[None] * 20, beads(1)))
    peer.socket.sendall(message[:cut])
    peer.socket.close()
    answers_and_leaves(server, running)


def test_loss_while_evaluating_leaves_no_stale_result(server):
    running = Running(Springs(delay=0.3), ATOMS, server.address)
    peer = server.accept()
    peer.greet()
    peer.ask(beads(1, seed=1))
    peer.socket.close()
    peer = server.accept()
    peer.greet()
    peer.ask(beads(1, seed=2))
    np.testing.assert_allclose(peer.energies(1), expected(beads(1, seed=2)))
    server.close()
    peer.exit()
    running.join()


def test_exit_of_one_connection_while_the_server_stays(server):
    """i-PI says EXIT to a client that it took for dead, too."""
    running = Running(Springs(), ATOMS, server.address)
    peer = server.accept()
    peer.greet()
    peer.exit()
    peer = server.accept()
    peer.greet()
    server.close()
    peer.exit()
    running.join()
    assert running.error is None


def test_waits_for_a_late_server(tmp_path):
    running = Running(Springs(), ATOMS, Address(unix="test", prefix=f"{tmp_path}/"))
    time.sleep(0.5)
    server = Server(tmp_path)
    peer = server.accept()
    peer.greet()
    server.close()
    peer.exit()
    running.join()
    assert running.error is None


def test_no_server_is_named(tmp_path):
    client = Client(Springs(), ATOMS, Address(unix="nobody", prefix=f"{tmp_path}/"), wait=0.2)
    with pytest.raises(ServerLostError, match=r"no server at UNIX socket .*nobody within 0.2 s"):
        client.run()


def test_a_tunnel_without_a_server_is_named(server):
    """It accepts every connection, and closes it: none of them counts as a server."""
    running = Running(Springs(), ATOMS, server.address, wait=0.5)
    server.listener.settimeout(1)
    with contextlib.suppress(TimeoutError):
        while True:
            server.accept().socket.close()
    running.join()
    assert isinstance(running.error, ServerLostError)


def test_exit_through_a_tunnel_ends(server):
    running = Running(Springs(), ATOMS, server.address)
    peer = server.accept()
    peer.greet()
    peer.exit()
    server.accept().socket.close()
    running.join()
    assert running.error is None


def test_silence_is_named(server):
    client = Client(Springs(), ATOMS, server.address, idle=0.3)
    with pytest.raises(ServerLostError, match=r"no message .* for 0.3 s"):
        client.run()


def test_a_long_evaluation_is_no_silence(server):
    running = Running(Springs(delay=1.0), ATOMS, server.address, idle=0.4)
    answers_and_leaves(server, running)


def test_stop_ends_it_from_another_thread(tmp_path):
    running = Running(Springs(), ATOMS, Address(unix="nobody", prefix=f"{tmp_path}/"), wait=60)
    time.sleep(0.1)
    started = time.monotonic()
    running.client.stop()
    running.join()
    assert time.monotonic() - started < 2
    assert running.error is None


def test_all_connections_take_leave_together(server):
    """A server that keeps its ends open costs one deadline, not one for each."""
    running = Running(Springs(), ATOMS, server.address, connections=4)
    for _ in range(4):
        server.accept().greet()
    started = time.monotonic()
    running.client.stop()
    running.join()
    assert time.monotonic() - started < 4


def test_one_client_serves_several_simulations(tmp_path):
    client = Client(Springs(), ATOMS, Address(unix="test", prefix=f"{tmp_path}/"), wait=5)
    for seed in range(2):
        server = Server(tmp_path)
        thread = threading.Thread(target=client.run, daemon=True)
        thread.start()
        peer = server.accept()
        peer.greet()
        peer.ask(beads(1, seed=seed))
        np.testing.assert_allclose(peer.energies(1), expected(beads(1, seed=seed)))
        server.close()
        peer.exit()
        thread.join(10)
        assert not thread.is_alive()
        assert client.served.batches == 1


def test_results_of_abandoned_positions_are_not_sent(server):
    running = Running(Springs(), ATOMS, server.address)
    peer = server.accept()
    peer.greet()
    peer.ask(beads(1, seed=1), get=False)
    while peer.status() != "HAVEDATA":
        time.sleep(0.01)
    peer.ask(beads(1, seed=2))
    np.testing.assert_allclose(peer.energies(1), expected(beads(1, seed=2)))
    peer.ask(beads(1, seed=3), get=False, times=2)  # in one piece: none is answered yet
    running.join()
    assert "before those it sent last are answered" in str(running.error)


def test_wrong_number_of_atoms_ends_the_client(server):
    running = Running(Springs(), ase.Atoms("H3"), server.address)
    peer = server.accept()
    peer.greet()
    peer.ask(beads(1))
    running.join()
    assert isinstance(running.error, ProtocolError)
    assert "2 atoms" in str(running.error)
    assert "has 3" in str(running.error)
    # A clean end: the server reads the end of the stream, no reset.
    assert peer.socket.recv(1) == b""


def test_a_structure_that_fails_is_written(server, tmp_path):
    def fails(request: Request) -> Reply:
        raise StructureError(1, np.ones((N, 3)), np.eye(3) * 9, "forces are not finite")

    failed = tmp_path / "failed.xyz"
    running = Running(fails, ATOMS, server.address, failed=failed)
    peer = server.accept()
    peer.greet(batch=2)
    peer.ask(beads(2))
    running.join()
    assert isinstance(running.error, StructureError)
    assert "evaluation 1 of this client, bead 1" in str(running.error)
    np.testing.assert_allclose(ase.io.read(failed).positions, 1.0)


@pytest.mark.parametrize(
    ("options", "message"), [({"connections": 0}, "at least one"), ({"worker": 3}, "got int")]
)
def test_senseless_arguments(options, message):
    worker = options.pop("worker", Springs())
    with pytest.raises((ValueError, TypeError), match=message):
        Client(worker, ATOMS, Address(unix="x"), **options)


@pytest.fixture
def spec(models, tmp_path):
    ase.io.write(tmp_path / "h2.xyz", ATOMS)
    return ModelSpec((str(models["float64"]),), tmp_path / "h2.xyz", device="cpu", engine="script")


def test_a_killed_worker_is_replaced(server, spec):
    worker = ProcessWorker(spec)
    running = Running(worker, ATOMS, server.address, wait=60)
    server.listener.settimeout(60)
    peer = server.accept()
    peer.socket.settimeout(60)
    peer.greet()
    peer.ask(beads(1))
    first = peer.energies(1)
    os.kill(worker.process.pid, signal.SIGKILL)
    peer.ask(beads(1))
    np.testing.assert_array_equal(peer.energies(1), first)
    assert running.client.served.deaths == 1
    server.close()
    peer.exit()
    running.join()
    assert worker.process is None


def test_a_model_that_can_not_be_loaded_is_named(server, spec, tmp_path):
    worker = ProcessWorker(ModelSpec((str(tmp_path / "no.pt"),), spec.structure))
    with pytest.raises(WorkerError, match=r"could not load its model: no model file .*no.pt"):
        Client(worker, ATOMS, server.address).run()
