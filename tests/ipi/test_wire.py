"""The protocol without sockets: pieces of any size, batches, named errors."""

import numpy as np
import pytest

from helpers import encode_request
from schnet_calc.ipi.errors import ProtocolError
from schnet_calc.ipi.wire import (
    Exit,
    GetForce,
    Init,
    Parser,
    Reply,
    Request,
    Status,
    encode_reply,
    header,
)

N = 3


def request(batch: int, seed: int = 0) -> Request:
    rng = np.random.default_rng(seed)
    return Request(np.eye(3) * 9 + rng.normal(size=(batch, 3, 3)), rng.normal(size=(batch, N, 3)))


def init(text: str) -> bytes:
    return header("INIT") + np.int32(7).tobytes() + np.int32(len(text)).tobytes() + text.encode()


def dialogue(batch: int) -> bytes:
    text = f"a : b , batch_size:{batch}" if batch > 1 else " "
    sent = [
        header("STATUS"),
        init(text),
        header("STATUS"),
        encode_request(request(batch)),
        header("GETFORCE"),
    ]
    return b"".join([*sent, header("EXIT")])


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("size", [1, 5, 12, 100, 10**6])
def test_pieces_of_any_size_give_the_same_messages(batch, size):
    data, parser, messages = dialogue(batch), Parser(N), []
    for start in range(0, len(data), size):
        messages += parser.feed(data[start : start + size])
    kinds = [Status, Init, Status, Request, GetForce, Exit]
    assert [type(m) for m in messages] == kinds
    assert messages[1].replica == 7
    assert messages[1].batch_size == batch
    expected = request(batch)
    np.testing.assert_array_equal(messages[3].positions, expected.positions)
    np.testing.assert_array_equal(messages[3].cells, expected.cells)


@pytest.mark.parametrize("batch", [1, 4])
def test_another_number_of_atoms_names_both(batch):
    parser = Parser(N + 2)
    list(parser.feed(init(f"batch_size:{batch}")))
    # The number is enough: a client must not wait for positions it can't use.
    data = encode_request(request(batch))
    with pytest.raises(ProtocolError, match="sends 3 atoms, but the structure of this client has 5"):
        list(parser.feed(data[:200]))


def test_unknown_messages_are_named():
    with pytest.raises(ProtocolError, match=r"unknown message b'HTTP/1\.1 200'"):
        list(Parser(N).feed(b"HTTP/1.1 200 OK"))
    with pytest.raises(ProtocolError, match="-5 bytes"):
        list(Parser(N).feed(header("INIT") + np.int32(0).tobytes() + np.int32(-5).tobytes()))
    with pytest.raises(ProtocolError, match="batch_size is a whole number from 1 to 65536, got 'x'"):
        list(Parser(N).feed(init("batch_size:x")))


@pytest.mark.parametrize("batch", [1, 3])
def test_reply_has_the_layout_that_i_pi_reads(batch):
    rng = np.random.default_rng(1)
    reply = Reply(
        rng.normal(size=batch),
        rng.normal(size=(batch, N, 3)),
        rng.normal(size=(batch, 3, 3)),
        ["", "{}", "é"][:batch],
    )
    data = encode_reply(reply)
    assert data[:12] == b"FORCEREADY  "
    at = 12
    for array in (reply.energies, np.int32(N), reply.forces, reply.virials):
        np.testing.assert_array_equal(np.frombuffer(data, array.dtype, array.size, at), array.ravel())
        at += array.nbytes
    for text in reply.extras:
        length = int(np.frombuffer(data, np.int32, 1, at)[0])
        assert data[at + 4 : at + 4 + length].decode() == text
        at += 4 + length
    assert at == len(data)
