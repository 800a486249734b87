"""The report's numbers in one object: what the terminal prints, ``--json`` gives and the page draws."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from decoct.report import readable, standing, wording
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.advice.recommend import Adviser, Recommendation
from decoct.report.brief import Brief, brief
from decoct.report.claims import Claims, claims
from decoct.report.doors import every
from decoct.report.judged import Judged, judge
from decoct.report.page.view import View
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import Manifest
from decoct.report.readable import Unreadable
from decoct.report.sections.beyond.coverage import coverages
from decoct.report.sections.evidence import failures
from decoct.report.sections.evidence.failures import Failed
from decoct.report.verdict import Verdict, correction, generators

PAGE = "report.html"
T = TypeVar("T")


@dataclass(frozen=True)
class Summary(View):
    """What a run found, beside the methods, settings and accuracies of its view.

    Attributes:
        judged: the tables of the run, its verdicts, and what the sections find.
        claims: the four questions of a study and what the results say to them.
        advice: what to use for the sizes of the study and a few round numbers of bytes and seconds.
        planned: students that the study trains.
        trained: students that have a result.
        page: the HTML report.
    """

    judged: Judged
    claims: Claims
    advice: tuple[Recommendation, ...]
    planned: int
    trained: int
    page: Path

    @property
    def frame(self) -> Frame:
        """The tables of the run."""
        return self.judged.frame

    @property
    def run(self) -> Manifest:
        """The manifest of the run."""
        return self.frame.manifest

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One per method and setting."""
        return self.judged.verdicts

    @property
    def margins(self) -> Mapping[Setting, float]:
        """The margin by setting, below which differences do not matter."""
        return self.judged.margins

    @property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """Settings in which nothing can be read."""
        return self.judged.unreadable

    @property
    def failed(self) -> Failed:
        """Students that failed although their siblings learnt, and holes that failures left."""
        return self.found(failures.found)

    @property
    def failures(self) -> tuple[str, ...]:
        """What failed, with the messages."""
        return tuple(f"{job}: {message}" for job, message in self.frame.failures)

    @cached_property
    def cautions(self) -> tuple[str, ...]:
        """Where the numbers are weak; one sentence each."""
        return generators(self.frame.costs.to_pylist())

    @cached_property
    def brief(self) -> Brief:
        """The run in short."""
        return brief(self)

    def found(self, find: Callable[[Judged], T]) -> T:
        """What a section finds in the run; computed once."""
        return self.judged.found(find)

    def verdict(self, method: str, setting: Setting) -> Verdict:
        """The verdict of a method in a setting."""
        return next(v for v in self.verdicts if (v.method, v.setting) == (method, setting))

    def to_json(self) -> dict[str, Any]:
        """Plain lists and dicts for ``json.dumps``, what sections add among them; what is not defined is None."""
        told = {
            **{name: getattr(self, name) for name in ("planned", "trained", "failures", "cautions")},
            "name": self.run.name,
            "data": self.run.data["name"],
            "margins": [s._asdict() | {"margin": m} for s, m in self.margins.items()],
            "report": str(self.page),
            "pooled": self.run.pooled.to_json() if self.run.pooled else None,
            "worth": {**asdict(self.brief), "corrected": correction(self.verdicts)},
            "claims": self.claims.to_json(),
            "not_readable": readable.to_json(self.unreadable),
            "failed": self.failed.sentences(),
            "advice": [r.to_json() for r in self.advice],
            "accuracy": [_accuracy(a) for a in self.accuracies],
            "verdicts": [_verdict(v, self.deterministic) for v in self.verdicts],
        }
        for section in every():
            told |= section.to_json(self)
        return wording.plain(told)


def summarise(frame: Frame) -> Summary:
    """Reduce a run's tables to what its report says."""
    own, run = judge(frame), frame.manifest
    return Summary(
        methods=run.families,
        deterministic=run.deterministic,
        settings=own.settings,
        accuracies=own.accuracies,
        given=" given these teachers" if run.given_teachers else "",
        judged=own,
        claims=claims(own, coverages(frame, own.found(standing.find))),
        advice=Adviser.of(own).break_points(),
        planned=len(run.of_kind("train")),
        trained=frame.results.num_rows,
        page=run.folder / PAGE,
    )


def _accuracy(a: Accuracy) -> dict[str, Any]:
    i, own = a.interval, asdict(a)
    del own["setting"], own["interval"]
    return own | a.setting._asdict() | {"accuracy": i.mean, "by": i.by} | i.to_json()


def _verdict(v: Verdict, deterministic: frozenset[str]) -> dict[str, Any]:
    return {
        "method": v.method,
        "family": v.family,
        **v.setting._asdict(),
        "conditional_on_set": v.method in deterministic,
        "random": v.random.to_json() if v.random else None,
        "components": asdict(v.components) if v.components else None,
        "ahead_of_random": {"share": v.ahead.mean, **v.ahead.to_json()} if v.ahead else None,
        "coresets": {name: c.to_json() for name, c in v.coresets.items()},
        "against_coresets": v.against_coresets,
        "needed": v.needed,
        "text": v.sentences(),
    }
