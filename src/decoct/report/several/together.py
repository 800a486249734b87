"""Conclusions over several runs: for each data set, over all, and which data sets do not confirm one another."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from decoct.nets.standard import frozen
from decoct.report.conclusion import Beside, Conclusion, beside_random, conclude, ours, random_sentence
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.read.manifest import Manifest
from decoct.report.sections.beyond.consistent import Consistent, consistencies, sentences
from decoct.report.sections.beyond.coverage import coverages
from decoct.report.standing import standings

WNID = re.compile(r"n\d{8}")  # names of the classes of ImageNet and of its parts


@dataclass(frozen=True)
class Together:
    """Conclusions of several runs.

    Attributes:
        each: of distilled sets beside the best coreset, by data set.
        random: every distilled set beside random, by data set.
        over: over all data sets.
        consistent: coverage over all data sets, budgets and independent extractors, by method.
        ours: the methods that the conclusions cover, in words.
        dependent: data sets that do not confirm one another; a sentence each.
    """

    each: Mapping[str, Conclusion]
    random: Mapping[str, tuple[Beside, ...]]
    over: Conclusion
    consistent: tuple[Consistent, ...]
    ours: str
    dependent: tuple[str, ...]

    def sentences(self) -> list[str]:
        """The data sets one by one, and coverage."""
        lines = []
        for data, own in self.each.items():
            lines += [own.text] if len(self.each) > 1 else []
            lines += [f"On {data}, {said}" for said in (random_sentence(self.random[data]),) if said]
        return [*lines, *sentences(self.consistent)]

    def first(self) -> str:
        """The conclusion over all data sets, and the methods that it covers."""
        return f"{self.over.text}. This holds for {self.ours}" if self.ours else self.over.text

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts; NaN where nothing is defined."""
        return {
            "each": [own.to_json() for own in self.each.values()],
            "beside_random": {data: random_sentence(own) for data, own in self.random.items()},
            "covers_less": [asdict(c) for c in self.consistent],
            "over_all": self.over.to_json(),
            "ours": self.ours,
            "no_independent_confirmation": self.dependent,
        }


def together(runs: Sequence[tuple[str, Judged]], families: Mapping[str, str]) -> Together:
    """Conclude from several runs.

    Args:
        runs: each with what its data set is called.
        families: of all methods.
    """
    verdicts = {data: [v for _, own in mine for v in own.verdicts] for data, mine in grouped(runs, _first).items()}
    covered = [c for _, own in runs for c in coverages(own.frame, standings(own.frame))]
    return Together(
        {data: conclude({data: own}) for data, own in verdicts.items()},
        {data: beside_random(own, data) for data, own in verdicts.items()},
        conclude(verdicts),
        consistencies(covered),
        ours(families),
        tuple(dependent([(data, own.frame.manifest) for data, own in runs])),
    )


def dependent(runs: Sequence[tuple[str, Manifest]]) -> Iterable[str]:
    """One sentence for the parts of ImageNet, and one for each net that sets of several data sets depend on."""
    parts = dict.fromkeys(data for data, run in runs if all(map(WNID.fullmatch, run.data["class_names"])))
    again = "do not confirm one another independently"
    if len(parts) > 1:
        yield f"{_listed(parts)} are parts of ImageNet, like the data of their teachers, so they {again}"
    shared: dict[str, dict[str, None]] = {}
    for (a, first), (b, second) in combinations(runs, 2):
        if a != b and not {a, b} <= set(parts):
            for net in sorted(loaded(first) & loaded(second)):
                shared.setdefault(net, {}).update({a: None, b: None})
    for net, data in shared.items():
        yield f"{_listed(data)} share {net}, which was not trained here, so they {again}"


def loaded(run: Manifest) -> set[str]:
    """Nets that were not trained here and that sets of a run, or their labels, depend on."""
    named = set()
    for kind in ("condense", "train"):
        for need in {need.key: need for job in run.of_kind(kind) for need in run.needs(job).values()}.values():
            if need.kind == "teacher" and run.done(need) and (file := run.load(need, "teacher.json").get("checkpoint")):
                named.add(f"the teacher {need.labels['net']} of {file}")
            if need.kind == "features" and frozen(str(need.labels.get("extractor", ""))):
                named.add(str(need.labels["extractor"]))
    return named


def _first(run: tuple[str, Judged]) -> str:
    return run[0]


def _listed(names: Iterable[str]) -> str:
    *some, last = names
    return f"{', '.join(some)} and {last}" if some else last
