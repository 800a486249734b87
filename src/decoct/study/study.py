"""A study: what is compared, read from TOML. Where it runs is not part of it and enters no key."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from decoct.core.bounds import SEED, THREADS, TIMES, Bounded
from decoct.core.budget import Budget
from decoct.core.errors import UsageError
from decoct.core.interfaces import Condenser, Metric, TrainProtocol
from decoct.core.machine import STRAINED, blame
from decoct.core.names import Name, check_name
from decoct.core.notation import from_toml
from decoct.core.spec import build, parse, shown, suggest
from decoct.data.dataset import parse_source
from decoct.data.external.stored import SetFormat
from decoct.data.reading.snapshot import HUB as FROM_HUB
from decoct.needs import features
from decoct.needs.features import Extract, Features
from decoct.needs.generator import HUB, OWN, TeachGenerator
from decoct.needs.teacher import Teach
from decoct.nets import student, zoo

NAMES = (
    *("prdc", "covering_radius", "mmd", "frechet", "kid", "sliced_wasserstein", "fld", "modes"),
    *("vendi", "distances", "label_spread", "realism", "memorisation", "cost"),
)
STUDENTS = 1_000_000  # of a study: some ten minutes to plan
WIDTH = 32  # of the default student: six times as fast on a CPU as the literature's 128, and as good on small sets
WORDS = {  # of a table beside its label: what a study does with it, no field of it
    "condenser": ("control", "sets", "shards"),
    "protocol": ("native", "methods"),
}


class Part(Bounded):
    """Base of a study's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Replicates(Part):
    """The number of sets of each method, of students of each set, and of teachers.

    Attributes:
        condense: sets of each method.
        train: students of each set.
        teacher: 1, or as many as ``condense``: set r is then made from teachers r (and from all else that is trained
            for it, such as traces, trajectories or a generator), and they label it for its students.
    """

    condense: int = Field(5, ge=1, le=TIMES)
    train: int = Field(1, ge=1, le=TIMES)
    teacher: int = Field(1, ge=1, le=TIMES)

    @model_validator(mode="after")
    def _own_or_one(self) -> "Replicates":
        if self.teacher not in (1, self.condense):
            said = "teacher is 1, one for all sets, or equals condense = {condense}, one for each set; not {teacher}"
            raise PydanticCustomError("replicates", said, {"condense": self.condense, "teacher": self.teacher})
        return self


class Metrics(Part):
    """What is measured of each set, and in whose features.

    Attributes:
        extractors: words of ``decoct.needs.features.Extract``; ``"held_out"`` is a net that takes no part in making the
            sets, trained on the same data.
        names: of metrics, or tables.
        draws: random sets of each budget to compare with; 0 for none.
        resamples: for intervals over the images of a set, unless its method draws several; 0 for none.
    """

    extractors: tuple[str, ...] = Field(("teacher", zoo.HELD_OUT), min_length=1)
    names: tuple[str | dict[str, Any], ...] = NAMES
    draws: int = Field(20, ge=0, le=TIMES)
    resamples: int = Field(20, ge=0, le=TIMES)


class StatedCost(Part):
    """The cost of a set as its author states it; it was not measured here.

    Attributes:
        seconds: of its construction.
        source: where it is stated, such as "Table 5".
    """

    seconds: float = Field(gt=0, allow_inf_nan=False)
    source: str = Field(min_length=1, max_length=200)


class External(Part):
    """A method's set that decoct did not make, or its sets, listed with those that it makes.

    Attributes:
        label: its name.
        path: a file, a folder, or ``hub:OWNER/NAME``; see ``decoct.data.external.read.load_set``.
        paths: instead, two or more: the method's sets from several seeds. Each is one condense replicate, in this
            order from 0, however many replicates the study makes of other methods.
        family: the family it is compared as.
        format: what the file does not say.
        budget: that the set must have; None to read it from the set.
        cost: of one set, as its author states it; None where unknown.
        labels: folder of stored labels that came with it, as ``decoct relabel`` writes them; with ``paths``, a list
            with one for each.
        features: .npy files with features [n, d] of its images, in their order, by the word FILE.npy of the extractor
            that they are of; with ``paths``, lists with one for each.
    """

    label: Name
    path: str | None = Field(None, min_length=1)
    paths: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    family: Literal["distillation", "coreset"] = "distillation"
    format: SetFormat = SetFormat()
    budget: Budget | None = None
    cost: StatedCost | None = None
    labels: str | tuple[str, ...] | None = None
    features: dict[str, str | tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _one_or_several(self) -> "External":
        several, labels = self.paths is not None, self.labels
        listed = isinstance(labels, tuple)
        wanted = len(self.paths) if self.paths else None  # of each list of features, where they are lists
        for wrong, said in (
            (several == (self.path is not None), "say path for one set, or paths for the sets of several seeds"),
            (several and len(self.paths or ()) < 2, "paths lists the sets of two or more seeds: for one set, say path"),
            (listed and not several, "labels of one set are one folder, not a list"),
            (several and isinstance(labels, str), "labels go with paths as a list, one for each"),
            (listed and len(labels or ()) != len(self.paths or ()), "list as many labels as paths"),
            (
                any((len(files) if isinstance(files, tuple) else None) != wanted for files in self.features.values()),
                "features of one set are one file for each extractor; with paths, a list of as many files",
            ),
        ):
            if wrong:
                raise PydanticCustomError("external", "{said}", {"said": said})
        return self

    def given(self, number: int) -> dict[str, str]:
        """The files with features of one of its sets, by extractor."""
        return {word: files if isinstance(files, str) else files[number] for word, files in self.features.items()}

    @property
    def sets(self) -> tuple[tuple[str, str | None], ...]:
        """Where each set is, and its labels, if any came along."""
        paths = self.paths if self.paths is not None else (str(self.path),)
        labels = self.labels if isinstance(self.labels, tuple) else (self.labels,) * len(paths)
        return tuple(zip(paths, labels, strict=True))


class Study(Part):
    """Methods × budgets × protocols × students × replicates on one data set.

    Attributes:
        name: of the study, and of the folder of its runs; see ``decoct.core.names`` for what a name or a label may be.
        seed: every random draw derives from it and from names.
        threads: that each job computes with on a CPU; keyed, because it changes sums.
        precision: of training: "float32" or "bfloat16" (autocast).
        compile: run nets that are trained, that label, and that images are recovered from, through torch.compile.
        margin: differences smaller than this fraction do not matter; None for the smaller of 1 point and 5 % of
            ``random``'s accuracy in a setting.
        data: name of a source, or ``{name = …, field = value}``.
        students: nets that are trained, by words of ``decoct.nets.student``; None for the ConvNet of 32 filters
            that fits the images, ResNet-18 above 128 px.
        budgets: such as ``{ipc = 10}``.
        replicates: condense × train, and teachers; the condense level is the unit of inference.
        condensers: names or tables; ``label`` distinguishes two entries of one method, ``sets`` is how many are made of
            it, if not ``condense``, ``shards`` cuts a construction into that many jobs, ``control`` is the label of
            the entry that shows what its work adds, such as the same method with ``iterations = 0``.
        protocols: names or tables; ``native = true`` marks one as a paper's own, outside the comparisons that are
            corrected together, and ``methods`` are then the labels of the sets that it trains on, None for all.
        teachers: tables for nets that are not trained as usual, such as ``{net = …, checkpoint = …}``.
        extractors: tables for those that are not taken as usual, such as ``{name = "timm:…", dtype = "float16"}``; see
            ``decoct.needs.features.Extract`` for the words.
        generators: tables for those that are not trained as usual, such as ``{generator = "own", epochs = 20}``; see
            ``decoct.needs.generator.TeachGenerator``.
        external: sets that decoct did not make, such as those that an author published (docs/external.md).
        metrics: names and extractors.
        ceiling: also train on the whole train split, once per protocol and student.
        same_steps: the same for exactly as many steps as the sets of each budget get, with a student for each
            replicate: repeated random sampling without replacement (RS2: Okanovic et al., 2023, arXiv:2305.18424).
        plugins: Python files that define further methods.

    Example:
        >>> table = {"name": "small", "condensers": ["random", "herding"], "protocols": ["erm"]}
        >>> list(decoct.Study.from_dict(table).methods())
        ['random', 'herding']
    """

    name: Name
    seed: int = Field(0, ge=-SEED, le=SEED)
    threads: int = Field(1, ge=1, le=THREADS)
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    margin: float | None = Field(None, gt=0, lt=1)
    data: str | dict[str, Any] = "digits"
    students: tuple[str, ...] | None = Field(None, min_length=1)
    budgets: tuple[Budget, ...] = Field((Budget(ipc=1), Budget(ipc=10)), min_length=1)
    replicates: Replicates = Replicates()
    condensers: tuple[str | dict[str, Any], ...] = Field(min_length=1)
    protocols: tuple[str | dict[str, Any], ...] = Field(min_length=1)
    teachers: tuple[dict[str, Any], ...] = ()
    extractors: tuple[Extract, ...] = ()
    generators: tuple[dict[str, Any], ...] = ()
    external: tuple[External, ...] = ()
    metrics: Metrics = Metrics()
    ceiling: bool = True
    same_steps: bool = False
    plugins: tuple[str, ...] = ()

    @classmethod
    def from_toml(cls, path: Path | str) -> "Study":
        """Read a study; relative paths of plug-ins, data, checkpoints and extractors start at its folder.

        Raises:
            UsageError: no such file, not TOML, or an unknown key (with the nearest one).
        """
        path = Path(path)
        try:
            table = from_toml(path.read_text("utf-8"))
        except OSError as error:
            blame(error, STRAINED)
            raise UsageError(f"cannot read the study {path}: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{path} is not TOML: {error}") from error
        return cls.from_dict(table, path.parent, str(path))

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], folder: Path = Path(), where: str = "study") -> "Study":
        """A study from plain values, with every name in it checked."""
        try:
            table = anchored(dict(table), folder)
        except (RuntimeError, ValueError) as error:  # the home of nobody, a NUL
            raise UsageError(f"{where}: a path cannot be meant: {error}") from None
        study = build(cls, table, where)
        try:
            study.check()
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None
        return study

    @classmethod
    def default(cls) -> "Study":
        """Digits, six methods, three protocols, IPC 1 and 10, five replicates: the study that needs no file.

        Its recipe of 500 steps comes from no paper: it is made for a laptop.
        """
        return cls.from_toml(Path(__file__).with_name("digits.toml"))

    def check(self) -> None:
        """Raise a UsageError at the first name, field or checkpoint that nobody knows; the data is not read."""
        parse_source(self.data, self.plugins)
        self.measures()
        self.bounded()
        self.shards()
        self.sets()
        self.controls()
        self.outsiders()
        self.natives()
        self.generatings()
        nets = {*self.teachings()} | {
            net for protocol in self.recipes().values() for net in protocol.label_teachers(224)
        }
        needs = [need for method in self.methods().values() for need in _at_some_size(method).needs()]
        for need in (*needs, *(Features(extractor=word) for word in self.metrics.extractors)):
            need.check()
        for net in sorted(nets - {"teacher"}):
            zoo.check_name(net)
        for word in self.students or ():
            student.Student.of(word).check()
        for extract in self.extractors:
            if extract.name != zoo.HELD_OUT:
                extract.check()

    def bounded(self) -> None:
        """Raise a UsageError of more students than anybody trains: to plan them alone would take hours."""
        sets = sum(self.sets().values()) * self.replicates.train
        settings = len(self.budgets) * len(self.protocols) * len(self.students or (None,))
        if sets * settings > STUDENTS:
            raise UsageError(
                f"this asks for {sets * settings:,} students, {sets:,} in each of {settings:,} settings, more than "
                f"{STUDENTS:,}: take fewer replicates, or divide the study"
            )

    def methods(self) -> dict[str, Condenser]:
        """Condensers by label, in the order of the study."""
        return labelled("condenser", self.condensers, self.plugins)

    def shards(self) -> dict[str, int]:
        """In how many jobs a construction is cut, by label, where it is."""
        return self._numbers("shards")

    def sets(self) -> dict[str, int]:
        """How many sets each method makes, or trains students on if it makes the same one again, by label."""
        own, several = self._numbers("sets"), self.replicates.condense
        for label, sets in own.items():
            if self.replicates.teacher > 1 and sets != several:
                raise UsageError(
                    f"condensers: '{label}' makes {sets} sets, and there are teachers for {several}, one for each: "
                    "leave out sets"
                )
        return dict.fromkeys(self.methods(), several) | own

    def _numbers(self, word: str) -> dict[str, int]:
        """What entries say by a word that stands for a whole number, by label."""
        numbers = _said(self.condensers, word)
        for label, number in numbers.items():
            if type(number) is not int or not 1 <= number <= TIMES:
                raise UsageError(
                    f"condensers: {word} of '{label}' must be a whole number from 1 to {TIMES:,}, not {shown(number)}"
                )
        return numbers

    def controls(self) -> dict[str, str]:
        """The label of each method's control, by label, where it has one."""
        controls, known = _said(self.condensers, "control"), self.methods()
        for label, control in controls.items():
            if not isinstance(control, str):
                raise UsageError(f"condensers: control of '{label}' must be the label of an entry, not {control!r}")
            if control not in known:
                raise UsageError(
                    f"condensers: unknown label '{control}' as control of '{label}'.{suggest(control, known)}"
                )
            if control == label:
                raise UsageError(f"condensers: '{label}' cannot be its own control: name another entry")
        return controls

    def outsiders(self) -> dict[str, External]:
        """The external sets by label; a label that is taken raises."""
        entries: dict[str, External] = {}
        taken = {"full", *self.methods()}
        for entry in self.external:
            if entry.label in taken or entry.label in entries:
                raise UsageError(f"external: the label '{entry.label}' is taken: give the set another one")
            entries[entry.label] = entry
        return entries

    def recipes(self) -> dict[str, TrainProtocol]:
        """Protocols by label."""
        return labelled("protocol", self.protocols, self.plugins)

    def natives(self) -> dict[str, tuple[str, ...] | None]:
        """The protocols that are a paper's own, by label: labels of the sets that each trains on, None for all."""
        native, methods = _said(self.protocols, "native"), _said(self.protocols, "methods")
        known = {*self.methods(), *self.outsiders()} if methods else set()
        for label, said in native.items():
            if type(said) is not bool:
                raise UsageError(f"protocols: native of '{label}' is true or false, not {said!r}")
        for label, own in methods.items():
            if native.get(label) is not True:
                raise UsageError(f"protocols: methods of '{label}' go with a paper's own protocol: add native = true")
            if not isinstance(own, list | tuple) or not own or not all(isinstance(method, str) for method in own):
                raise UsageError(f"protocols: methods of '{label}' must be labels of condensers, not {own!r}")
            for method in own:
                if method not in known:
                    raise UsageError(
                        f"protocols: unknown label '{method}' in methods of '{label}'.{suggest(method, known)}"
                    )
        return {label: tuple(methods[label]) if label in methods else None for label, said in native.items() if said}

    def measures(self) -> dict[str, Metric]:
        """Metrics by label; one of another label than its name has it before the names of its values."""
        return labelled("metric", self.metrics.names, self.plugins)

    def teachings(self) -> dict[str, Teach]:
        """Specs of the teachers that are not trained as usual, by net."""
        specs = [build(Teach, fields, "teachers").pinned() for fields in self.teachers]
        return {spec.net: spec for spec in specs}

    def generatings(self) -> dict[str, TeachGenerator]:
        """Specs of the generators that are not trained as usual, by the word for them."""
        specs = [build(TeachGenerator, fields, "generators") for fields in self.generators]
        return {spec.generator: spec.pinned() for spec in specs}

    def students_at(self, size: int) -> tuple[str, ...]:
        """The nets that are trained at a resolution."""
        return self.students or (zoo.student(size, WIDTH),)


def labelled(kind: str, entries: Sequence[str | Mapping[str, Any]], plugins: tuple[str, ...] = ()) -> dict[str, Any]:
    """Specs by label, from names or tables; a UsageError of unknown names or fields, a label twice, or equal ones."""
    specs: dict[str, Any] = {}
    for entry in entries:
        fields = {"name": entry} if isinstance(entry, str) else dict(entry)
        label = str(fields.pop("label", fields.get("name")))
        fields = {key: value for key, value in fields.items() if key not in WORDS.get(kind, ())}
        if label in specs:
            raise UsageError(f"two {kind}s are called '{label}': give one of them a label = \"…\"")
        if label == "full":
            raise UsageError(f"a {kind} cannot be called '{label}'")
        try:
            check_name(label)
        except ValueError as error:
            raise UsageError(f"a {kind} cannot be called {label!r}: {error}") from None
        spec = parse(kind, fields, plugins)
        if same := [other for other, known in specs.items() if known == spec]:
            raise UsageError(f"the {kind}s '{same[0]}' and '{label}' are the same: leave one out")
        specs[label] = spec
    return specs


def _said(entries: Sequence[str | Mapping[str, Any]], word: str) -> dict[str, Any]:
    """A word of tables, by label, where it is said."""
    tables = [entry for entry in entries if not isinstance(entry, str) and word in entry]
    return {str(table.get("label", table.get("name"))): table[word] for table in tables}


def _at_some_size(method: Condenser) -> Condenser:
    """The method at the largest resolution up to 64 px that it takes; the data's is unknown. A UsageError if none."""
    refused: UsageError | None = None
    for size in range(64, 0, -1):
        try:
            return method.at(size)
        except UsageError as error:
            refused = refused or error
    raise refused or UsageError(f"{method.name} takes no resolution")


def anchored(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A study's table with the paths in it made absolute: plug-ins, data, checkpoints, extractors, generators, sets.

    Args:
        table: as TOML has it; a value of a wrong type stays as it is, and whoever reads it says so.
        folder: of the study's file.
    """

    def absolute(path: Any) -> Any:
        return str((folder / Path(path).expanduser()).resolve()) if isinstance(path, str) else path

    def at(entry: Any, key: str) -> Any:
        return entry | {key: absolute(entry[key])} if isinstance(entry, dict) and entry.get(key) else entry

    def extractor(word: Any) -> Any:
        return features.anchored(word, folder) if isinstance(word, str) else word

    def generator(entry: Any) -> Any:
        word = entry.get("generator") if isinstance(entry, dict) else None
        return at(entry, "generator") if isinstance(word, str) and word != OWN and not word.startswith(HUB) else entry

    def external(entry: Any) -> Any:
        def here(word: Any) -> Any:
            if isinstance(word, list):
                return [here(each) for each in word]
            return absolute(word) if word and not str(word).startswith(FROM_HUB) else word

        if not isinstance(entry, dict):
            return entry
        if isinstance(given := entry.get("features"), dict):
            entry = entry | {"features": {extractor(word): here(files) for word, files in given.items()}}
        return entry | {k: here(entry[k]) for k in ("path", "paths", "labels") if k in entry}

    def located(name: str, path: Any) -> Any:  # of data; what is on the hub has a name there and no place here
        on_hub = path.startswith(FROM_HUB) or (name == "hub" and not (folder / Path(path).expanduser()).exists())
        return path if on_hub else absolute(path)

    def source(word: Any) -> Any:
        name, colon, path = word.partition(":") if isinstance(word, str) else (word, "", "")
        return f"{name}:{located(name, path)}" if colon else word

    def each(kind: str, change: Callable[[Any], Any]) -> None:
        if isinstance(entries := table.get(kind), list):
            table[kind] = [change(entry) for entry in entries]

    each("plugins", absolute)
    each("students", lambda word: student.anchored(word, folder) if isinstance(word, str) else word)
    each("teachers", lambda teacher: at(teacher, "checkpoint"))
    for kind in ("extractors", "condensers"):  # whatever a method calls the field
        each(kind, lambda entry: {k: extractor(v) for k, v in entry.items()} if isinstance(entry, dict) else entry)
    for kind in ("generators", "condensers"):
        each(kind, generator)
    each("external", external)
    if isinstance(metrics := table.get("metrics"), dict) and isinstance(words := metrics.get("extractors"), list):
        table["metrics"] = metrics | {"extractors": [extractor(word) for word in words]}
    if isinstance(data := table.get("data"), dict):
        path = {"path": located(str(data.get("name")), data["path"])} if isinstance(data.get("path"), str) else {}
        table["data"] = data | path | ({"name": source(data["name"])} if "name" in data else {})
    elif data is not None:
        table["data"] = source(data)
    return table
