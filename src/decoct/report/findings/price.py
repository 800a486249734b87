"""What distilling costs beside the coresets, said in multiples where the machines were alike."""

from statistics import fmean

from decoct.report import wording
from decoct.report.frame import Frame
from decoct.report.manifest import REFERENCE


def price(frame: Frame) -> tuple[str, ...]:
    """One sentence for each distillation method: seconds for a set, as a multiple of the dearest coreset's, by budget.

    Teachers and features are counted in full on both sides. Times from unlike hardware are not compared.
    """
    families = {label: method["family"] for label, method in frame.manifest.methods.items()}
    rows = [row for row in frame.costs.to_pylist() if row["total_seconds"] is not None]
    lines = []
    for label in (m for m, family in families.items() if family == "distillation"):
        said = []
        for budget in sorted(
            {row["budget"] for row in rows if row["method"] == label}, key=frame.manifest.budget_order
        ):
            here = [row for row in rows if row["budget"] == budget]
            own = fmean(row["total_seconds"] for row in here if row["method"] == label)
            times = {
                m: fmean(row["total_seconds"] for row in here if row["method"] == m)
                for m in dict.fromkeys(row["method"] for row in here)
                if families[m] == "coreset" and m != REFERENCE
            }
            text = f"{wording.seconds(own)} at {wording.budget(budget)}"
            alike = len({(row["device"], row["hardware"]) for row in here}) == 1
            if times and alike and max(times.values()) > 0:
                dearest = max(times, key=lambda m: times[m])
                text += f" ({own / times[dearest]:.2g} × {dearest})"
            said.append(text)
        if said:
            lines.append(
                f"A set of {label} took {', '.join(said)} to make, with the teachers and features it stands on"
            )
    return tuple(lines)
