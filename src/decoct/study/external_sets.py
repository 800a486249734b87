"""External sets: read, and put into a cell under the digest of their content."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.data.dataset import Dataset
from decoct.data.external.read import load_set
from decoct.needs.features import check_given
from decoct.needs.teacher import training_set
from decoct.study.expand import ExternalSet
from decoct.study.graph import Made
from decoct.study.store.store import Store
from decoct.study.study import External, Study
from decoct.study.work.external import budget_of, check_fit, labels_job, put_labels, put_set, set_job
from decoct.training.softlabels import StoredLabels

__all__ = ["Entry", "check_fit", "check_own", "load_set", "put_external", "put_external_labels", "read_external"]


@dataclass(frozen=True, eq=False)
class Entry:
    """A set of an ``[[external]]`` of a study, read.

    Attributes:
        planned: what the planner needs of it.
        condensed: the set.
        labels: that came along, or None.
    """

    planned: ExternalSet
    condensed: Condensed
    labels: StoredLabels | None

    def put(self, data: Dataset, store: Store) -> None:
        """Put the set and its labels into a store, unless they are there."""
        put_set(self.planned.job, self.condensed, data, store)
        if self.planned.labels is not None and self.labels is not None:
            put_labels(self.planned.labels, self.labels, store)


def put_external(condensed: Condensed, data: Dataset, store: Store) -> Made:
    """Store a set, unless it is there, and say where.

    Raises:
        DecoctError: the set has other classes or another image shape than the data, or picks from other data.
    """
    who = condensed.provenance
    job = set_job(condensed, data, {"method": who.method, "budget": who.budget, "condense_replicate": 0})
    put_set(job, condensed, data, store)
    return Made(job.key, job.labels)


def put_external_labels(labels: StoredLabels, store: Store) -> str:
    """Store labels, unless they are there, and say under which key."""
    job = labels_job(labels)
    put_labels(job, labels, store)
    return job.key


def read_external(study: Study, data: Dataset) -> list[Entry]:
    """Read the external sets of a study, and check each of them against its budget.

    Raises:
        UsageError: a set of a budget that the study does not have, or several sets of an entry that differ in
            budget or are the same.
        DecoctError: a set that cannot be read or does not fit the data or its own budget, or labels that are damaged
            or of another set.
    """
    return [entry for external in study.external for entry in _entries(external, study, data)]


def _entries(external: External, study: Study, data: Dataset) -> list[Entry]:
    """All sets of an entry, which are of one budget, and no two the same."""
    entries = [_entry(external, number, study, data) for number in range(len(external.sets))]
    first = entries[0].planned.job.labels["budget"]
    paths: dict[str, str] = {}
    for entry, (path, _) in zip(entries, external.sets, strict=True):
        job = entry.planned.job
        if job.labels["budget"] != first:
            raise UsageError(
                f"external '{external.label}': {path} has the budget {job.labels['budget']}, and "
                f"{external.sets[0][0]} has {first}\n"
                "list sets of one budget in paths, and give those of another an entry with a label of its own"
            )
        if job.key in paths:
            raise UsageError(
                f"external '{external.label}': {path} holds the same set as {paths[job.key]}: it is no second "
                "replicate, so name each once"
            )
        paths[job.key] = path
    return entries


def _entry(external: External, number: int, study: Study, data: Dataset) -> Entry:
    path, folder = external.sets[number]
    replicate = None if external.paths is None else number
    whose = f"external '{external.label}'" + ("" if replicate is None else f", {path}")
    said: dict[str, str | int] = {"method": external.label}
    try:
        condensed = load_set(path, data, external.format)
        said["budget"] = _budget(external, condensed, study, data)
        job = set_job(condensed, data, {**said, "condense_replicate": number})
        labels = StoredLabels.load(Path(folder)) if folder else None
        if labels:
            labels.check_set(training_set(data, condensed.materialise(data.train.images)), data.class_names)
        given = external.given(number)
        check_own(given, condensed, study.metrics.extractors)
    except UsageError as error:
        raise UsageError(f"{whose}: {error}") from None
    except DecoctError as error:
        raise DecoctError(f"{whose}: {error}") from error
    said |= {} if replicate is None else {"condense_replicate": number}
    stored = labels_job(labels, said) if labels else None
    return Entry(ExternalSet(external.label, job, stored, replicate, given), condensed, labels)


def check_own(given: Mapping[str, str], condensed: Condensed, extractors: Collection[str]) -> None:
    """Raise an error unless features that came with a set are of its images, and of extractors that are asked for."""
    if given and condensed.indices is not None:
        raise UsageError("the set consists of train images, whose features are rows of the extractor's file: give none")
    check_given(given, len(condensed), "the set", extractors)


def _budget(external: External, condensed: Condensed, study: Study, data: Dataset) -> str:
    """The budget of the study that the set keeps to."""
    own = budget_of(condensed)
    if external.budget is not None:
        asked = external.budget.per_class(data.counts(), data.class_names)
        if sum(asked) != len(condensed) or (external.budget.ipc and own != external.budget):
            raise DecoctError(f"its budget is given as {external.budget}, and the set has {_held(condensed)}")
        own = external.budget
    if own not in study.budgets:
        there = ", ".join(map(str, study.budgets))
        raise UsageError(
            f"the set has {_held(condensed)}, and the study's budgets are {there}\n"
            "add its budget to 'budgets', so that there is something of its size to compare it with"
        )
    return str(own)


def _held(condensed: Condensed) -> str:
    counts = np.bincount(condensed.labels, minlength=len(condensed.class_names))
    few, many = counts.min(), counts.max()
    each = f"{few}" if few == many else f"{few} to {many}"
    return f"{len(condensed)} images, {each} per class"
