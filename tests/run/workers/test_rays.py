"""Joining a cluster of Ray: addresses that cannot be meant, nobody there, and why one refuses."""

import socket

import pytest

from decoct.core.errors import UsageError
from decoct.run.workers import rays


@pytest.mark.parametrize("address", ["nonsense", "host:port", "ray://127.0.0.1:10001"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(UsageError, match="HOST:PORT or auto"):
        rays.join(address)


def test_a_cluster_that_does_not_answer_is_not_waited_for(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UsageError, match=rf"no Ray cluster answers at {address}"):
            rays.join(address)  # bound, and nobody listens
        free.listen()
        monkeypatch.setattr(rays, "JOIN", 0.5)
        with pytest.raises(UsageError, match="did not answer as Ray"):
            rays.join(address)


def test_why_a_cluster_refuses_is_said_in_one_line():
    other = (
        "Traceback (most recent call last):\n  File x\nRuntimeError: Version mismatch:\n    Ray: 2.40\n    Python: 3.12"
    )
    assert (
        rays.refused("a:1", other)
        == "cannot join the Ray cluster at a:1: RuntimeError: Version mismatch: Ray: 2.40 Python: 3.12"
    )
    assert "RAY_AUTH_MODE=token" in rays.refused("a:1", "ray.exceptions.AuthenticationError: RPC error")
    assert "ray start --head" in rays.refused("auto", "ConnectionError: Could not find any running Ray instance.")
    assert "without a word" in rays.refused("a:1", "")
