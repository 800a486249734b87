"""A study's sets, students and measures become jobs, after those of their needs; equal work is one job."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Condenser, Metric, Need, TrainProtocol
from decoct.core.needs import Plan
from decoct.core.spec import Spec, find, names
from decoct.data.source import hash_once
from decoct.needs import features
from decoct.needs.features import Extract, Features
from decoct.needs.teacher import Teacher
from decoct.nets import started, zoo
from decoct.nets.student import Student
from decoct.study.jobs import OWN, ExternalJob, Job

T = TypeVar("T")


class Made(NamedTuple):
    """A set that is in the store or will be.

    Attributes:
        key: of its cell.
        labels: its coordinates.
        drawn: that its method draws, so that each replicate has a set of its own.
    """

    key: str
    labels: Mapping[str, str | int]
    drawn: bool = False


@dataclass
class Planner(Plan):
    """Makes jobs on one data set; asking twice for the same work gives the same job.

    Where no net is said to be ``held_out``, it is the resolution's first candidate.

    Attributes:
        vary: set r is made from needs that are drawn for r, and its students are labelled by the teachers of r. Else
            all sets are made from the same needs, those of replicate 0; these are what metrics and the full data have
            in any case.
        jobs: all jobs so far by key, inputs before what needs them.
    """

    vary: bool = False
    jobs: dict[str, Job] = field(default_factory=dict)
    _found: dict[Hashable, tuple[Any, Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.held_out = self.held_out or zoo.judges(self.data.size)[0]
        self.compute, self._folder = dict(self.compute), str(self.data.folder)
        for net in self.teachings:
            if net != "teacher":
                zoo.check_name(net)
        features.check_options(self)

    def supply(self, need: Need, drawn: int = 0) -> dict[str, Job]:
        """The jobs that make what is needed, by the roles that their cells have where they are read.

        Args:
            need: what is needed.
            drawn: the replicate that it is drawn for.

        Raises:
            UsageError: nobody knows such a need, or it asks for what is not there.
        """
        return self._once(("need", need, self.held_out, drawn), None, lambda: self._supplied(need, drawn))

    def _supplied(self, need: Need, drawn: int) -> dict[str, Job]:
        plugins = self.plugins if need.source else ()  # one of decoct's own is found without them
        known = names("need", plugins)
        if need.name not in known or find("need", need.name, plugins) is not type(need) or need.name in OWN:
            raise UsageError(f"there is no need {need!r}: a method may need one of {', '.join(sorted(known))}")
        jobs = {}
        for part, other in zip(need.parts(self._plan(drawn)), need.parts(self._plan(drawn + 1)), strict=True):
            read, anew = self._roles(part.reads, drawn), part.keyed != other.keyed
            other_one = drawn and (anew or read != self._roles(part.reads))
            labels = {**part.labels, "teacher_replicate": drawn} if other_one else part.labels
            job = self._add(need.name, part.spec, part.keyed, read, labels, drawn=anew)
            jobs[f"{need.name}:{part.name}"] = job
        return jobs

    def _plan(self, drawn: int) -> Plan:
        """The same for the needs of a replicate."""
        return Plan(**{each.name: getattr(self, each.name) for each in fields(Plan)} | {"drawn": drawn})

    def _drawn(self, replicate: int) -> int:
        """The replicate of the needs that a replicate of a set is made from, and of the teachers that label it."""
        return replicate if self.vary else 0

    def _roles(self, needs: Iterable[Need], drawn: int = 0) -> dict[str, str]:
        """Keys of what is needed by role."""
        return {role: job.key for need in needs for role, job in self.supply(need, drawn).items()}

    def job(self, need: Need) -> Job:
        """The one job of a need that has one."""
        (job,) = self.supply(need).values()
        return job

    def judge(self, involved: Collection[str]) -> None:
        """Plan the held-out net, one that takes no part in making or labelling sets."""
        loaded = [zoo.resolve(net, self.data.size) for net, spec in self.teachings.items() if spec.loaded]
        self.held_out = zoo.judge(self.data.size, involved, loaded)

    def _once(self, what: Hashable, of: Any, make: Callable[[], T]) -> T:
        """What ``make`` gave the first time: a study asks for the same thing once a set, and there may be 100,000.

        The object that it depends on is known by being the same one; it is kept, so that no other gets its id.
        """
        where = (what, id(of))
        if where not in self._found:
            self._found[where] = of, make()
        once: T = self._found[where][1]
        return once

    def _add(
        self,
        kind: str,
        spec: Spec | Extract | None,
        keyed: Mapping[str, Any],
        inputs: dict[str, str],
        labels: Mapping[str, str | int],
        config: dict[str, Any] | None = None,
        drawn: bool = False,
        student: str = "",
    ) -> Job:
        identity = self._once("identity", spec, spec.identity) if spec else None
        job = Job(
            kind=kind,
            keyed={"data": self.data.digest, "spec": identity, "compute": self.compute, **keyed},
            inputs=inputs,
            labels=dict(labels),
            config=config or (self._once("config", spec, spec.config) if spec else {}),
            data=self._folder,
            plugins=self.plugins,
            student=student,
            drawn=drawn,
        )
        return self.jobs.setdefault(job.key, job)

    def condense(self, label: str, method: Condenser, budget: Budget, replicate: int, shards: int = 1) -> Made:
        """Make a set; a method that draws nothing has one, at replicate 0, unless what it needs is drawn anew.

        What depends on the resolution is filled into the method before it is keyed. Shards are jobs that make some
        classes each, or some images of each class, and are put together; the result and its key are the same.

        Raises:
            UsageError: the method makes as many images of each class, and the budget gives others.
            DecoctError: a class is smaller than the budget.
        """

        def largest() -> int:  # images of that class
            counts, names = self.data.counts(), self.data.class_names
            return budget.of_each(label, counts, names) if method.even else max(budget.per_class(counts, names))

        ipc = self._once(("ipc", label, budget), method, largest)
        made, asked = self._once("method", method, lambda: self._resolve(method))
        one, needs = self._needed(method, asked, 0), self._needed(method, asked, self._drawn(replicate))
        number = replicate if made.stochastic or needs != one else 0
        drawn = self.derive("condense", made.name, replicate) if made.stochastic else None
        labels: dict[str, str | int] = {"method": label, "budget": str(budget), "condense_replicate": number}
        keyed = {"seed": drawn, "budget": self._once("said", budget, budget.model_dump)}
        inputs = dict(needs)
        for number, share in enumerate(shares(made, len(self.data.class_names), ipc, shards)):
            part = self._add("shard", made, {**keyed, **share}, needs, {**labels, "shard": number})
            inputs[f"shard:{number}"] = part.key
        return Made(self._add("condense", made, keyed, inputs, labels).key, labels, made.stochastic)

    def _resolve(self, method: Condenser) -> tuple[Condenser, tuple[Need, ...]]:
        """The method as it is keyed at this resolution, files by content; and what it needs."""
        method = method.at(self.data.size)
        needs = method.needs()
        titles = {word: title for need in needs for word, title in need.titles(self).items()}
        named = {name: titles[value] for name, value in method if isinstance(value, str) and value in titles}
        return method.model_copy(update=named), needs  # no key holds where a file of the user's lies

    def _needed(self, method: Condenser, needs: Iterable[Need], drawn: int) -> dict[str, str]:
        """Keys of what a method needs by role, as drawn for a replicate."""
        return self._once(("needed", drawn), method, lambda: self._roles(needs, drawn))

    def external(self, job: ExternalJob) -> Made:
        """An external set, or labels of one; it is in the store before any other job runs."""
        return Made(self.jobs.setdefault(job.key, job).key, job.labels)

    def relabel(self, protocol: tuple[str, TrainProtocol], condensed: Made, condense: int = 0) -> Job:
        """Label a set once, as the protocol says, for all students that will learn from it."""
        label, spec = protocol
        inputs = {"condensed": condensed.key, **self._label_teachers(spec, self._drawn(condense))}
        keyed = {"seed": self.derive("labels", condense)}
        return self._add("labels", spec, keyed, inputs, {**condensed.labels, "protocol": label})

    def train(
        self,
        protocol: tuple[str, TrainProtocol],
        student: str,
        condensed: Made | None,
        condense: int = 0,
        train: int = 0,
        *,
        labels: str | None = None,
        as_long_as: Budget | None = None,
    ) -> Job:
        """Train and evaluate one student on a set, or on the whole train split if there is no set.

        Args:
            protocol: label and spec.
            student: a word of ``decoct.nets.student``.
            condensed: the set, if there is one.
            condense, train: replicates of the set and of the student.
            labels: key of a cell with stored labels; None for what the protocol says.
            as_long_as: for the whole train split, as many steps as a set of this budget gets; None for its own epochs.
        """
        label, spec = protocol
        net, said = self._once(("student", student), spec, lambda: self._student(student, spec))
        inputs = {"condensed": condensed.key} if condensed else {}
        if condensed and (labels or (spec.storing() and spec.label_teachers(self.data.size))):
            inputs["labels"] = labels or self.relabel(protocol, condensed, condense).key
        else:
            inputs |= self._label_teachers(spec, self._drawn(condense))
        who = condensed.labels if condensed else {"method": "full", "budget": str(as_long_as or "all")}
        numbers = {"condense_replicate": condense, "train_replicate": train}
        keyed = {"seed": self.derive("student", net.name, condense, train), "student": net.title, **said}
        if as_long_as:
            keyed["as_long_as"] = as_long_as.model_dump()
        where = {**who, "protocol": label, "student": net.title, **numbers}
        return self._add("train", spec, keyed, inputs, where, student=net.address)

    def _student(self, word: str, spec: TrainProtocol) -> tuple[Student, dict[str, str]]:
        """What a word means, if it fits the images, and what decides it beside its title."""
        net, channels, classes = Student.of(word), self.data.shape[0], len(self.data.class_names)
        net.check_fits(channels, classes, self.data.size)
        if spec.start() == "fresh":
            if net.where is not None and not net.own:
                raise UsageError(f"{spec.name} trains {net.name} from fresh weights: leave @FILE out, or take finetune")
            return net, net.identity()
        if self.data.whitening is not None:
            raise UsageError(f"{spec.name}: pretrained nets do not know the whitened images of {self.data.name}")
        return net, net.identity() | started.identity(net, channels, classes, self.data.size)

    def measure(
        self,
        condensed: Made,
        metrics: Mapping[str, Metric],
        extractors: Sequence[str],
        resamples: int = 0,
        given: Mapping[str, str] = MappingProxyType({}),
    ) -> Job:
        """Measure one set on the features of every extractor; what it cost is in no cell.

        Args:
            condensed: the set.
            metrics: specs by label.
            extractors: words.
            resamples: for intervals over images; 0 for none.
            given: files with features of the set, by the words of the extractors that they are of.
        """
        keyed, inputs, config = self._eyes(metrics, extractors)
        keyed, inputs = {**keyed, "resamples": resamples}, {"condensed": condensed.key, **inputs}
        if given:
            own = {features.planned(self, word).title: Path(file).expanduser() for word, file in given.items()}
            keyed["given"] = {title: hash_once(file)[:32] for title, file in own.items()}
            config = {**config, "given": {title: str(file.resolve()) for title, file in own.items()}}
        return self._add("measure", None, keyed, inputs, condensed.labels, config)

    def reference(
        self, budget: str, counts: Sequence[int], metrics: Mapping[str, Metric], extractors: Sequence[str], draws: int
    ) -> Job:
        """Measure so many random subsets of the train split, with these images of each class, to compare sets with.

        Raises:
            DecoctError: a class has fewer images.
        """
        for name, asked, there in zip(self.data.class_names, counts, self.data.counts(), strict=True):
            if asked > there:
                raise DecoctError(f"class '{name}' has {there} training images: no random set has {asked} of them")
        keyed, inputs, config = self._eyes(metrics, extractors)
        keyed = {**keyed, "counts": list(counts), "draws": draws, "seed": self.derive("reference")}
        return self._add("reference", None, keyed, inputs, {"budget": budget}, config)

    def _eyes(
        self, metrics: Mapping[str, Metric], extractors: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, str], Any]:
        """What sets are looked at with: keyed, inputs and config of a job."""
        what = ("eyes", tuple(extractors), self.held_out)
        return self._once(what, metrics, lambda: self._looking(metrics, extractors))

    def _looking(
        self, metrics: Mapping[str, Metric], extractors: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, str], Any]:
        inputs = {f"held_out:{self.held_out}": self.job(Teacher(net=self.held_out)).key}
        planned = [features.planned(self, extractor) for extractor in extractors]
        for extractor in extractors:
            for role, job in self.supply(Features(extractor=extractor)).items():
                inputs |= {role: job.key} | job.inputs
        looking = {label: metric for label, metric in metrics.items() if metric.needs != "cost"}
        keyed = {"metrics": {label: metric.identity() for label, metric in looking.items()}}
        config = {
            "metrics": {label: metric.config() for label, metric in looking.items()},
            "precision": {extract.title: extract.precision for extract in planned},  # keyed with the features
        }
        return keyed, inputs, config

    def _label_teachers(self, spec: TrainProtocol, drawn: int) -> dict[str, str]:
        def roles() -> dict[str, str]:
            return self._roles((Teacher(net=net) for net in spec.label_teachers(self.data.size)), drawn)

        return self._once(("label teachers", drawn), spec, roles)


def shares(method: Condenser, classes: int, ipc: int, shards: int) -> list[dict[str, list[int]]]:
    """What each shard makes, as it is keyed; nothing for one shard.

    Whole groups of ``classes`` made together, as evenly as they go. Where there are more shards than groups, of each
    group the ``numbers`` of images [first, after the last] as well, if the method makes those apart.

    Raises:
        UsageError: the method makes all classes together, and all of their images.
    """
    if shards == 1:
        return []
    size = method.together(ipc)
    few = method.apart(ipc, min(size or classes, classes)) or ipc
    if size is None and few >= ipc:
        raise UsageError(f"{method.name} makes all classes together and cannot be sharded: leave out shards")
    groups = [list(range(at, min(at + (size or classes), classes))) for at in range(0, classes, size or classes)]
    if shards <= len(groups) or few >= ipc:
        spans = _even(len(groups), min(shards, len(groups)))
        made = [{"classes": [c for group in groups[a:b] for c in group]} for a, b in spans]
        return made if len(made) > 1 else []
    units, made = -(-ipc // few), []
    for group, (a, b) in zip(groups, _even(shards, len(groups)), strict=True):
        for first, last in _even(units, min(b - a, units)):
            made.append({"classes": group, "numbers": [first * few, min(last * few, ipc)]})
    return made


def _even(things: int, parts: int) -> list[tuple[int, int]]:
    """Where each of some parts begins and ends, as even as they go."""
    return list(pairwise(things * i // parts for i in range(parts + 1)))
