"""A study as jobs: every set, its measures and its students, and what they need."""

from collections.abc import Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import NamedTuple

from decoct.core.budget import Budget
from decoct.data.dataset import Dataset
from decoct.needs.teacher import Teacher
from decoct.study.graph import Made, Planner
from decoct.study.jobs import ExternalJob, Job
from decoct.study.study import Study


class ExternalSet(NamedTuple):
    """An external set of a study, as it is planned with.

    Attributes:
        label: of the entry.
        job: of the set, which is done once it is put into the store.
        labels: that came along, likewise; or None.
        replicate: of its making, where it is one of several; None of a single set, which stands in all replicates, as
            that of a deterministic method.
        given: files with features of it, by extractor.
    """

    label: str
    job: ExternalJob
    labels: ExternalJob | None
    replicate: int | None = None
    given: Mapping[str, str] = MappingProxyType({})


def expand(study: Study, data: Dataset, external: Sequence[ExternalSet] = ()) -> list[Job]:
    """All jobs of a study, inputs before what needs them; external sets of budgets that it lacks are left out."""
    compute = {"threads": study.threads, "precision": study.precision, "compile": study.compile}
    teachers, generators = study.teachings(), study.generatings()
    vary = study.replicates.teacher > 1
    planner = Planner(data, study.seed, compute, teachers, study.plugins, study.extractors, generators, vary=vary)
    planner.judge(_involved(study, planner))
    metrics, look = study.measures(), study.metrics
    methods, protocols = study.methods(), study.recipes()  # parsed once, not once a set
    sets, shards = study.sets(), study.shards()
    students, natives = study.students_at(data.size), study.natives()
    looking = any(metric.needs != "cost" for metric in metrics.values())
    replicates, trainings = range(study.replicates.condense), range(study.replicates.train)

    def use(
        made: Made,
        of: Sequence[int],
        several: bool,
        stored: str | None = None,
        given: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Measure a set, alone or one of several, and train students on it, for these replicates of its making."""
        if looking:
            several = made.drawn and several  # their spread says how far a reading depends on chance
            planner.measure(made, metrics, look.extractors, 0 if several else look.resamples, given)
        method = made.labels["method"]
        trained = [each for each in protocols.items() if method in (natives.get(each[0]) or (method,))]
        for protocol, student, replicate, again in product(trained, students, of, trainings):
            own = stored if stored and protocol[1].label_teachers(data.size) else None
            planner.train(protocol, student, made, replicate, again, labels=own)

    for budget in study.budgets:
        if looking and look.draws:
            counts = budget.per_class(data.counts(), data.class_names)
            planner.reference(str(budget), counts, metrics, look.extractors, look.draws)
        for label, method in methods.items():
            for replicate in range(sets[label]):
                made = planner.condense(label, method, budget, replicate, shards.get(label, 1))
                use(made, [replicate], sets[label] > 1)
        for given in external:
            if given.job.labels["budget"] == str(budget):
                stored = planner.external(given.labels).key if given.labels else None
                of = replicates if given.replicate is None else [given.replicate]
                made = planner.external(given.job)._replace(drawn=given.replicate is not None)
                use(made, of, len(replicates) > 1, stored, given.given)
    for protocol, student in product(protocols.items(), students):
        if study.ceiling:
            planner.train(protocol, student, None)
        # Where the protocol says the steps, the full data's own training is as long as any set's.
        lengths: Sequence[Budget | None] = (None,) if protocol[1].fixed_steps() else study.budgets
        for length, replicate in product(lengths, replicates) if study.same_steps else ():
            planner.train(protocol, student, None, replicate, as_long_as=length)
    return list(planner.jobs.values())


def _involved(study: Study, planner: Planner) -> set[str]:
    """Nets that take part in making sets or in labelling them, among other words."""
    size = planner.data.size
    needs = [need for method in study.methods().values() for need in method.at(size).needs()]
    needs += [Teacher(net=net) for protocol in study.recipes().values() for net in protocol.label_teachers(size)]
    return {str(word) for need in needs for part in need.parts(planner) for word in part.labels.values()}
