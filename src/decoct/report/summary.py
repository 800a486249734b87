"""The report's numbers in one object: what the terminal prints, ``--json`` gives and the page draws."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting, accuracies, by_setting, keys, replicates
from decoct.report.grouped import grouped
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import CONTROL, FULL, Manifest
from decoct.report.sections import accuracy, breakdown, controls, robust, transfer
from decoct.report.sections.accuracy import Gap
from decoct.report.sections.breakdown import Breakdown, breakdowns
from decoct.report.sections.claims import Claims, claims, coverages
from decoct.report.sections.controls import Controlled, controlled
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
from decoct.report.stats.answers import Answers
from decoct.report.stats.comparisons import Comparison

PAGE = "report.html"


@dataclass(frozen=True)
class Summary(View):
    """What a run found, beside the methods, settings and accuracies of its view.

    Attributes:
        frame: the tables of the run.
        verdicts: one per method and setting.
        controls: methods against their controls, one per method that has one and setting.
        gaps: how far the best set of each setting falls short of the full data after as many steps.
        transfers: whether methods keep their order across students, by protocol and budget; controls are left out.
        scores: label-robust and augmentation-robust.
        standings: readings of the metrics, beside random sets of the same size.
        agreements: what two extractors say of each other.
        worth: whether distilling was worth it.
        claims: the four questions of a study and what the results say to them.
        breakdown: what hard labels, a protocol's labels, and images give to each accuracy.
        untold: what of that cannot be said; one sentence each.
        advice: what to use for the sizes of the study and a few round numbers of bytes and seconds.
        detectable: the smallest differences that the replicates at hand would find; one sentence a setting.
        cautions: where the numbers stand on weak ground; one sentence each.
        planned: students that the study trains.
        planned_cost: what the run was expected to take, beside what it took; None where it was not planned.
        trained: students that have a result.
        failures: what failed, with the messages.
        page: the HTML report.
    """

    frame: Frame
    verdicts: tuple[Verdict, ...]
    controls: tuple[Controlled, ...]
    gaps: tuple[Gap, ...]
    transfers: tuple[Transfer, ...]
    scores: tuple[Score, ...]
    standings: tuple[Standing, ...]
    agreements: tuple[Agreement, ...]
    worth: Worth
    claims: Claims
    breakdown: tuple[Breakdown, ...]
    untold: tuple[str, ...]
    advice: tuple[Recommendation, ...]
    detectable: tuple[str, ...]
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

    def verdict(self, method: str, setting: Setting) -> Verdict:
        """The verdict of a method in a setting."""
        return next(v for v in self.verdicts if (v.method, v.setting) == (method, setting))

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts for ``json.dumps``; what is not defined is None."""
        told = {
            **{name: getattr(self, name) for name in ("planned", "trained", "failures", "detectable", "cautions")},
            **{"name": self.run.name, "data": self.run.data["name"], "margin": self.run.margin or 0.01},
            "report": str(self.page),
            "pooled": self.run.pooled.to_json() if self.run.pooled else None,
            "plan": self.planned_cost.to_json() if self.planned_cost else None,
            "worth": {**asdict(self.worth), "price": self.claims.price, "corrected": correction(self.verdicts)},
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
    """Reduce a run's tables to accuracies with intervals, and verdicts."""
    run, settings = frame.manifest, _settings(frame)
    rows = by_setting(frame.results.to_pylist())
    runs = {key: replicates(group) for key, group in rows.items() if key[0] != FULL}
    in_setting = {s: {method: runs[method, s] for method in run.methods if (method, s) in runs} for s in settings}
    answers = Answers({key: keys(group) for key, group in rows.items()}, frame.correct)
    compared = verdicts(in_setting, run.families, run.margin or 0.01, frame.floor, answers)
    reduced = accuracies(rows, answers, run.deterministic)
    ceilings = [a for a in reduced if a.ceiling]
    scorer = Scorer.of(frame, runs, {a.setting.panel: a.interval.mean for a in ceilings})
    read = standings(frame)
    parts = breakdowns(run, runs, reduced, settings, frame.floor)
    contenders = [label for label, family in run.families.items() if family != CONTROL]
    return Summary(
        methods=run.families,
        deterministic=run.deterministic,
        settings=settings,
        accuracies=reduced,
        frame=frame,
        verdicts=tuple(compared),
        controls=controlled(in_setting, run.controls, run.margin or 0.01, frame.floor),
        gaps=accuracy.gaps(reduced, settings),
        transfers=transfer.transfers(runs, settings, contenders, frame.floor),
        scores=scorer.all(settings, list(run.methods)),
        standings=read,
        agreements=agreements(read),
        worth=worth(compared),
        claims=claims(frame, compared, coverages(frame, read)),
        breakdown=parts,
        untold=tuple(breakdown.missing(run, parts, settings)),
        advice=Adviser.of(frame, reduced).break_points(),
        detectable=resolution(compared),
        cautions=(
            *cautions([(a.setting, a.interval) for a in ceilings]),
            *few_images(compared),
            *generators(frame.costs.to_pylist()),
        ),
        planned=len(run.of_kind("train")),
        trained=frame.results.num_rows,
        failures=tuple(f"{job}: {message}" for job, message in frame.failures),
        page=run.folder / PAGE,
        planned_cost=planned(run),
    )


def _settings(frame: Frame) -> tuple[Setting, ...]:
    """Every planned setting but the ceiling's: protocols and students as planned, budgets by size."""
    labels = [job.labels for job in frame.manifest.of_kind("train") if job.labels["method"] != FULL]
    panels, size = grouped(dict.fromkeys(map(Setting.of, labels)), lambda s: s.panel), frame.manifest.budget_order
    return tuple(s for own in panels.values() for s in sorted(own, key=lambda s: size(s.budget)))


def _accuracy(a: Accuracy) -> dict[str, Any]:
    i, own = a.interval, asdict(a)
    del own["setting"], own["interval"]
    return own | a.setting._asdict() | {"accuracy": i.mean, "by": i.by} | i.to_json()


def _comparison(c: Comparison) -> dict[str, Any]:
    over = c.over_images
    return {
        "verdict": c.verdict,
        "difference": c.mean,
        "ci95": (c.lo, c.hi),
        **{name: getattr(c, name) for name in ("n", "needed", "by", "detectable", "on_these_images")},
        "ci95_over_images": (over.lo, over.hi) if over else None,
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
        "coresets": {name: _comparison(c) for name, c in v.coresets.items()},
        "against_coresets": v.against_coresets,
        "needed": v.needed,
        "text": v.sentences(),
    }
