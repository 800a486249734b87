"""Trainings on rows of a pool: run at once on all cores, kept when they are done, never done twice."""

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

import decoct
from decoct.core import arrayfile
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Condenser
from decoct.core.machine import blame
from decoct.core.owned import holds
from decoct.core.record import read_json, write_json
from decoct.core.scratch import replace
from decoct.core.spec import digest
from decoct.needs.dynamics import NAMES, Trace, Traces
from decoct.shrinking import distil, made
from decoct.shrinking.choose import choose
from decoct.shrinking.learner import Learner, Material
from decoct.shrinking.made import Made, Set
from decoct.shrinking.pool import Pool
from decoct.shrinking.work import guarded, opened
from decoct.study.drive import abandon

Rows = NDArray[np.int64]
MATERIAL = "material"


@dataclass(frozen=True, eq=False)
class Fit:
    """One training and its look at images that it did not see.

    Attributes:
        rows: that are trained on, or a set that was made.
        held: that are looked at, after the last step.
        seed: of the student.
        whole: keep the probabilities; otherwise only whether each image is right.
    """

    rows: Set
    held: Rows
    seed: int
    whole: bool = False

    def key(self, about: Mapping[str, Any]) -> str:
        """Digest of all that decides what comes out."""
        rows = self.rows.digest if isinstance(self.rows, Made) else _sum(self.rows)
        return digest({**about, "rows": rows, "held": _sum(self.held), "seed": self.seed, "whole": self.whole})


@dataclass(frozen=True, eq=False)
class Look:
    """One training on all candidates, for what methods choose by."""

    rows: Rows
    seed: int

    def key(self, about: Mapping[str, Any]) -> str:
        """Digest of all that decides what comes out."""
        return digest({**about, "rows": _sum(self.rows), "seed": self.seed, "what": MATERIAL})


@dataclass(frozen=True, eq=False)
class Pick:
    """A set to be chosen; the arguments are those of ``choose``, but for the training that the method chooses by.

    A method that makes images keeps none and leaves none out.
    """

    name: str
    rows: Rows
    n: int
    by: Look | None
    seed: int
    keep: Rows
    without: Rows

    def key(self, about: Mapping[str, Any]) -> str:
        """Digest of all that decides what comes out."""
        by = self.by.key(about) if self.by else None
        rows = [_sum(self.rows), _sum(self.keep), _sum(self.without)]
        return digest({**about, "pick": self.name, "rows": rows, "n": self.n, "by": by, "seed": self.seed})

    def make(self, pool: Pool, material: Material | None) -> Rows:
        """Choose."""
        return choose(self.name, pool, self.rows, self.n, material, self.seed, self.keep, self.without)


@dataclass
class Trainings:
    """Runs trainings of one learner on one pool, and keeps what they say in a folder.

    Attributes:
        pool: the images.
        learner: what is trained.
        kept: folder of results; equal trainings are read from there.
        pool_of: makes an executor for so many workers.
        workers: trainings at once.
        told: called after each training with (done, of what was asked at once).
        makers: methods that make images, by name.
        device: where they compute.
        spent, units: seconds that trainings took, and their ``Learner.work``.
        chosen: seconds that a method took to choose sets, by its name and their images.
    """

    pool: Pool
    learner: Learner
    kept: Path
    pool_of: Callable[[int], Executor]
    workers: int = 1
    told: Callable[[int, int], None] = lambda done, total: None
    makers: Mapping[str, Condenser] = field(default_factory=dict)
    device: str = "cpu"
    spent: float = 0.0
    units: float = 0.0
    chosen: dict[str, dict[int, float]] = field(default_factory=dict)
    _executor: Executor | None = None

    def __enter__(self) -> Self:
        self.kept.mkdir(parents=True, exist_ok=True)
        if holds(pace := self._pace, "chosen"):
            said = read_json(pace)
            self.spent, self.units = float(said["spent"]), float(said["units"])
            self.chosen = {name: {int(n): float(s) for n, s in each.items()} for name, each in said["chosen"].items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.units:
            said = {"spent": self.spent, "units": self.units, "chosen": self.chosen}
            replace(self._pace, lambda path: write_json(path, said))
        if self._executor is not None:
            abandon(self._executor) if kind else self._executor.shutdown()
            self._executor = None

    @property
    def _pace(self) -> Path:
        """What trainings took so far, so that times are known where all is read from earlier ones."""
        return self.kept / f"pace-{digest(self.learner.config())}.json"

    @property
    def about(self) -> dict[str, Any]:
        """What all its keys have in common."""
        return {"pool": self.pool.digest, "learner": self.learner.config(), "version": decoct.__version__}

    def seconds(self, rows: int) -> float | None:
        """What a training on so many images is foretold to take; None before any was run here."""
        return self.learner.work(rows) * self.spent / self.units if self.units else None

    def choosing(self, name: str, n: int) -> float:
        """Seconds that a method is foretold to take for a set of so many images, along the line of those it took."""
        took = self.chosen.get(name)
        if not took:
            return 0.0
        least, most = min(took), max(took)
        rise = max(0.0, took[most] - took[least]) / (most - least) if most > least else 0.0
        return max(0.0, took[least] + rise * (n - least))

    def fits(self, wanted: Mapping[Any, Fit]) -> dict[Any, NDArray[Any]]:
        """What each training says of its held images: [held] bool, or [held, classes] float32 of one that is ``whole``.

        Raises:
                DecoctError: a training fails.
        """
        keys = {name: fit.key(self.about) for name, fit in wanted.items()}
        paths = {name: self.kept / f"{key}.npy" for name, key in keys.items()}
        missing = {keys[name]: fit for name, fit in wanted.items() if not paths[name].is_file()}
        calls = {key: (_fit, (fit.rows, fit.held, fit.seed, fit.whole)) for key, fit in missing.items()}
        took = self._run(calls, {key: len(fit.rows) for key, fit in missing.items()})
        self.spent += sum(took.values())
        self.units += sum(self.learner.work(len(missing[key].rows)) for key in took)
        with _told(self.kept):
            return {name: arrayfile.load(path) for name, path in paths.items()}

    def materials(self, wanted: Mapping[Any, Look]) -> dict[Any, Material]:
        """What methods choose by, of each set of candidates; errors as of ``fits``."""
        keys = {name: look.key(self.about) for name, look in wanted.items()}
        missing = {keys[name]: look for name, look in wanted.items() if not _whole(self.kept, keys[name])}
        calls = {key: (_look, (look.rows, look.seed)) for key, look in missing.items()}
        self._run(calls, {key: len(look.rows) for key, look in missing.items()})
        return {name: _load(self.kept, key) for name, key in keys.items()}

    def picks(self, wanted: Mapping[Any, Pick]) -> dict[Any, Set]:
        """The rows of each set, or what was made; errors as of ``choose`` and of ``distil.make``."""
        paths = {name: self.place(pick) for name, pick in wanted.items()}
        missing = {paths[name].stem: pick for name, pick in wanted.items() if not paths[name].is_file()}
        calls = {key: self._call(pick) for key, pick in missing.items()}
        sizes = {key: math.inf if pick.name in self.makers else pick.n for key, pick in missing.items()}
        for key, seconds in self._run(calls, sizes).items():
            self.chosen.setdefault(missing[key].name, {})[missing[key].n] = seconds
        with _told(self.kept):
            return {
                name: made.load(path) if wanted[name].name in self.makers else arrayfile.load(path)
                for name, path in paths.items()
            }

    def place(self, pick: Pick) -> Path:
        """Where a set is kept; one that is made is the same for all learners."""
        if pick.name not in self.makers:
            return self.kept / f"{pick.key(self.about)}.npy"
        maker = distil.fitted(self.makers[pick.name], self.pool, pick.rows)
        about = {name: value for name, value in self.about.items() if name != "learner"}
        return self.kept / f"{pick.key({**about, 'maker': maker.identity()})}.npz"

    def _call(self, pick: Pick) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if pick.name not in self.makers:
            return _pick, (pick, pick.by.key(self.about) if pick.by else "")
        return distil.keep, (pick.rows, pick.n, pick.seed, self.makers[pick.name], self.device)

    def _run(
        self, calls: Mapping[str, tuple[Callable[..., float], tuple[Any, ...]]], sizes: Mapping[str, float]
    ) -> dict[str, float]:
        """Run what is missing, the longest first, so that no core waits for the last, and give its seconds."""
        waiting = sorted(calls, key=lambda key: -sizes[key])
        running: dict[Future[float], str] = {}
        took: dict[str, float] = {}
        if calls:
            self.told(0, len(calls))
        while waiting or running:
            while waiting and len(running) < self.workers:
                key = waiting.pop(0)
                work, more = calls[key]
                folder, kept = str(self.pool.folder), str(self.kept)
                running[self.executor.submit(work, folder, kept, key, self.learner, *more)] = key
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                took[running.pop(future)] = future.result()
                self.told(len(took), len(calls))
        return took

    @property
    def executor(self) -> Executor:
        """Its workers, begun when there is something to do."""
        if self._executor is None:
            self._executor = self.pool_of(self.workers)
        return self._executor


def _fit(folder: str, kept: str, key: str, learner: Learner, rows: Set, held: Rows, seed: int, whole: bool) -> float:
    """In a worker: train, look, keep; gives the seconds."""
    pool, start = opened(folder), time.perf_counter()
    said = guarded(lambda: learner.probabilities(pool, rows, held, seed))
    answers = said.astype(np.float32) if whole else said.argmax(1) == pool.labels[held]
    replace(Path(kept) / f"{key}.npy", partial(_save, answers))
    return time.perf_counter() - start


def _look(folder: str, kept: str, key: str, learner: Learner, rows: Rows, seed: int) -> float:
    """In a worker: train once on all candidates, and keep what methods choose by."""
    pool, start = opened(folder), time.perf_counter()
    found = guarded(lambda: learner.material(pool, rows, seed))
    (run,) = found.traces.runs
    arrays = {name: getattr(run, name) for name in NAMES} | {"features": found.features}
    for name, array in (*arrays.items(), ("seconds", np.array(found.seconds))):  # the last one makes it whole
        replace(_part(Path(kept), key, name), partial(_save, array))
    return time.perf_counter() - start


def _pick(folder: str, kept: str, key: str, learner: Learner, pick: Pick, by: str) -> float:
    """In a worker: choose a set, and keep it."""
    pool, start = opened(folder), time.perf_counter()
    rows = guarded(lambda: pick.make(pool, _load(Path(kept), by) if by else None))
    replace(Path(kept) / f"{key}.npy", partial(_save, rows))
    return time.perf_counter() - start


def _save(array: NDArray[Any], path: Path) -> None:
    np.save(path, array, allow_pickle=False)


def _part(kept: Path, key: str, name: str) -> Path:
    return kept / f"{key}.{name}.npy"


def _whole(kept: Path, key: str) -> bool:
    return _part(kept, key, "seconds").is_file()


def _load(kept: Path, key: str) -> Material:
    def read(name: str) -> NDArray[Any]:
        return arrayfile.read(_part(kept, key, name))

    with _told(kept):
        run = Trace(**{name: read(name) for name in NAMES})
        return Material(read("features"), Traces((run,)), float(read("seconds")))


@contextmanager
def _told(kept: Path) -> Iterator[None]:
    """Say of what cannot be read which folder is damaged."""
    try:
        yield
    except (OSError, ValueError) as error:
        blame(error)
        raise DecoctError(f"what was kept in {kept} is damaged: {error}; remove that folder") from error


def _sum(rows: Iterable[int]) -> str:
    return hashlib.sha256(np.asarray(rows, np.int64).tobytes()).hexdigest()[:32]
