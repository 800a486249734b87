"""A study and its data become jobs; every need becomes a job that runs first, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Condenser, Dynamics, Features, LayerStatistics, Metric, Need, Teacher, TrainProtocol
from decoct.core.seeds import seed
from decoct.core.spec import Spec
from decoct.data.dataset import Dataset
from decoct.engine.extract import Extract, brought
from decoct.engine.teachers import Teach
from decoct.nets import zoo
from decoct.run.dynamics import role
from decoct.run.jobs import Job, Kind


class Made(NamedTuple):
    """A set that is in the store or will be: the key of its cell, and its coordinates."""

    key: str
    labels: Mapping[str, str | int]


@dataclass
class Planner:
    """Makes jobs on one data set; asking twice for the same work gives the same job.

    Attributes:
        data: the data set.
        seed: root of all seeds.
        compute: threads, precision and compile, as they are keyed.
        teachings: teachers that are not trained as usual, by net.
        plugins: files that the jobs must load.
        extractors: those with options; others are taken by the word for them alone.
        held_out: the teacher that judges sets and takes no part in making them, ``"held_out"`` is a word for it; empty
            for the resolution's first candidate.
        jobs: all jobs so far by key, inputs before what needs them.
    """

    data: Dataset
    seed: int = 0
    compute: Mapping[str, Any] = field(default_factory=lambda: {"threads": 1, "precision": "float32", "compile": False})
    teachings: Mapping[str, Teach] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    extractors: Sequence[Extract] = ()
    held_out: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.held_out = self.held_out or zoo.judges(self.data.size)[0]
        for net in self.teachings:
            if net != "teacher":
                zoo.check_name(net)
        self._known = {extract.title: extract for extract in map(self._resolved, self.extractors)}
        if len(self._known) < len(self.extractors):
            raise UsageError(f"give options of an extractor once: {', '.join(each.name for each in self.extractors)}")

    def teacher(self, net: str) -> Job:
        """Train or load a teacher."""
        spec = self._taught(net)
        return self._add("teacher", spec, {"seed": self._seed("teacher", spec.net)}, {}, {"net": spec.net})

    def extract(self, word: str) -> Extract:
        """The extractor that a word means, with its options, and with all that decides what it gives."""
        extract = self._resolved(Extract.of(word))
        return self._known.get(extract.title, extract)

    def features(self, extractor: str) -> Job:
        """Features of train and val from an extractor."""
        extract, inputs = self.extract(extractor), {}
        if extract.origin == "teacher":
            inputs = {f"teacher:{extract.net}": self.teacher(extract.net).key}
        elif extract.origin == "rows":
            brought(extract, self.data)  # which says at once what is wrong
        usual = extract == Extract(name=extract.net)  # such keys are older than the options
        return self._add("features", None if usual else extract, {}, inputs, {"extractor": extract.title})

    def statistics(self, net: str) -> Job:
        """Moments of what goes into a teacher's layers, over the train split and by class."""
        teacher = self.teacher(net)
        net = str(teacher.labels["net"])
        return self._add("statistics", None, {}, {f"teacher:{net}": teacher.key}, {"net": net})

    def dynamics(self, net: str, epochs: int | None = None, run: int = 0) -> Job:
        """Traces of a training of a net, as its teacher's but that no accuracy ends it; a net that is loaded is trained
        as usual.

        Args:
            net: that is trained.
            epochs: None for as many as the teacher gets.
            run: number of the training; each has a seed of its own.
        """
        taught = self._taught(net)
        if taught.pretrained or taught.checkpoint:
            taught = Teach(net=taught.net)
        epochs = epochs or taught.epochs_at(self.data.size)
        spec = taught.model_copy(update={"epochs": epochs, "stop_at": None, "check_every": None})
        keyed = {"seed": self._seed("dynamics", spec.net, run)}
        return self._add("dynamics", spec, keyed, {}, {"net": spec.net, "training": f"{epochs} epochs, run {run}"})

    def condense(self, label: str, method: Condenser, budget: Budget, replicate: int, shards: int = 1) -> Made:
        """Make a set; a deterministic method has one, at replicate 0.

        Args:
            label: of the method in the study.
            method: spec; what hangs on the resolution is filled in before it is keyed.
            budget: how many images.
            replicate: of the set.
            shards: jobs that make some classes each, and are put together; the result and its key are the same.

        Raises:
            UsageError: the method makes as many images of each class, and the budget gives others.
            DecoctError: a class is smaller than the budget.
        """
        counts, names = self.data.counts(), self.data.class_names
        ipc = budget.of_each(label, counts, names) if method.even else max(budget.per_class(counts, names))
        method = method.at(self.data.size)
        inputs: dict[str, str] = {}
        for need in method.needs():
            inputs |= self._need(need)
        method = self._by_content(method)
        drawn = self._seed("condense", method.name, replicate) if method.stochastic else None
        labels: dict[str, str | int] = {"method": label, "budget": str(budget)}
        labels["condense_replicate"] = replicate if method.stochastic else 0
        keyed = {"seed": drawn, "budget": budget.model_dump()}
        needs = dict(inputs)
        for number, classes in enumerate(shares(method, len(names), ipc, shards)):
            part = self._add("shard", method, {**keyed, "classes": classes}, needs, {**labels, "shard": number})
            inputs = {**inputs, f"shard:{number}": part.key}
        return Made(self._add("condense", method, keyed, inputs, labels).key, labels)

    def relabel(self, protocol: tuple[str, TrainProtocol], condensed: Made, condense: int = 0) -> Job:
        """Label a set once, as the protocol's ``labels`` say, for all students that will learn from it."""
        label, spec = protocol
        inputs = {"condensed": condensed.key, **self._label_teachers(spec)}
        keyed = {"seed": self._seed("labels", condense)}
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
            student: name of a net.
            condensed: the set; None for the whole train split.
            condense: replicate of the set.
            train: replicate of the student.
            labels: key of a cell with stored labels; None for what the protocol says.
            as_long_as: for the whole train split, as many steps as a set of this budget gets; None for its own epochs.
        """
        zoo.check_name(student)
        label, spec = protocol
        inputs = {"condensed": condensed.key} if condensed else {}
        if condensed and (labels or (getattr(spec, "labels", None) and spec.label_teachers(self.data.size))):
            inputs["labels"] = labels or self.relabel(protocol, condensed, condense).key
        else:
            inputs |= self._label_teachers(spec)
        who = condensed.labels if condensed else {"method": "full", "budget": str(as_long_as or "all")}
        numbers = {"condense_replicate": condense, "train_replicate": train}
        keyed = {"seed": self._seed("student", student, condense, train), "student": student}
        if as_long_as:
            keyed["as_long_as"] = as_long_as.model_dump()
        return self._add("train", spec, keyed, inputs, {**who, "protocol": label, "student": student, **numbers})

    def measure(
        self, condensed: Made, metrics: Mapping[str, Metric], extractors: Sequence[str], resamples: int = 0
    ) -> Job:
        """Measure one set on the features of every extractor; what it cost is in no cell.

        Args:
            condensed: the set.
            metrics: specs by label.
            extractors: words.
            resamples: for intervals over images; 0 for none.
        """
        keyed, inputs, config = self._eyes(metrics, extractors)
        keyed |= {"resamples": resamples}
        return self._add("measure", None, keyed, {"condensed": condensed.key, **inputs}, condensed.labels, config)

    def reference(
        self, budget: str, counts: Sequence[int], metrics: Mapping[str, Metric], extractors: Sequence[str], draws: int
    ) -> Job:
        """Measure random subsets of the train split, to set other sets of that size beside.

        Args:
            budget: what the sets are called.
            counts: images of each class.
            metrics: specs by label.
            extractors: words.
            draws: how many random sets.

        Raises:
            DecoctError: a class has fewer images.
        """
        for name, asked, there in zip(self.data.class_names, counts, self.data.counts(), strict=True):
            if asked > there:
                raise DecoctError(f"class '{name}' has {there} training images: no random set has {asked} of them")
        keyed, inputs, config = self._eyes(metrics, extractors)
        keyed |= {"counts": list(counts), "draws": draws, "seed": self._seed("reference")}
        return self._add("reference", None, keyed, inputs, {"budget": budget}, config)

    def _eyes(
        self, metrics: Mapping[str, Metric], extractors: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, str], Any]:
        """What sets are looked at with: keyed, inputs and config of a job."""
        inputs = {f"held_out:{self.held_out}": self.teacher(self.held_out).key}
        for extractor in extractors:
            features = self.features(extractor)
            inputs |= {f"features:{features.labels['extractor']}": features.key} | features.inputs
        looking = {label: metric for label, metric in metrics.items() if metric.needs != "cost"}
        keyed = {"metrics": {label: metric.identity() for label, metric in looking.items()}}
        return keyed, inputs, {"metrics": {label: metric.config() for label, metric in looking.items()}}

    def _label_teachers(self, spec: TrainProtocol) -> dict[str, str]:
        teachers = [self.teacher(net) for net in spec.label_teachers(self.data.size)]
        return {f"teacher:{teacher.labels['net']}": teacher.key for teacher in teachers}

    def _taught(self, net: str) -> Teach:
        """How a net is taught, under its own name."""
        default = zoo.resolve("teacher", self.data.size)
        net = default if net == "teacher" else net
        zoo.check_name(net)
        if net == default and "teacher" in self.teachings:
            return self.teachings["teacher"].model_copy(update={"net": net})
        return self.teachings.get(net) or Teach(net=net)

    def _resolved(self, extract: Extract) -> Extract:
        word = self.held_out if extract.name == zoo.HELD_OUT else zoo.resolve(extract.name, self.data.size)
        return extract.model_copy(update={"name": word}).pinned()

    def _by_content(self, method: Condenser) -> Condenser:
        """The method with extractors called by what is in their files, so that no key holds where a file lies."""
        words = {need.extractor for need in method.needs() if isinstance(need, Features)}
        titles = {word: found.title for word in words if (found := self.extract(word)).origin != "teacher"}
        fields = {name: titles[value] for name, value in method if isinstance(value, str) and value in titles}
        return method.model_copy(update=fields)

    def _need(self, need: Need) -> dict[str, str]:
        if isinstance(need, Teacher):
            teacher = self.teacher(need.net)
            return {f"teacher:{teacher.labels['net']}": teacher.key}
        if isinstance(need, Features):
            features = self.features(need.extractor)
            return {f"features:{features.labels['extractor']}": features.key}
        if isinstance(need, LayerStatistics):
            statistics = self.statistics(need.net)
            return {f"statistics:{statistics.labels['net']}": statistics.key}
        if isinstance(need, Dynamics):
            runs = [self.dynamics(need.net, need.epochs, run) for run in range(need.runs)]
            return {role(need, str(job.labels["net"]), run): job.key for run, job in enumerate(runs)}
        raise UsageError(
            f"nobody supplies the need {need!r}: a method may need a Teacher, Features, LayerStatistics or Dynamics"
        )

    def _seed(self, *names: str | int) -> int:
        return seed(self.seed, self.data.digest, *names)

    def _add(
        self,
        kind: Kind,
        spec: Spec | Extract | None,
        keyed: Mapping[str, Any],
        inputs: dict[str, str],
        labels: Mapping[str, str | int],
        config: dict[str, Any] | None = None,
    ) -> Job:
        job = Job(
            kind=kind,
            keyed={
                "data": self.data.digest,
                "spec": spec.identity() if spec else None,
                "compute": dict(self.compute),
                **keyed,
            },
            inputs=inputs,
            labels=dict(labels),
            config=config or (spec.config() if spec else {}),
            data=str(self.data.folder),
            plugins=self.plugins,
        )
        return self.jobs.setdefault(job.key, job)


def shares(method: Condenser, classes: int, ipc: int, shards: int) -> list[list[int]]:
    """The classes of each shard: whole groups of those made together, as evenly as they go; none for one shard.

    Raises:
        UsageError: the method makes all classes together.
    """
    if shards == 1:
        return []
    together = method.together(ipc)
    if together is None:
        raise UsageError(f"{method.name} makes all classes together and cannot be sharded: leave out shards")
    groups = [list(range(at, min(at + together, classes))) for at in range(0, classes, together)]
    cuts = [len(groups) * i // min(shards, len(groups)) for i in range(min(shards, len(groups)) + 1)]
    found = [[c for group in groups[a:b] for c in group] for a, b in pairwise(cuts)]
    return found if len(found) > 1 else []
