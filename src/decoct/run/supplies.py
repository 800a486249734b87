"""What methods need becomes jobs; asking twice for the same gives the same job."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from decoct.core.errors import UsageError
from decoct.core.kinds import Condenser
from decoct.core.needs import SUPPLIED, Dynamics, Features, ImageGenerator, LayerStatistics, Need, Teacher, Trajectories
from decoct.core.seeds import seed
from decoct.core.spec import Spec
from decoct.data.dataset import Dataset
from decoct.engine.diffusion.generators import OWN, TeachGenerator
from decoct.engine.extract import Extract, brought
from decoct.engine.matching.experts import Expert
from decoct.engine.teachers import Teach
from decoct.nets import zoo
from decoct.run.jobs import Job, Kind
from decoct.run.work import experts
from decoct.run.work.dynamics import role

T = TypeVar("T")


@dataclass
class Supplies:
    """Makes jobs on one data set; asking twice for the same work gives the same job.

    Attributes:
        data: the data set.
        seed: root of all seeds.
        compute: threads, precision and compile, as they are keyed.
        teachings: teachers that are not trained as usual, by net.
        plugins: files that the jobs must load.
        extractors: those with options; others are taken by the word for them alone.
        generators: those that do not come about as usual, by the word for them.
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
    generators: Mapping[str, TeachGenerator] = field(default_factory=dict)
    held_out: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)
    _found: dict[Hashable, tuple[Any, Any]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.held_out = self.held_out or zoo.judges(self.data.size)[0]
        self.compute, self._folder = dict(self.compute), str(self.data.folder)
        for net in self.teachings:
            if net != "teacher":
                zoo.check_name(net)
        self._known = {extract.title: extract for extract in map(self._resolved, self.extractors)}
        if len(self._known) < len(self.extractors):
            raise UsageError(f"give options of an extractor once: {', '.join(each.name for each in self.extractors)}")

    def teacher(self, net: str) -> Job:
        """Train or load a teacher."""
        return self._once(("teacher", net), None, lambda: self._teacher(self._taught(net)))

    def _teacher(self, spec: Teach) -> Job:
        return self._add("teacher", spec, {"seed": self._seed("teacher", spec.net)}, {}, {"net": spec.net})

    def extract(self, word: str) -> Extract:
        """The extractor that a word means, with its options, and with all that decides what it gives."""
        extract = self._resolved(Extract.of(word))
        return self._known.get(extract.title, extract)

    def features(self, extractor: str) -> Job:
        """Features of train and val from an extractor."""
        return self._once(("features", extractor, self.held_out), None, lambda: self._features(extractor))

    def _features(self, extractor: str) -> Job:
        extract, inputs = self.extract(extractor), dict[str, str]()
        if extract.origin == "teacher":
            inputs = {f"teacher:{extract.net}": self.teacher(extract.net).key}
        elif extract.origin == "rows":
            brought(extract, self.data)  # which says at once what is wrong
        return self._add("features", extract, {}, inputs, {"extractor": extract.title})

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
        if taught.loaded:
            taught = Teach(net=taught.net)
        epochs = epochs or taught.epochs_at(self.data.size)
        spec = taught.model_copy(update={"epochs": epochs, "stop_at": None, "check_every": None})
        keyed = {"seed": self._seed("dynamics", spec.net, run)}
        return self._add("dynamics", spec, keyed, {}, {"net": spec.net, "training": f"{epochs} epochs, run {run}"})

    def trajectory(self, need: Trajectories, run: int) -> Job:
        """Weights of a net after every epoch of a training from a seed of its own."""
        zoo.check_fits(need.net, self.data.size)
        keyed = {"seed": self._seed("trajectory", need.net, run)}
        labels = {"net": need.net, "training": f"{need.epochs} epochs, expert {run}"}
        return self._add("trajectory", Expert.of(need), keyed, {}, labels)

    def generator(self, word: str) -> Job:
        """Train a class-conditional generator on the train split, or take one that is supplied."""
        spec = self._generating(word)
        drawn = {"seed": self._seed("generator")} if spec.generator == OWN else {}
        return self._add("generator", spec, drawn, {}, {"generator": spec.title})

    def _generating(self, word: str) -> TeachGenerator:
        return self.generators.get(word) or TeachGenerator(generator=word).pinned()

    def _taught(self, net: str) -> Teach:
        """How a net is taught, under its own name."""
        default = zoo.resolve("teacher", self.data.size)
        net = zoo.resolve(net, self.data.size)
        zoo.check_fits(net, self.data.size)
        if net == default and "teacher" in self.teachings:
            return self.teachings["teacher"].model_copy(update={"net": net})
        return self.teachings.get(net) or Teach(net=net)

    def judge(self, involved: Collection[str]) -> None:
        """Let a net hold itself out that is none of those that take part in making or labelling sets."""
        loaded = [zoo.resolve(net, self.data.size) for net, spec in self.teachings.items() if spec.loaded]
        self.held_out = zoo.judge(self.data.size, involved, loaded)

    def _resolved(self, extract: Extract) -> Extract:
        word = self.held_out if extract.name == zoo.HELD_OUT else zoo.resolve(extract.name, self.data.size)
        return extract.model_copy(update={"name": word}).pinned()

    def _by_content(self, method: Condenser) -> Condenser:
        """The method with what the user brought called by its content, so that no key holds where a file lies."""
        needs = method.needs()
        words = {need.extractor for need in needs if isinstance(need, Features)}
        titles = {word: found.title for word in words if (found := self.extract(word)).origin != "teacher"}
        brought = {need.generator for need in needs if isinstance(need, ImageGenerator)}
        titles |= {word: self._generating(word).title for word in brought}
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
        if isinstance(need, Trajectories):
            return {experts.role(need, run): self.trajectory(need, run).key for run in range(need.experts)}
        if isinstance(need, ImageGenerator):
            generator = self.generator(need.generator)
            return {f"generator:{generator.labels['generator']}": generator.key}
        known = ", ".join(kind.__name__ for kind in SUPPLIED)
        raise UsageError(f"nobody supplies the need {need!r}: a method may need one of {known}")

    def _once(self, what: Hashable, of: Any, make: Callable[[], T]) -> T:
        """What ``make`` gave the first time: a study asks for the same thing once a set, and there may be 100,000.

        Args:
            what: name of the thing.
            of: object that it hangs on, known by being the same one; kept, so that no other gets its id.
            make: makes it.
        """
        where = (what, id(of))
        if where not in self._found:
            self._found[where] = of, make()
        found: T = self._found[where][1]
        return found

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
        identity = self._once("identity", spec, spec.identity) if spec else None
        job = Job(
            kind=kind,
            keyed={"data": self.data.digest, "spec": identity, "compute": self.compute, **keyed},
            inputs=inputs,
            labels=dict(labels),
            config=config or (self._once("config", spec, spec.config) if spec else {}),
            data=self._folder,
            plugins=self.plugins,
        )
        return self.jobs.setdefault(job.key, job)
