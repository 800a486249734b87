"""Where the numbers stand on weak ground, said beside the verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

from decoct.report import wording
from decoct.report.findings.verdict import Setting, Verdict
from decoct.report.stats.intervals import Interval

SHORT = 0.9  # of the best ceiling: below it, a protocol's own ceiling shows that its students have not learnt


def cautions(ceilings: Sequence[tuple[Setting, Interval]]) -> tuple[str, ...]:
    """Protocols under which even the full data give far less than under the best one.

    A protocol is named if the Wilson interval of its ceiling lies below nine tenths of the best ceiling of the same
    student: then the recipe is too short, or does not suit the student, and differences between sets say little.
    """
    lines = []
    for student in dict.fromkeys(setting.student for setting, _ in ceilings):
        own = [(setting, interval) for setting, interval in ceilings if setting.student == student]
        best, top = max(own, key=lambda pair: pair[1].mean)
        for setting, interval in own:
            if interval.hi < SHORT * top.mean:
                own_best = f"{wording.percent(top.mean)} % under {best.protocol}"
                lines.append(
                    f"Under {setting.protocol}, {student} reaches only {wording.percent(interval.mean)} % even on the "
                    f"full data ({own_best}): the recipe is too short or does not suit this student, so its "
                    "comparisons say little about the sets"
                )
    return tuple(lines)


def generators(costs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Methods whose sets come from a generator, and what it was trained on: one sentence a generator.

    Args:
        costs: rows of ``Frame.costs``.
    """
    found: dict[str, list[str]] = {}
    for row in costs:
        for said in filter(None, (row["seen"] or "").split("; ")):
            found.setdefault(said, []).append(row["method"])
    return tuple(
        f"The sets of {', '.join(dict.fromkeys(methods))} come from a generator: {said}. What it saw beyond the train "
        "split, if anything, no coreset had"
        for said, methods in found.items()
    )


def few_images(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """How many differences between two methods hold by replicates, and could be otherwise on other test images."""
    pairs = {
        (v.setting, *sorted((v.method, other))): c
        for v in verdicts
        for other, c in v.coresets.items()
        if c.verdict in ("better", "worse") and c.over_images is not None
    }
    flagged = [c for c in pairs.values() if c.on_these_images]
    if not flagged:
        return ()
    images = min(c.over_images.n for c in flagged if c.over_images)
    return (
        f"{len(flagged)} of {wording.count(len(pairs), 'difference')} between two methods that replicates show "
        f"{'is' if len(flagged) == 1 else 'are'} shown on these {images:,} test images only: over test images, the "
        "interval includes 0. More replicates do not change that, a larger test set would",
    )
