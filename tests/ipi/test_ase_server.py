"""ASE's socket calculator as the server: the client ends when it closes, without a word."""

import threading

from ase.calculators.socketio import SocketIOCalculator

from helpers import ethanol
from schnet_calc import SchNetCalculator
from schnet_calc.ipi import Address, Client


def test_the_client_ends_with_ases_server(tmp_path):
    calculator, name = SchNetCalculator("ethanol", device="cpu"), f"ase_{tmp_path.name[-12:]}"
    atoms = ethanol()
    client = Client(calculator, atoms, Address(unix=name))
    server = SocketIOCalculator(unixsocket=name)
    thread = threading.Thread(target=client.run, daemon=True)
    thread.start()
    with server:
        atoms.calc = server
        found = atoms.get_potential_energy()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert abs(found - calculator.evaluate([atoms])[0].energy) < 1e-5
