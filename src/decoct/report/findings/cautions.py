"""Where the numbers stand on weak ground, said beside the verdict."""

from collections.abc import Sequence

from decoct.report import wording
from decoct.report.findings.verdict import Setting
from decoct.report.stats import Interval

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
