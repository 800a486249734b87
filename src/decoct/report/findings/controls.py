"""Methods against their controls: what optimising or ranking adds to the images that a set is made from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from decoct.report import wording
from decoct.report.findings.verdict import WORDS, Setting
from decoct.report.stats import comparisons, nested
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.intervals import Replicates


@dataclass(frozen=True)
class Controlled:
    """A method and its control in one setting.

    Attributes:
        method: its label in the study.
        control: the label that the study names as its control.
        setting: protocol, student, budget.
        comparison: method minus control, paired over condense replicates; the word after Holm over all of them.
    """

    method: str
    control: str
    setting: Setting
    comparison: Comparison


def controlled(
    accuracies: Mapping[Setting, Mapping[str, Replicates]], controls: Mapping[str, str], margin: float, floor: float
) -> tuple[Controlled, ...]:
    """Compare every method that has a control with it, method after method, in each setting.

    Args:
        accuracies: by setting, then method; a method without any student may be absent.
        controls: label to label.
        margin: of equivalence, a fraction.
        floor: the smallest standard deviation to believe, see ``intervals.grid_floor``.
    """
    asked = [(method, control, setting) for method, control in controls.items() for setting in accuracies]
    found = []
    for method, control, setting in asked:
        own, other = (accuracies[setting].get(label, {}) for label in (method, control))
        found.append(nested.compare(own, other, margin, floor))
    return tuple(Controlled(*who, c) for who, c in zip(asked, comparisons.corrected(found), strict=True))


def sentences(found: Sequence[Controlled]) -> tuple[str, ...]:
    """One sentence for each method, over all settings."""
    methods = dict.fromkeys(c.method for c in found)
    return tuple(_sentence([c for c in found if c.method == method], len(found)) for method in methods)


def overall(found: Sequence[Controlled]) -> str:
    """One sentence over all methods: the only one, or the counts; empty where there is nothing to say."""
    lines = sentences(found)
    if len(lines) < 2:
        return "".join(lines)
    return f"Against their controls, after Holm over {len(found)} comparisons: {_spell(found)}"


def _sentence(own: Sequence[Controlled], asked: int) -> str:
    method, control = own[0].method, own[0].control
    if not any(c.comparison.n for c in own):
        return f"{method} and its control, {control}, share no replicate: nothing can be said"
    settings = wording.count(len(own), "setting")
    better = [c for c in own if c.comparison.verdict == "better"]
    said = f"{method} is better than its control, {control}, in {len(better) or 'none'} of {settings}"
    protocols = Counter(c.setting.protocol for c in own)
    if better and len(better) < len(own) and len(protocols) > 1:
        won = Counter(c.setting.protocol for c in better)
        said += f" ({', '.join(f'{protocol} {won[protocol]} of {n}' for protocol, n in protocols.items())})"
    if asked > 1:
        said += f", after Holm over {asked} comparisons"
    rest = _spell([c for c in own if c not in better])
    return f"{said}; {rest}" if rest else said


def _spell(found: Sequence[Controlled]) -> str:
    words = Counter(c.comparison.verdict for c in found if c.comparison.n)
    lost = sum(not c.comparison.n for c in found)
    counts = [f"{words[word]} {word}" for word in WORDS if words[word]]
    return ", ".join(counts + ([f"{lost} without a shared replicate"] if lost else []))
