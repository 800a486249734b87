"""The contract suites: rules for every condenser and protocol, tested by real, shortened work on digits."""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
from safetensors.torch import save_file

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Condenser, Progress, Start, Task, TrainProtocol, silent
from decoct.core.record import read_json
from decoct.core.spec import find, names, parse
from decoct.data.dataset import Dataset, load_data
from decoct.methods.coresets.random import Random
from decoct.needs.generator import TeachGenerator
from decoct.needs.teacher import Teach
from decoct.nets import zoo
from decoct.protocols.erm import ERM
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.jobs import Job
from decoct.study.store.store import Store
from decoct.study.work.students import RESULT
from decoct.training.recipe import Recipe, Storing

IPC, EPOCHS, STEPS = 2, 3, 20
EVEN = Budget(ipc=IPC)
WITH_WEIGHTS = "test_resnet"  # a small net of timm's
ANSWERS: dict[str, tuple[type, ...]] = {
    "storing": (Storing, type(None)),
    "takes_own_labels": (bool,),
    "fixed_steps": (int, type(None)),
}
UNEVEN = Budget(fraction=0.03), Budget(images=7)  # some classes more than others; of three of the ten none


@dataclass(frozen=True)
class Finding:
    """A rule, whether it holds, and what was seen where it does not."""

    rule: str
    ok: bool
    detail: str = ""


def check(name: str, plugins: tuple[str, ...] = (), progress: Progress = silent) -> list[Finding]:
    """Try a condenser, or a protocol, on digits with its ``quick`` fields and with teachers of a few epochs.

    Gives one finding per rule; the first that cannot go on is the last. Progress is (rules tried, rules in all).

    Raises:
        UsageError: nobody knows the name.
    """
    protocol = name not in names("condenser", plugins) and name in names("protocol", plugins)
    kind, suite = ("protocol", _ProtocolSuite) if protocol else ("condenser", _MethodSuite)
    spec = parse(kind, {"name": name, **find(kind, name, plugins).quick}, plugins)
    with tempfile.TemporaryDirectory(prefix="decoct-check-") as folder:
        return suite(spec, plugins, Path(folder)).run(progress)


Rules = list[tuple[str, Callable[[], str | None]]]


class _Suite(ABC):
    """Rules that are tried one after the other; a test gives, or raises, what is wrong."""

    last: Callable[[], str | None]  # the test after which, if it fails, nothing else can be tried

    def __init__(self, spec: Any, plugins: tuple[str, ...], folder: Path) -> None:
        self.spec, self.plugins, self.folder = spec, plugins, folder
        self.data: Dataset = load_data("digits")
        self.store, self.again, self.cut = (Store(folder / name) for name in ("store", "again", "cut"))
        for store in (self.store, self.again, self.cut):
            store.root.mkdir()

    @abstractmethod
    def rules(self) -> Rules:
        """What is tried, in this order."""

    def run(self, progress: Progress) -> list[Finding]:
        findings, rules = [], self.rules()
        for done, (rule, test) in enumerate(rules):
            detail = _wrong(test)
            findings.append(Finding(rule, not detail, detail))
            progress(done + 1, len(rules))
            if detail and test == self.last:
                break
        return findings

    def described(self) -> str | None:
        said = "the class has no docstring: say what it does and name the paper"
        return said if type(self.spec).__doc__ in (None, "", Condenser.__doc__, TrainProtocol.__doc__) else None

    def parsed_again(self) -> str | None:
        again = parse(self.spec.kind, self.spec.config(), self.plugins)
        return None if again == self.spec else f"{self.spec.config()} becomes {again.config()}"

    def _planner(self) -> Planner:
        class Quick(dict[str, Teach]):  # every net that is asked for is taught for a few epochs
            def get(self, net: str, default: Any = None) -> Teach:
                return Teach(net=net, epochs=EPOCHS)

        quick = TeachGenerator(epochs=EPOCHS, width=8)
        return Planner(self.data, teachings=Quick(), plugins=self.plugins, generators={quick.generator: quick})

    def _trained(self, protocol: TrainProtocol, method: Condenser, store: Store) -> dict[str, Any]:
        """The result of a student on a set."""
        planner = self._planner()
        made = planner.condense(method.name, method, EVEN, 0)
        student = planner.train((protocol.name, protocol), self._student(protocol), made)
        for job in planner.jobs.values():
            execute(store.root, job)
        result: dict[str, Any] = read_json(store.path("train", student.key) / RESULT)
        return result

    def _student(self, protocol: TrainProtocol) -> str:
        """A small net, with a file of weights where the protocol starts from some."""
        if protocol.start() == "fresh":
            return zoo.student(self.data.size, 32)
        if not (file := self.folder / "weights.safetensors").is_file():
            save_file(dict(zoo.build(WITH_WEIGHTS, 3, 10, 32, seed=0).state_dict()), file)
        return f"{WITH_WEIGHTS}@{file}"


class _ProtocolSuite(_Suite):
    """Asks a protocol all that a run asks, for many training sets, and trains a student as it says."""

    spec: TrainProtocol

    def rules(self) -> Rules:
        self.last = self.answers
        return [
            ("says what it is: docstring", self.described),
            ("its fields make the same protocol again", self.parsed_again),
            ("answers what a run asks it, in the types that TrainProtocol declares", self.answers),
            ("gives a recipe for sets of any size", self.recipes),
            ("a student trains as it says, and the same seed trains the same one", self.trains),
        ]

    def answers(self) -> str | None:
        nets = self.spec.label_teachers(self.data.size)
        if not isinstance(nets, tuple) or not all(isinstance(net, str) for net in nets):
            return f"label_teachers(size) gives {nets!r}: return a tuple of names of nets, () for hard labels"
        for asked, right in ANSWERS.items():
            if not isinstance(answer := getattr(self.spec, asked)(), right):
                expected = " or ".join("None" if each is type(None) else each.__name__ for each in right)
                return f"{asked}() gives {answer!r}: return {expected}, or leave the method out"
        if self.spec.start() not in get_args(Start):
            return f"start() gives {self.spec.start()!r}: return one of {', '.join(get_args(Start))}"
        if self.spec.storing() is not None and not nets:
            return "storing() says how teachers' labels are stored, and label_teachers() names no teacher"
        return None

    def recipes(self) -> str | None:
        for size, images in product((8, 32, 224), (10, 500, 5000)):
            recipe = self.spec.recipe(Task(images, 10, size, flip=True, mosaic=2))
            if not isinstance(recipe, Recipe) or recipe.steps < 1:
                return f"recipe(task) of {images} images gives {recipe!r}: return a Recipe of at least one step"
        return None

    def trains(self) -> str | None:
        first, again = (self._trained(self.spec, Random(), store) for store in (self.store, self.again))
        return None if first == again else f"two students of one seed differ: {first['accuracy']}, {again['accuracy']}"


class _MethodSuite(_Suite):
    """Makes sets with a condenser, under several budgets."""

    spec: Condenser

    def rules(self) -> Rules:
        self.last = self.constructs
        return [
            ("says what it is: docstring, family, stochastic", self.described),
            ("its fields make the same method again", self.parsed_again),
            ("asks only for what can be supplied", self.needs_known),
            ("makes a set", self.constructs),
            ("gives the budget of every class, or in all where classes are pooled", self.balanced),
            ("gives images of the data's shape, or picks of the train split, each once", self.sound),
            ("the same seed gives the same set", self.deterministic),
            ("another seed gives another set" if self.spec.stochastic else "ignores the seed", self.seed_sensitive),
            ("its set survives saving and loading", self.round_trip),
            ("a student trains on it", self.trains),
            ("shards of its classes, where it can be cut, are the set bit for bit", self.sharded),
            ("keeps to budgets that ask classes for different numbers, unless it says even", self.uneven),
        ]

    def described(self) -> str | None:
        known = getattr(type(self.spec), "family", None) in ("coreset", "distillation")
        return super().described() or (None if known else 'set family: ClassVar = "coreset" or "distillation"')

    def needs_known(self) -> None:
        for need in self.spec.at(self.data.size).needs():
            self._planner().supply(need)

    def constructs(self) -> None:
        self.made = self._make(0, self.store)

    def balanced(self) -> str | None:
        return self._kept_to(self.spec, EVEN, self.made)

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
            return "an image was picked twice" if len(np.unique(made.indices)) != len(made) else None
        assert made.images is not None
        if made.images.shape[1:] != self.data.shape:
            return f"images are {made.images.shape[1:]}, the data's are {self.data.shape}"
        return None if np.isfinite(made.images).all() else "an image holds values that are not finite"

    def deterministic(self) -> str | None:
        return None if _same(self.made, self._make(0, self.again)) else "two runs with one seed differ"

    def seed_sensitive(self) -> str | None:
        same = _same(self.made, self._make(1, self.store))
        if self.spec.stochastic:
            return "two seeds give one set: declare stochastic = False" if same else None
        return None if same else "declares stochastic = False, but the seed matters"

    def round_trip(self) -> str | None:
        self.made.save(self.folder / "saved")
        return None if _same(self.made, Condensed.load(self.folder / "saved")) else "what is loaded differs"

    def trains(self) -> str | None:
        accuracy = self._trained(ERM(steps=STEPS), self.spec, self.store)["accuracy"]
        return None if 0 <= accuracy <= 1 else f"accuracy {accuracy}"

    def sharded(self) -> str | None:
        classes, spec = len(self.data.class_names), self.spec.at(self.data.size)
        together = min(spec.together(IPC) or classes, classes)
        if together < classes and not _same(self.made, self._make(0, self.cut, shards=2)):
            return "classes do not come out alike when they are made apart: see together()"
        if (spec.apart(IPC, together) or IPC) < IPC and not _same(
            self.made, self._make(0, self.cut, shards=IPC * classes)
        ):
            return "images of a class do not come out alike when they are made apart: see apart()"
        return None

    def uneven(self) -> str | None:
        if self.spec.even:
            return None
        config, tried = self.spec.config(), [(budget, self.spec) for budget in UNEVEN]
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

    def _make(
        self, seed: int, store: Store, shards: int = 1, budget: Budget = EVEN, method: Condenser | None = None
    ) -> Condensed:
        """The set that a seed gives, whether or not the method says that it uses one."""

        def seeded(job: Job, **inputs: str) -> Job:
            return Job(**job.model_dump() | {"keyed": job.keyed | {"seed": seed}, "inputs": job.inputs | inputs})

        planner = self._planner()
        made = planner.condense(self.spec.name, method or self.spec, budget, 0, shards)
        planned = planner.jobs.pop(made.key)
        cut = {f"shard:{n}": seeded(planner.jobs.pop(key)) for n, key in planned.role("shard").items()}
        job = seeded(planned, **{role: part.key for role, part in cut.items()})
        for each in (*planner.jobs.values(), *cut.values(), job):
            execute(store.root, each)
        return Condensed.load(store.path("condense", job.key))


def _wrong(test: Callable[[], str | None]) -> str:
    """What a test finds wrong, or the error that it raises; empty where the rule holds."""
    try:
        return test() or ""
    except DecoctError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _same(a: Condensed, b: Condensed) -> bool:
    names = ("labels", "indices", "images", "soft_labels", "weights")  # None equals None alone
    facts = (a.mosaic, a.rate) == (b.mosaic, b.rate)
    return facts and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)
