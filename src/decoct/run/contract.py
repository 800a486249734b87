"""The contract suite: what any condenser must keep, tried by a real construction on digits, cut down."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.kinds import Condenser, Progress, silent
from decoct.core.record import read_json
from decoct.core.spec import find, parse
from decoct.data.dataset import Dataset, load_data
from decoct.needs.generator import TeachGenerator
from decoct.needs.teacher import Teach
from decoct.nets import zoo
from decoct.protocols.erm import ERM
from decoct.run.execute import execute
from decoct.run.graph import Planner
from decoct.run.jobs import Job
from decoct.run.storage.store import Store
from decoct.run.work.students import RESULT

IPC, EPOCHS, STEPS = 2, 3, 20
EVEN = Budget(ipc=IPC)
UNEVEN = Budget(fraction=0.03), Budget(images=7)  # some classes more than others; of three of the ten none


@dataclass(frozen=True)
class Finding:
    """A rule, whether it holds, and what was seen where it does not."""

    rule: str
    ok: bool
    detail: str = ""


def check(name: str, plugins: tuple[str, ...] = (), progress: Progress = silent) -> list[Finding]:
    """Try a condenser on digits with its ``quick`` fields and with teachers of a few epochs.

    Args:
        name: of the condenser.
        plugins: files that may define it.
        progress: called with (rules tried, rules in all).

    Returns:
        One finding per rule; the first that cannot go on is the last.

    Raises:
        UsageError: nobody knows the name.
    """
    cls = find("condenser", name, plugins)
    method = parse("condenser", {"name": name, **cls.quick}, plugins)
    with tempfile.TemporaryDirectory(prefix="decoct-check-") as folder:
        return _Suite(method, plugins, Path(folder), progress).run()


class _Suite:
    def __init__(self, method: Condenser, plugins: tuple[str, ...], folder: Path, progress: Progress) -> None:
        self.method, self.plugins, self.folder, self.progress = method, plugins, folder, progress
        self.data: Dataset = load_data("digits")
        self.store, self.again = Store(folder / "store"), Store(folder / "again")
        for store in (self.store, self.again):
            store.root.mkdir()

    def run(self) -> list[Finding]:
        rules: list[tuple[str, Callable[[], Any]]] = [
            ("says what it is: docstring, family, stochastic", self.described),
            ("its fields make the same method again", self.parsed_again),
            ("asks only for what can be supplied", self.needs_known),
            ("makes a set", self.constructs),
            ("gives the budget of every class, or in all where classes are pooled", self.balanced),
            ("gives images of the data's shape, or picks of the train split, each once", self.sound),
            ("the same seed gives the same set", self.deterministic),
            ("another seed gives another set" if self.method.stochastic else "ignores the seed", self.seed_sensitive),
            ("its set survives saving and loading", self.round_trip),
            ("a student trains on it", self.trains),
            ("shards of its classes, where it can be cut, are the set bit for bit", self.sharded),
            ("keeps to budgets that ask classes for different numbers, unless it says even", self.uneven),
        ]
        findings = []
        for done, (rule, test) in enumerate(rules):
            detail = _wrong(test)
            findings.append(Finding(rule, not detail, detail))
            self.progress(done + 1, len(rules))
            if not findings[-1].ok and test == self.constructs:
                break  # there is no set to look at
        return findings

    def described(self) -> str | None:
        if not (type(self.method).__doc__ or "").strip() or type(self.method).__doc__ == Condenser.__doc__:
            return "the class has no docstring: say what it does and name the paper"
        if getattr(type(self.method), "family", None) not in ("coreset", "distillation"):
            return 'set family: ClassVar = "coreset" or "distillation"'
        return None

    def parsed_again(self) -> str | None:
        again = parse("condenser", self.method.config(), self.plugins)
        return None if again == self.method else f"{self.method.config()} becomes {again.config()}"

    def needs_known(self) -> None:
        for need in self.method.at(self.data.size).needs():
            self._planner().supply(need)

    def constructs(self) -> None:
        self.made = self._make(0, self.store)

    def balanced(self) -> str | None:
        return self._kept_to(self.method, EVEN, self.made)

    def sound(self) -> str | None:
        return self._sound(self.made)

    def _kept_to(self, method: Condenser, budget: Budget, made: Condensed) -> str | None:
        """That a set has what its budget asks of each class; in all, which is checked as it is made, if pooled."""
        counts = np.bincount(made.labels, minlength=len(self.data.class_names)).tolist()
        asked = budget.per_class(self.data.counts(), self.data.class_names)
        if getattr(method, "pooled", False) or counts == asked:
            return None
        return f"the budget {budget} asks for {asked} of the classes, got {counts}"

    def _sound(self, made: Condensed) -> str | None:
        if made.indices is not None:
            twice = len(np.unique(made.indices)) != len(made)
            return "an image was picked twice" if twice else None
        assert made.images is not None
        if made.images.shape[1:] != self.data.shape:
            return f"images are {made.images.shape[1:]}, the data's are {self.data.shape}"
        return None if np.isfinite(made.images).all() else "an image holds values that are not finite"

    def deterministic(self) -> str | None:
        return None if _same(self.made, self._make(0, self.again)) else "two runs with one seed differ"

    def seed_sensitive(self) -> str | None:
        same = _same(self.made, self._make(1, self.store))
        if self.method.stochastic:
            return "two seeds give one set: declare stochastic = False" if same else None
        return None if same else "declares stochastic = False, but the seed matters"

    def round_trip(self) -> str | None:
        self.made.save(self.folder / "saved")
        return None if _same(self.made, Condensed.load(self.folder / "saved")) else "what is loaded differs"

    def trains(self) -> str | None:
        planner = self._planner()
        made = planner.condense(self.method.name, self.method, EVEN, 0)
        job = planner.train(("erm", ERM(steps=STEPS)), zoo.student(self.data.size, 32), made)
        self._do(planner, self.store)
        accuracy = read_json(self.store.path("train", job.key) / RESULT)["accuracy"]
        return None if 0 <= accuracy <= 1 else f"accuracy {accuracy}"

    def sharded(self) -> str | None:
        classes = len(self.data.class_names)
        if (self.method.at(self.data.size).together(IPC) or classes) >= classes:
            return None
        cut = Store(self.folder / "cut")
        cut.root.mkdir()
        same = _same(self.made, self._make(0, cut, shards=2))
        return None if same else "classes do not come out alike when they are made apart: see together()"

    def uneven(self) -> str | None:
        if self.method.even:
            return None
        config, tried = self.method.config(), [(budget, self.method) for budget in UNEVEN]
        if "pooled" in config:
            own, pooled = (parse("condenser", config | {"pooled": said}, self.plugins) for said in (False, True))
            tried = [(UNEVEN[0], own), (UNEVEN[0], pooled), (UNEVEN[1], own)]
        for budget, method in tried:
            if wrong := _wrong(partial(self._at, budget, method)):
                return f"at {budget}{', pooled' if getattr(method, 'pooled', False) else ''}: {wrong}"
        return None

    def _at(self, budget: Budget, method: Condenser) -> str | None:
        made, again = (self._make(0, store, budget=budget, method=method) for store in (self.store, self.again))
        wrong = self._kept_to(method, budget, made) or self._sound(made)
        return wrong or (None if _same(made, again) else "two runs with one seed differ")

    def _planner(self) -> Planner:
        class Quick(dict[str, Teach]):  # every net that is asked for is taught for a few epochs
            def get(self, net: str, default: Any = None) -> Teach:
                return Teach(net=net, epochs=EPOCHS)

        quick = TeachGenerator(epochs=EPOCHS, width=8)
        return Planner(self.data, teachings=Quick(), plugins=self.plugins, generators={quick.generator: quick})

    def _make(
        self,
        seed: int,
        store: Store,
        shards: int = 1,
        budget: Budget = EVEN,
        method: Condenser | None = None,
    ) -> Condensed:
        """The set that a seed gives, whether or not the method says that it uses one."""

        def seeded(job: Job, **inputs: str) -> Job:
            return Job(**job.model_dump() | {"keyed": job.keyed | {"seed": seed}, "inputs": job.inputs | inputs})

        planner = self._planner()
        made = planner.condense(self.method.name, method or self.method, budget, 0, shards)
        planned = planner.jobs.pop(made.key)
        cut = {f"shard:{n}": seeded(planner.jobs.pop(key)) for n, key in planned.role("shard").items()}
        job = seeded(planned, **{role: part.key for role, part in cut.items()})
        self._do(planner, store)
        for each in (*cut.values(), job):
            execute(store.root, each)
        return Condensed.load(store.path("condense", job.key))

    def _do(self, planner: Planner, store: Store) -> None:
        for job in planner.jobs.values():
            execute(store.root, job)


def _wrong(test: Callable[[], str | None]) -> str:
    """What a test finds wrong, or the error that it raises; empty where the rule holds."""
    try:
        return test() or ""
    except DecoctError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _same(a: Condensed, b: Condensed) -> bool:
    def equal(x: NDArray[Any] | None, y: NDArray[Any] | None) -> bool:
        return (x is None and y is None) or (x is not None and y is not None and np.array_equal(x, y))

    names = ("labels", "indices", "images", "soft_labels", "weights")
    return a.mosaic == b.mosaic and all(equal(getattr(a, name), getattr(b, name)) for name in names)
