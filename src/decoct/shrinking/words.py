"""The answer in sentences: what was found, what cannot be said, what it cost."""

import math
from collections.abc import Mapping, Sequence

from decoct.shrinking.answer import Class, Measured
from decoct.shrinking.inference.shown import Decision, Tested
from decoct.shrinking.made import MAKERS

SPELT = {
    "random": "drawn at random",
    "herding": "chosen by herding",
    "k_means": "chosen by k-means",
    "facility_location": "chosen by facility location",
    "moderate": "of moderate distance to their class's centre",
    "ccs": "chosen by CCS",
    "el2n_easy": "the easiest by EL2N",
    "el2n_hard": "the hardest by EL2N",
    "dm": "made by DM",
    "dc": "made by DC",
    "dsa": "made by DSA",
}


def percent(value: float) -> str:
    """Such as "90.4 %"."""
    return f"{100 * value:.1f} %"


def points(value: float) -> str:
    """Such as "2.4 points"."""
    said = f"{100 * value:.1f}"
    return f"{said} point" if said == "1.0" else f"{said} points"


def interval(value: Measured) -> str:
    """Such as "90.4 % [88.9, 91.9]"."""
    if math.isnan(value.lo):
        return percent(value.mean)
    return f"{percent(value.mean)} [{100 * value.lo:.1f}, {100 * value.hi:.1f}]"


def part(images: int, candidates: int) -> str:
    """Such as "620 of 3,000 images (21 %)"."""
    return f"{images:,} of {candidates:,} images ({100 * images / candidates:.0f} %)"


def a_set(images: int, method: str, candidates: int) -> str:
    """Such as "620 of 3,000 images (21 %), chosen by herding", or "50 images (2 % as many), made by DM from 3,000"."""
    if method in MAKERS:
        return f"{images:,} images ({100 * images / candidates:.0f} % as many), {SPELT[method]} from {candidates:,}"
    return f"{part(images, candidates)}, {SPELT[method]}"


def named(size: Tested, method: str, candidates: int, asked: str) -> str:
    """A set that is shown to be within a margin."""
    return (
        f"{a_set(size.size, method, candidates)}, are shown to train your model to within {asked} of all of "
        f"them: {interval(size.small)} against {interval(size.full)}."
    )


def nothing(decision: Decision, method: str, candidates: int, asked: str) -> str:
    """Why no set is named."""
    size = decision.tested
    if decision.because == "classes":
        return f"No set is shown to spare every class: {a_set(size.size, method, candidates)}, {_classes(size)}."
    tried = f"{a_set(size.size, method, candidates)}, the largest set that was tried"
    if decision.decided == "not_decidable":
        needed = f"; about {size.images_needed:,} test images would do" if size.images_needed else ""
        return (
            f"Whether fewer images train your model to within {asked} cannot be decided here: with "
            f"{size.loss.images:,} test images nothing closer than {points(decision.smallest_margin)} can be "
            f"shown{needed}. {tried[0].upper()}{tried[1:]}, reach {interval(size.small)} against {interval(size.full)}."
        )
    return (
        f"No set is shown to train your model to within {asked} of all {candidates:,} images: {tried}, lose "
        f"{points(size.loss.mean)}, {100 * size.loss.hi:.1f} at most."
    )


def sized(size: Tested, method: str, candidates: int) -> str:
    """A set of a size that was asked for, or of the knee."""
    return (
        f"{a_set(size.size, method, candidates)}, train your model to {interval(size.small)}; all of them to "
        f"{interval(size.full)}. The loss is {points(size.loss.mean)}, {100 * size.loss.hi:.1f} at most."
    )


def closest(size: Tested) -> str:
    """What the test images can show."""
    return f"With {size.loss.images:,} test images nothing closer than {points(size.smallest_margin)} can be shown."


def below(failed: Tested, method: str, asked: str, candidates: int) -> str:
    """The size at which the test ended."""
    tried = f"{a_set(failed.size, method, candidates)}," if method in MAKERS else part(failed.size, candidates)
    if failed.failed and failed.inside is not False:
        return f"{tried} {_classes(failed)}."
    return (
        f"{tried} are not shown within {asked}: they lose {points(failed.loss.mean)}, "
        f"{100 * failed.loss.hi:.1f} at most."
    )


def needed(found: tuple[float, float, float] | None, method: str) -> str:
    """How many random images reach the same."""
    if method == "random":
        return "No method is shown better than random images at this size: take random images."
    if found is None:
        return ""
    mean, lo, hi = found

    def said(value: float) -> str:
        return "more than were tried" if math.isinf(value) else f"{round(value, -1):,.0f}"

    if math.isinf(mean):
        return "Random images did not reach that accuracy at any size that was tried (on held-out train images)."
    return f"Random images needed {said(mean)} [{said(lo)}, {said(hi)}] for as much, on held-out train images."


def paying(cost: Mapping[str, float], method: str) -> str:
    """What choosing or making the set cost, and when it pays."""
    if "choosing" not in cost:
        return ""
    all_, some = _time(cost["training_all"]), _time(cost["training_set"])
    what = f"{'Making' if method in MAKERS else 'Choosing'} took {_time(cost['choosing'])} of one core"
    said = f"{what}; a training takes {all_} on all images, {some} on the set"
    if "pays_after" not in cost:
        return f"{said}, which saves nothing."
    return f"{said}: it pays after {max(1, math.ceil(cost['pays_after'])):,} trainings."


def loses(classes: Sequence[Class]) -> str:
    """The class that loses most."""
    known = [each for each in classes if not math.isnan(each.full)]
    if not known:
        return ""
    worst = max(known, key=lambda each: each.full - each.small)
    if worst.full <= worst.small:
        return "No class loses."
    most = "" if math.isinf(worst.bound) else f", {100 * worst.bound:.1f} at most"
    return f"Class '{worst.name}' loses most: {points(worst.full - worst.small)}{most}."


def _classes(size: Tested) -> str:
    few = ", ".join(f"'{each.name}'" for each in size.failed[:3]) + (" …" if len(size.failed) > 3 else "")
    return f"may cost {few} more than was asked"


def _time(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
