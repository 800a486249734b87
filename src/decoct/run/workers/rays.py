"""The Ray that tasks go to: one of this run's own, or a cluster that is joined."""

import os
import re
import socket
import subprocess
import sys
import threading
from importlib.util import find_spec
from typing import Any, TextIO

from decoct.core.errors import UsageError

RETRIES = 3  # times that a job is run again after its worker or node died
REACH, JOIN = 10.0, 60.0  # seconds: to open a socket, to join a cluster
OBJECTS = 100 * 2**20  # bytes of Ray's object store: nothing goes through it but jobs
TELLER = "ray_listen_error_messages"  # the thread in which Ray prints what its daemons say, on stdout


def ray_module() -> Any:
    """Ray, which is imported where it is needed.

    Raises:
        UsageError: it is not installed.
    """
    if find_spec("ray") is None:
        raise UsageError("Ray is not installed: pip install 'decoct[ray]'")
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))  # read when a driver starts; by default maybe endless
    import ray

    return ray


def begin(cpus: int, gpus: int) -> None:
    """A Ray of this process's own, that says nothing."""
    ray_module().init(
        address="local",
        num_cpus=cpus,
        num_gpus=gpus,
        object_store_memory=OBJECTS,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )


def join(address: str) -> None:
    """Connect to a cluster.

    Another process tries first: whatever listens at the address may not be Ray, which may then wait for long, or end
    the process.

    Raises:
        UsageError: no cluster is there, or it is not one that this Python can join.
    """
    if "://" in address:
        raise UsageError(f"--address takes HOST:PORT or auto, not '{address}': run decoct on a node of the cluster")
    if address != "auto":
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=REACH).close()
        except ValueError:
            raise UsageError(f"--address takes HOST:PORT or auto, not '{address}'") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(
                f"no Ray cluster answers at {address} ({reason}): start one with `ray start --head`, or correct "
                "--address"
            ) from None
    options = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
    code = f"import ray; ray.init(**{options!r}); ray.shutdown()"
    try:
        tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=JOIN)
    except subprocess.TimeoutExpired:
        raise UsageError(f"what listens at {address} did not answer as Ray in {JOIN:.0f} s: see `ray status`") from None
    if tried.returncode:
        raise UsageError(refused(address, tried.stderr))
    ray_module().init(**options)


def refused(address: str, text: str) -> str:
    """Why a cluster could not be joined, and what to do, from the traceback."""
    if "AuthenticationError" in text:
        return (
            f"the Ray cluster at {address} asks for its token: run on a node of it with --address auto, or copy its "
            "~/.ray/auth_token here and set RAY_AUTH_MODE=token"
        )
    if address == "auto" and "Could not find any running Ray" in text:
        return "no Ray runs on this machine: start it with `ray start --head`, name a --address, or leave --address out"
    lines = text.splitlines()
    starts = [at for at, line in enumerate(lines) if re.match(r"[\w.]+(Error|Exception)\b", line)]
    said = " ".join(line.strip() for line in lines[starts[-1] if starts else -1 :])
    return f"cannot join the Ray cluster at {address}: {said[:400] or 'it ended without a word'}"


class Hushed:
    """A stdout on which Ray's own thread prints nothing: what a job says is in its failure, and stdout is for JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As of any stream."""
        return len(text) if threading.current_thread().name == TELLER else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
