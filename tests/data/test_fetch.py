"""Downloads are checked."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from schnet_calc.data import read_frames
from schnet_calc.data.fetch import fetch_md17


@pytest.fixture
def authors(tmp_path):
    """A server with an original file, which holds the fingerprint of its arrays."""
    folder = tmp_path / "server"
    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = {"z": np.array([6, 1], np.uint8)}
    arrays |= {
        "R": rng.normal(size=(5, 2, 3)),
        "E": rng.normal(size=(5, 1)),
        "F": rng.normal(size=(5, 2, 3)),
    }
    digests = [hashlib.md5(arrays[k].ravel().tobytes()).digest() for k in ("z", "R", "E", "F")]
    np.savez(
        folder / "md17_benzene2017.npz", **arrays, md5=hashlib.md5(b"".join(digests)).hexdigest().encode()
    )
    arrays["F"][0] += 1.0
    np.savez(folder / "md17_ethanol.npz", **arrays, md5=hashlib.md5(b"".join(digests)).hexdigest().encode())
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_downloads_are_checked(authors, tmp_path):
    path = fetch_md17("benzene", tmp_path / "data", authors)
    assert path.name == "md17_benzene.npz"
    assert len(read_frames(path)) == 5
    assert (tmp_path / "data" / "SHA256SUMS").read_text().split()[1] == path.name
    assert fetch_md17("benzene", tmp_path / "data", "http://nowhere.invalid/") == path  # it is there
    with pytest.raises(ValueError, match=r"is damaged: its fingerprint is"):
        fetch_md17("ethanol", tmp_path / "data", authors)
    assert not (tmp_path / "data" / "md17_ethanol.npz").exists()
    np.savez(path, R=np.zeros(3))
    with pytest.raises(ValueError, match=r"md17_benzene.npz has the SHA-256 .* but SHA256SUMS says"):
        fetch_md17("benzene", tmp_path / "data", authors)
