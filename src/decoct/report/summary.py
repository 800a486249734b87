"""The report's numbers in one object: what the terminal prints, ``--json`` gives and the page draws."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.advice.recommend import Adviser, Recommendation
from decoct.report.brief import Brief, brief
from decoct.report.judged import judge
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import CONTROL, Manifest
from decoct.report.sections import accuracy, breakdown, controls, failures, readable, robust, transfer
from decoct.report.sections.accuracy import Gap
from decoct.report.sections.breakdown import Breakdown, breakdowns
from decoct.report.sections.claims import Claims, claims
from decoct.report.sections.controls import Controlled, controlled
from decoct.report.sections.coverage import coverages
from decoct.report.sections.failures import Failed
from decoct.report.sections.planned import Planned, planned
from decoct.report.sections.readable import Unreadable
from decoct.report.sections.robust import Score, Scorer
from decoct.report.sections.standing import Agreement, Standing, agreements, sentences, standings
from decoct.report.sections.transfer import Transfer
from decoct.report.sections.verdict import (
    Verdict,
    correction,
    generators,
)
from decoct.report.stats.comparisons import Comparison

PAGE = "report.html"


@dataclass(frozen=True)
class Summary(View):
    """What a run found, beside the methods, settings and accuracies of its view.

    Attributes:
        frame: the tables of the run.
        verdicts: one per method and setting.
        unreadable: settings in which nothing can be read.
        failed: students that failed beside siblings that learnt, and holes that failures left.
        controls: methods against their controls, one per method that has one and setting.
        gaps: how far the best set of each setting falls short of the full data after as many steps.
        transfers: whether methods keep their order across students, by protocol and budget; controls are left out.
        scores: label-robust and augmentation-robust.
        standings: readings of the metrics, beside random sets of the same size.
        agreements: what two extractors say of each other.
        claims: the four questions of a study and what the results say to them.
        breakdown: what hard labels, a protocol's labels, and images give to each accuracy.
        untold: what of that cannot be said; one sentence each.
        advice: what to use for the sizes of the study and a few round numbers of bytes and seconds.
        margins: below which differences do not matter, by setting.
        cautions: where the numbers stand on weak ground; one sentence each.
        planned: students that the study trains.
        planned_cost: what the run was expected to take, beside what it took; None where it was not planned.
        trained: students that have a result.
        failures: what failed, with the messages.
        page: the HTML report.
    """

    frame: Frame
    verdicts: tuple[Verdict, ...]
    unreadable: tuple[Unreadable, ...]
    failed: Failed
    controls: tuple[Controlled, ...]
    gaps: tuple[Gap, ...]
    transfers: tuple[Transfer, ...]
    scores: tuple[Score, ...]
    standings: tuple[Standing, ...]
    agreements: tuple[Agreement, ...]
    claims: Claims
    breakdown: tuple[Breakdown, ...]
    untold: tuple[str, ...]
    advice: tuple[Recommendation, ...]
    margins: Mapping[Setting, float]
    cautions: tuple[str, ...]
    planned: int
    trained: int
    failures: tuple[str, ...]
    page: Path
    planned_cost: Planned | None

    @property
    def run(self) -> Manifest:
        """The manifest of the run."""
        return self.frame.manifest

    @cached_property
    def brief(self) -> Brief:
        """The run in short."""
        return brief(self)

    def verdict(self, method: str, setting: Setting) -> Verdict:
        """The verdict of a method in a setting."""
        return next(v for v in self.verdicts if (v.method, v.setting) == (method, setting))

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts for ``json.dumps``; what is not defined is None."""
        told = {
            **{name: getattr(self, name) for name in ("planned", "trained", "failures", "cautions")},
            **{
                "name": self.run.name,
                "data": self.run.data["name"],
                "margins": [s._asdict() | {"margin": m} for s, m in self.margins.items()],
            },
            "report": str(self.page),
            "pooled": self.run.pooled.to_json() if self.run.pooled else None,
            "plan": self.planned_cost.to_json() if self.planned_cost else None,
            "worth": {**asdict(self.brief), "corrected": correction(self.verdicts)},
            "claims": self.claims.to_json(),
            "breakdown": {
                "overall": breakdown.overall(self.breakdown),
                "protocols": breakdown.sentences(self.breakdown),
                "cannot_be_said": self.untold,
                "parts": breakdown.to_json(self.breakdown),
            },
            "not_readable": readable.to_json(self.unreadable),
            "failed": self.failed.sentences(),
            "advice": [r.to_json() for r in self.advice],
            "accuracy": [_accuracy(a) for a in self.accuracies],
            "controls": {
                "overall": controls.overall(self.controls),
                "methods": controls.sentences(self.controls),
                "comparisons": [_controlled(c, self.deterministic) for c in self.controls],
            },
            "same_steps": accuracy.sentences(self.gaps),
            "across_students": [asdict(t) | {"open": t.open, "text": t.sentence()} for t in self.transfers],
            "scores": robust.table(self.scores, self.run).to_pylist(),
            "metrics": [s.to_json() for s in self.standings if s.lead],
            "beside_random": sentences(self.standings),
            "extractors": [f"{a.sentence()}." for a in self.agreements],
            "verdicts": [_verdict(v, self.deterministic) for v in self.verdicts],
        }
        return wording.plain(told)


def summarise(frame: Frame) -> Summary:
    """Reduce a run's tables to what its report says."""
    own, run = judge(frame), frame.manifest
    runs, answers, settings, reduced = own.runs, own.answers, own.settings, own.accuracies
    ceilings = [a for a in reduced if a.ceiling]
    scorer = Scorer.of(frame, runs, {a.setting.panel: a.interval.mean for a in ceilings}, answers)
    read = standings(frame)
    parts = breakdowns(run, runs, reduced, settings, frame.floor, answers)
    contenders = [label for label, family in run.families.items() if family != CONTROL]
    return Summary(
        methods=run.families,
        deterministic=run.deterministic,
        settings=settings,
        accuracies=reduced,
        given=" given these teachers" if run.given_teachers else "",
        frame=frame,
        verdicts=own.verdicts,
        unreadable=own.unreadable,
        failed=failures.found(own),
        controls=controlled(own, run.controls),
        gaps=accuracy.gaps(reduced, settings),
        transfers=transfer.transfers(runs, settings, contenders, frame.floor, answers),
        scores=scorer.all(settings, list(run.methods)),
        standings=read,
        agreements=agreements(read),
        claims=claims(own, coverages(frame, read)),
        breakdown=parts,
        untold=tuple(breakdown.missing(run, parts, settings)),
        advice=Adviser.of(own).break_points(),
        margins=own.margins,
        cautions=generators(frame.costs.to_pylist()),
        planned=len(run.of_kind("train")),
        trained=frame.results.num_rows,
        failures=tuple(f"{job}: {message}" for job, message in frame.failures),
        page=run.folder / PAGE,
        planned_cost=planned(run),
    )


def _accuracy(a: Accuracy) -> dict[str, Any]:
    i, own = a.interval, asdict(a)
    del own["setting"], own["interval"]
    return own | a.setting._asdict() | {"accuracy": i.mean, "by": i.by} | i.to_json()


def _comparison(c: Comparison) -> dict[str, Any]:
    sets, images = c.over_sets, c.over_images
    return {
        "verdict": c.verdict,
        "difference": c.mean,
        "ci95": (c.lo, c.hi),
        "by": c.interval.by,
        **{name: getattr(c, name) for name in ("n", "family", "margin", "needed", "detectable")},
        "ci95_over_sets": (sets.lo, sets.hi),
        "ci95_over_images": (images.lo, images.hi) if images else None,
    }


def _controlled(c: Controlled, deterministic: frozenset[str]) -> dict[str, Any]:
    return {
        "method": c.method,
        "control": c.control,
        **c.setting._asdict(),
        "conditional_on_set": bool({c.method, c.control} & deterministic),
        **_comparison(c.comparison),
        "text": wording.comparison(c.method, c.control, c.comparison),
    }


def _verdict(v: Verdict, deterministic: frozenset[str]) -> dict[str, Any]:
    return {
        "method": v.method,
        "family": v.family,
        **v.setting._asdict(),
        "conditional_on_set": v.method in deterministic,
        "random": _comparison(v.random) if v.random else None,
        "components": asdict(v.components) if v.components else None,
        "ahead_of_random": {"share": v.ahead.mean, **v.ahead.to_json()} if v.ahead else None,
        "coresets": {name: _comparison(c) for name, c in v.coresets.items()},
        "against_coresets": v.against_coresets,
        "needed": v.needed,
        "text": v.sentences(),
    }
