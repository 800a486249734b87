"""What to take for so many images: the recommendations of a run, three at most."""

from dataclasses import dataclass

from decoct.report import wording
from decoct.report.advice.candidates import Candidate
from decoct.report.advice.recommend import Choice, Recommendation, stretches
from decoct.report.stats.intervals import Interval
from decoct.report.summary import Summary

MOST = 3


@dataclass(frozen=True)
class Take:
    """One recommendation.

    Attributes:
        limit: such as "10 images".
        method: what to take; empty where nothing can be recommended.
        where: protocol, budget and student, each if the study has several.
        interval: of the accuracy; None without a method.
        note: the accuracy of random sets, and how sure the recommendation is.
    """

    limit: str
    method: str
    where: str
    interval: Interval | None
    note: str


def takes(summary: Summary) -> tuple[Take, ...]:
    """Those for the sizes of the study: all, or the ends and the middle; the largest of each of several students."""
    images = [r for r in summary.advice if r.limit.kind == "images"]
    students = list(dict.fromkeys(choice.student for r in images for choice in r.choices))
    own = {student: stretches(images, student) for student in students}
    if len(students) > 1 and sum(map(len, own.values())) > MOST:
        own = {student: each[-1:] for student, each in own.items()}  # the largest sets, of every student
    elif any(len(each) > MOST for each in own.values()):
        own = {student: [each[0], each[len(each) // 2], each[-1]] for student, each in own.items()}
    named = len(students) > 1
    rows = [_take(summary, *stretch, named) for each in own.values() for stretch in each]
    return tuple(dict.fromkeys(rows))[:MOST]


def _take(summary: Summary, first: Recommendation, last: Recommendation, choice: Choice, named: bool) -> Take:
    limit = str(last.limit) if first is last else f"{first.limit.amount:,.0f} to {last.limit}"
    student = choice.student if named else ""
    if choice.pick is None or choice.interval is None:
        return Take(limit, "", student, None, f"nothing to recommend: {choice.why}")
    a = choice.pick.accuracy
    several = len({s.protocol for s in summary.settings}) > 1
    whole = choice.pick.images == first.limit.amount
    parts = [f"under {a.setting.protocol}"] if several else []
    parts += [f"with {student}"] if student else []
    parts += [] if whole else [f"at {wording.budget(a.setting.budget)}"]
    return Take(limit, a.method, " ".join(parts), choice.interval, _beside(choice))


def _beside(choice: Choice) -> str:
    """Random sets to compare with, and what may be as good; a few words each."""
    said = []
    if choice.random and choice.random != choice.cheaper:
        said.append(f"random {wording.percent(choice.random.mean)} %")
    if not choice.sure:
        said.append("uncertain: too few sets")
    elif choice.cheaper:
        said.append(f"cheaper: {_apart(choice.cheaper, choice.pick)}, {wording.percent(choice.cheaper.mean)} %")
    elif len(choice.within) == 1:
        said.append("nothing else fits")
    elif len(choice.kept) == 1:
        said.append(f"the best of {len(choice.within)}")
    else:
        said.append(f"{wording.count(len(choice.kept) - 1, 'other choice')} may be as good")
    return "; ".join(said)


def _apart(candidate: Candidate, other: Candidate | None) -> str:
    """The method, and its protocol and budget where they differ from the other's."""
    own, its = candidate.accuracy, other and other.accuracy.setting
    said = own.method
    said += f" under {own.setting.protocol}" if its and its.protocol != own.setting.protocol else ""
    return said + (f" at {wording.budget(own.setting.budget)}" if its and its.budget != own.setting.budget else "")
