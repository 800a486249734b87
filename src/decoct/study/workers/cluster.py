"""Jobs as tasks of Ray: an executor like any other, on a Ray of this run's own or on a cluster.

Ray (Moritz et al., 2018, arXiv:1712.05889) places each task on a node that has its CPUs and GPUs free, and runs it
again elsewhere when its worker or node dies; the job then continues from its own checkpoint. A task that kills its
worker every time fails alone, since no two tasks share a worker at a time.
"""

import functools
import os
import platform
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import decoct
from decoct.core.cells import is_url
from decoct.core.errors import DecoctError, LostDeviceError, UsageError
from decoct.core.scratch import scratch
from decoct.study.jobs import Job
from decoct.study.store.store import open_store
from decoct.study.workers.executors import environment

LOOK = 180.0  # seconds for all nodes to look around
RETRIES = 3  # times that a job is run again after its worker or node died
REACH, JOIN = 10.0, 60.0  # seconds: to open a socket, to join a cluster
OBJECTS = 100 * 2**20  # bytes of Ray's object store: nothing goes through it but jobs
SILENT = {"log_to_driver": False, "logging_level": "ERROR"}  # what a job says is in its failure
TELLER = "ray_listen_error_messages"  # the thread in which Ray prints what its daemons say, on stdout


@dataclass(frozen=True)
class Needed:
    """What a worker must find where it runs.

    Attributes:
        where: the store is.
        data: folders of cached data sets.
        plugins: files with plug-ins, and where students that are not decoct's lie.
        marker: file that the driver leaves in a store that is a folder, for workers to see that theirs is the same one.
        version: of decoct, the driver's.
    """

    where: str
    data: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    marker: str | None = None
    version: str = decoct.__version__

    def check(self) -> None:
        """Raise a DecoctError, in a worker, if something is not there, or is not the driver's."""
        host = platform.node()
        if self.version != decoct.__version__:
            raise DecoctError(
                f"this run is driven by decoct {self.version}, and node {host} has decoct {decoct.__version__}: "
                "install the same version on all nodes"
            )
        if self.marker is not None and not Path(self.marker).is_file():
            raise DecoctError(
                f"node {host} does not see the store {self.where}: let --out or --store name a folder that all nodes "
                "share under one path, or a URL such as s3://BUCKET/FOLDER"
            )
        for plugin in self.plugins:
            if not Path(plugin).exists():
                raise DecoctError(f"node {host} does not see {plugin}: put it into a folder that all share")
        store = open_store(self.where)
        for folder in self.data:
            try:
                store.dataset(Path(folder))
            except DecoctError as error:
                raise DecoctError(f"node {host}: {error}") from None


class Cluster(Executor):
    """Runs each call as a task of Ray, with as many CPUs as a job has threads, and the GPUs of its kind.

    Args:
        needed: what workers must find.
        threads: of a job.
        gpus: of a job, by its kind.
        address: of a cluster, ``HOST:PORT`` or "auto"; None for a Ray of its own, that ends with it. In a process that
            is connected to a Ray already, None is that one, and it stays.
        workers: jobs at once, of a Ray of its own.
        here: GPUs that a Ray of its own shares out.
        retries: times that a job is run again after its worker or node died.

    Raises:
        UsageError: Ray is not installed, no cluster answers, or no node has what a job needs.
        DecoctError: a node does not see what jobs read, or has another version of decoct.
    """

    def __init__(
        self,
        needed: Needed,
        threads: int = 1,
        gpus: Mapping[str, float] | None = None,
        address: str | None = None,
        workers: int = 1,
        here: int = 0,
        retries: int = RETRIES,
    ) -> None:
        self._needed, self._threads, self._gpus = needed, threads, dict(gpus or {})
        self._retries = retries
        self._marker: Path | None = None
        self._tasks: dict[str, Any] = {}
        self._running: dict[Future[Any], Any] = {}
        self._lock = threading.Condition()
        self._stdout = sys.stdout
        ray = ray_module()
        self._own = not ray.is_initialized()
        sys.stdout = Hushed(self._stdout)
        try:
            if self._own and address is not None:
                join(address)
            elif self._own:
                room = {"num_cpus": workers * threads, "num_gpus": here, "object_store_memory": OBJECTS}
                ray.init("local", **room, include_dashboard=False, **SILENT)
            self._check_room()
            if address is not None or not self._own:
                self._mark()
                self._look_around()
        except BaseException:
            self.shutdown(wait=False, cancel_futures=True)
            raise

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """As for any executor; the kind of job is that of the job among the arguments."""
        kind = next((arg.kind for arg in args if isinstance(arg, Job)), "")
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        ref = self._task(kind).remote(self._needed, fn, args, kwargs)
        with self._lock:
            self._running[future] = ref
        ref.future().add_done_callback(functools.partial(self._settle, future))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what runs, or cancel it; a Ray of its own ends."""
        ray = ray_module()
        with self._lock:
            if not wait or cancel_futures:
                for ref in self._running.values():
                    with suppress(Exception):  # it has ended, or Ray has
                        ray.cancel(ref, force=True)
            if wait:
                self._lock.wait_for(lambda: not self._running)
        if self._marker is not None:
            self._marker.unlink(missing_ok=True)
        if self._own:
            ray.shutdown()
        if isinstance(sys.stdout, Hushed):
            sys.stdout = self._stdout

    def _task(self, kind: str) -> Any:
        if kind not in self._tasks:
            options = {"name": kind or "call", "num_cpus": self._threads, "num_gpus": self._gpus.get(kind, 0.0)}
            options |= {"max_retries": self._retries, "runtime_env": {"env_vars": environment(self._threads)}}
            self._tasks[kind] = ray_module().remote(_work).options(**options)
        return self._tasks[kind]

    def _settle(self, future: "Future[Any]", done: "Future[Any]") -> None:
        error = done.exception()
        if error is None:
            future.set_result(done.result())
        else:
            future.set_exception(said(error, self._retries))
        with self._lock:
            self._running.pop(future, None)
            self._lock.notify_all()

    def _check_room(self) -> None:
        """Refuse jobs that no node can ever take: they would wait for ever."""
        nodes = [node["Resources"] for node in ray_module().nodes() if node["Alive"]]
        for kind, gpus in (self._gpus or {"": 0.0}).items():
            if not any(node.get("CPU", 0) >= self._threads and node.get("GPU", 0) >= gpus for node in nodes):
                most = max((node.get("GPU", 0) for node in nodes), default=0)
                raise UsageError(
                    f"no node of the cluster has {self._threads} CPUs and {gpus:g} GPUs for a {kind or 'call'} job: "
                    f"the largest has {max((node.get('CPU', 0) for node in nodes), default=0):g} CPUs, {most:g} GPUs "
                    "is the most; start such a node, or ask for less (--gpus, threads of the study)"
                )

    def _mark(self) -> None:
        if not is_url(self._needed.where):
            root = Path(self._needed.where).absolute()
            root.mkdir(parents=True, exist_ok=True)
            self._marker = root / scratch("seen")
            self._marker.touch()
            self._needed = replace(self._needed, where=str(root), marker=str(self._marker))

    def _look_around(self) -> None:
        """Let every node look for what jobs read."""
        ray = ray_module()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        look, looking = ray.remote(Needed.check), {}
        for node in ray.nodes():
            if node["Alive"]:
                there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
                task = look.options(num_cpus=0, max_retries=0, scheduling_strategy=there)
                looking[task.remote(self._needed)] = node["NodeManagerHostname"]
        done, waiting = ray.wait(list(looking), num_returns=len(looking), timeout=LOOK)
        if waiting:
            raise DecoctError(f"node {looking[waiting[0]]} did not answer in {LOOK:.0f} s: see `ray status`")
        for ref in done:
            try:
                ray.get(ref)
            except Exception as error:
                raise said(error, 0, looking[ref]) from None


def said(error: BaseException, retries: int, host: str = "a node") -> DecoctError:
    """The error of a task on a host, after so many retries, in one line, whatever class Ray wraps it in."""

    from decoct.study.execute import describe

    exceptions = ray_module().exceptions
    cause = getattr(error, "cause", None)
    if isinstance(cause, DecoctError):
        return cause
    if isinstance(error, exceptions.RayTaskError) and "No module named 'decoct" in str(error):
        return DecoctError(
            f"{host} of the cluster has no decoct {decoct.__version__}: "
            f"run `pip install 'decoct[ray]=={decoct.__version__}'` in the Python that Ray runs there"
        )
    if isinstance(error, exceptions.OutOfMemoryError):
        return DecoctError("Ray ended its worker because the node was out of memory: take a node with more")
    if isinstance(error, (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.ObjectLostError)):
        return DecoctError(f"its worker process died, {retries + 1} times; it may need more memory than there is")
    if isinstance(error, exceptions.RayTaskError) and isinstance(cause, Exception):
        error = cause
    return DecoctError(describe(error))


_looked = functools.cache(Needed.check)


def _work(needed: Needed, fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """In a worker: look once whether all is there, then do it."""
    _looked(needed)
    try:
        return fn(*args, **kwargs)
    except LostDeviceError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)  # Ray would give this process the next task; so it runs this one again, in another


def ray_module() -> Any:
    """Ray, which is imported where it is needed; a UsageError if it is not installed."""
    if find_spec("ray") is None:
        raise UsageError("Ray is not installed: pip install 'decoct[ray]'")
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))  # read when a driver starts; by default maybe endless
    import ray

    return ray


def join(address: str) -> None:
    """Connect to a cluster; a UsageError if none is there, or none that this Python can join.

    Another process tries first: whatever listens at the address may not be Ray, which may then wait for long, or end
    the process.
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
    options = {"address": address, **SILENT}
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
    """A stdout on which Ray's own thread prints nothing: a job's output is in its failure, and stdout is for JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As for any stream."""
        return len(text) if threading.current_thread().name == TELLER else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
