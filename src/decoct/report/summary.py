"""The report's numbers in one object: what the terminal prints, ``--json`` gives and the page draws."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting, accuracies, keys, replicates, same_steps
from decoct.report.grouped import grouped
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import CONTROL, FULL
from decoct.report.sections import accuracy, breakdown, controls, robust, transfer
from decoct.report.sections.accuracy import Gap
from decoct.report.sections.breakdown import Breakdown, breakdowns
from decoct.report.sections.claims import Claims, claims
from decoct.report.sections.controls import Controlled, controlled
from decoct.report.sections.coverage import coverages
from decoct.report.sections.planned import Planned, planned
from decoct.report.sections.recommend import Adviser, Recommendation
from decoct.report.sections.robust import Score, Scorer
from decoct.report.sections.standing import Agreement, Standing, agreements, sentences, standings
from decoct.report.sections.transfer import Transfer
from decoct.report.sections.verdict import (
    Verdict,
    Worth,
    cautions,
    correction,
    few_images,
    generators,
    resolution,
    verdicts,
    worth,
)
from decoct.report.stats import comparisons, intervals
from decoct.report.stats.answers import Answers


@dataclass(frozen=True)
class Summary:
    """What a run found.

    Attributes:
        name: of the study.
        data: name of the data set.
        methods: label to family, in study order.
        deterministic: methods that give one set whatever the seed; their intervals condition on it.
        settings: of the comparisons, in order of protocol, student, budget.
        accuracies: of methods and of the full data.
        verdicts: one per method and setting.
        controls: methods against their controls, one per method that has one and setting.
        gaps: how far the best set of each setting falls short of the full data after as many steps.
        transfers: whether methods keep their order across students, by protocol and budget; controls are left out.
        scores: label-robust and augmentation-robust.
        standings: readings of the metrics, beside random sets of the same size.
        agreements: what two extractors say of each other.
        classes: of the data.
        worth: whether distilling was worth it.
        claims: the four questions of a study and what the results say to them.
        price: what the distilled sets took to make, beside the dearest and the cheapest coreset, in one sentence.
        breakdown: what hard labels, a protocol's labels, and images give to each accuracy.
        untold: what of that cannot be said; one sentence each.
        advice: what to use for the sizes of the study and a few round numbers of bytes and seconds.
        detectable: the smallest differences that the replicates at hand would find; one sentence a setting.
        cautions: where the numbers stand on weak ground; one sentence each.
        margin: of equivalence, a fraction.
        planned: students that the study trains.
        planned_cost: what the run was expected to take, beside what it took; None where it was not planned.
        trained: students that have a result.
        failures: what failed, with the messages.
        page: the HTML report.
    """

    name: str
    data: str
    methods: Mapping[str, str]
    deterministic: frozenset[str]
    settings: tuple[Setting, ...]
    accuracies: tuple[Accuracy, ...]
    verdicts: tuple[Verdict, ...]
    controls: tuple[Controlled, ...]
    gaps: tuple[Gap, ...]
    transfers: tuple[Transfer, ...]
    scores: tuple[Score, ...]
    standings: tuple[Standing, ...]
    agreements: tuple[Agreement, ...]
    classes: int
    worth: Worth
    claims: Claims
    price: tuple[str, ...]
    breakdown: tuple[Breakdown, ...]
    untold: tuple[str, ...]
    advice: tuple[Recommendation, ...]
    detectable: tuple[str, ...]
    cautions: tuple[str, ...]
    margin: float
    planned: int
    trained: int
    failures: tuple[str, ...]
    page: Path
    planned_cost: Planned | None = None

    @property
    def ceiling(self) -> list[Accuracy]:
        """Accuracies of the students trained on the full data for as long as the protocol says."""
        return [a for a in self.accuracies if a.ceiling]

    def same_steps(self, setting: Setting) -> Accuracy | None:
        """The full data's accuracy after as many steps as the setting's sets took, where that is not the ceiling's."""
        found = same_steps(self.accuracies, setting)
        return None if found is None or found.ceiling else found

    def accuracy(self, method: str, setting: Setting) -> Accuracy | None:
        """The accuracy of a method in a setting, if any of its students was trained."""
        return next((a for a in self.accuracies if (a.method, a.setting) == (method, setting)), None)

    def verdict(self, method: str, setting: Setting) -> Verdict:
        """The verdict of a method in a setting."""
        return next(v for v in self.verdicts if (v.method, v.setting) == (method, setting))

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts for ``json.dumps``; what is not defined is None."""
        told = {
            **{name: getattr(self, name) for name in ("name", "data", "planned", "trained", "failures", "margin")},
            "report": str(self.page),
            "detectable": self.detectable,
            "cautions": self.cautions,
            "plan": self.planned_cost.to_json() if self.planned_cost else None,
            "worth": {**asdict(self.worth), "price": self.price, "corrected": correction(self.verdicts)},
            "claims": self.claims.to_json(),
            "breakdown": {
                "overall": breakdown.overall(self.breakdown),
                "protocols": breakdown.sentences(self.breakdown),
                "cannot_be_said": self.untold,
                "parts": breakdown.to_json(self.breakdown),
            },
            "advice": [r.to_json() for r in self.advice],
            "accuracy": [_accuracy(a) for a in self.accuracies],
            "controls": {
                "overall": controls.overall(self.controls),
                "methods": controls.sentences(self.controls),
                "comparisons": [
                    _controlled(c, bool({c.method, c.control} & self.deterministic)) for c in self.controls
                ],
            },
            "same_steps": accuracy.sentences(self.gaps),
            "across_students": [asdict(t) | {"open": t.open, "text": t.sentence()} for t in self.transfers],
            "scores": robust.table(self.scores, self.data, self.deterministic).to_pylist(),
            "metrics": [_standing(s) for s in self.standings if s.lead],
            "beside_random": sentences(self.standings),
            "extractors": [f"{a.sentence()}." for a in self.agreements],
            "verdicts": [_verdict(v, v.method in self.deterministic) for v in self.verdicts],
        }
        return wording.plain(told)


def summarise(frame: Frame, page: Path) -> Summary:
    """Reduce a run's tables to accuracies with intervals, and verdicts."""
    run = frame.manifest
    results = frame.results.to_pylist()
    rows = grouped(results, lambda r: (r["method"], Setting(r["protocol"], r["student"], r["budget"])))
    settings = _settings(frame)
    tests = min((row["test_images"] for row in results), default=0)
    floor = intervals.grid_floor(tests)
    runs = {key: replicates(group) for key, group in rows.items() if key[0] != FULL}
    by_setting = {s: {method: runs[method, s] for method in run.methods if (method, s) in runs} for s in settings}
    families = {label: method["family"] for label, method in run.methods.items()}
    deterministic = frozenset(label for label, method in run.methods.items() if not method["stochastic"])
    answers = Answers({key: keys(group) for key, group in rows.items()}, frame.correct)
    found = verdicts(by_setting, families, run.margin, floor, answers)
    contenders = tuple(label for label, family in families.items() if family != CONTROL)
    reduced = accuracies(rows, answers, deterministic)
    ceilings = [a for a in reduced if a.ceiling]
    scorer = Scorer.of(run, runs, {a.setting[:2]: a.interval.mean for a in ceilings}, tests)
    read = standings(frame)
    asked = claims(frame, found, coverages(frame, read))
    parts = breakdowns(run, runs, reduced, settings, floor)
    return Summary(
        name=run.name,
        data=run.data["name"],
        methods=families,
        deterministic=deterministic,
        settings=settings,
        accuracies=reduced,
        verdicts=tuple(found),
        controls=controlled(by_setting, run.controls, run.margin, floor),
        gaps=accuracy.gaps(reduced, settings),
        transfers=transfer.transfers(runs, settings, contenders, floor),
        scores=scorer.all(settings, tuple(families)),
        standings=read,
        agreements=agreements(read),
        classes=len(run.data["class_names"]),
        worth=worth(found),
        claims=asked,
        price=asked.price,
        breakdown=parts,
        untold=tuple(breakdown.missing(run, parts, settings)),
        advice=Adviser.of(frame, reduced).break_points(),
        detectable=resolution(found),
        cautions=(
            *cautions([(a.setting, a.interval) for a in ceilings]),
            *few_images(found),
            *generators(frame.costs.to_pylist()),
        ),
        margin=run.margin,
        planned=len(run.of_kind("train")),
        trained=frame.results.num_rows,
        failures=tuple(f"{job}: {message}" for job, message in frame.failures),
        page=page,
        planned_cost=planned(run),
    )


def _settings(frame: Frame) -> tuple[Setting, ...]:
    """Every planned setting but the ceiling's: protocols and students as planned, budgets by size."""
    labels = [job.labels for job in frame.manifest.of_kind("train") if job.labels["method"] != FULL]
    planned = dict.fromkeys(Setting(row["protocol"], row["student"], row["budget"]) for row in labels)
    order = [(s.protocol, s.student) for s in planned]
    size = frame.manifest.budget_order
    return tuple(sorted(planned, key=lambda s: (order.index((s.protocol, s.student)), size(s.budget))))


def _accuracy(a: Accuracy) -> dict[str, Any]:
    i, own = a.interval, asdict(a)
    del own["setting"], own["interval"]
    return own | a.setting._asdict() | {"accuracy": i.mean, "ci95": (i.lo, i.hi), "n": i.n, "by": i.by}


def _standing(s: Standing) -> dict[str, Any]:
    return {
        "method": s.method,
        "budget": s.budget,
        **s.name._asdict(),
        "higher_is_better": s.higher_is_better,
        "value": s.interval.mean,
        "ci95": [s.interval.lo, s.interval.hi],
        "ci_over": s.over or None,
        "n": s.interval.n,
        "random": asdict(s.random) if s.random else None,
        "z": s.z,
        "word": s.word or None,
    }


def _comparison(c: comparisons.Comparison) -> dict[str, Any]:
    over = c.over_images
    return {
        "verdict": c.verdict,
        "difference": c.mean,
        "ci95": (c.lo, c.hi),
        **{name: getattr(c, name) for name in ("n", "needed", "by", "detectable", "on_these_images")},
        "ci95_over_images": (over.lo, over.hi) if over else None,
    }


def _controlled(c: Controlled, deterministic: bool) -> dict[str, Any]:
    return {
        "method": c.method,
        "control": c.control,
        **c.setting._asdict(),
        "conditional_on_set": deterministic,
        **_comparison(c.comparison),
        "text": wording.comparison(c.method, c.control, c.comparison),
    }


def _verdict(v: Verdict, deterministic: bool) -> dict[str, Any]:
    return {
        "method": v.method,
        "family": v.family,
        **v.setting._asdict(),
        "conditional_on_set": deterministic,
        "random": _comparison(v.random) if v.random else None,
        "components": asdict(v.components) if v.components else None,
        "coresets": {name: _comparison(c) for name, c in v.coresets.items()},
        "against_coresets": v.against_coresets,
        "needed": v.needed,
        "text": v.sentences(),
    }
