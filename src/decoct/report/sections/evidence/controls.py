"""Methods against their controls: what optimising or ranking adds to the images that a set is made from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from decoct.report import wording
from decoct.report.accuracy import Setting
from decoct.report.grouped import grouped
from decoct.report.judged import Judged
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import bullets, comparison_cell, content, fold, note
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.stats import comparisons, intervals
from decoct.report.stats.comparisons import Comparison
from decoct.report.stats.crossed import crossed
from decoct.report.verdict import spell

if TYPE_CHECKING:
    from decoct.report.summary import Summary


@dataclass(frozen=True)
class Controlled:
    """A method minus its control in one setting, paired over condense replicates; the word after Holm over all."""

    method: str
    control: str
    setting: Setting
    comparison: Comparison


def controlled(own: Judged, controls: Mapping[str, str]) -> tuple[Controlled, ...]:
    """Compare every method that has a control with it, method after method, in each setting that can be read.

    Args:
        own: the accuracies of a run, with margins and answers.
        controls: label to label.
    """
    settings = [s for s in own.settings if s not in own.outside]
    asked = [(method, control, setting) for method, control in controls.items() for setting in settings]
    compared = []
    for method, control, setting in asked:
        a, b = (own.runs.get((label, setting), {}) for label in (method, control))
        differences = intervals.common([(1, a), (-1, b)])
        tally = own.answers.difference(setting, method, control, differences)
        compared.append(comparisons.compare(crossed(differences, tally, own.frame.floor), own.margins[setting]))
    kinds = [len({method, control} & own.frame.manifest.deterministic) for method, control, _ in asked]
    return tuple(Controlled(*who, c) for who, c in zip(asked, comparisons.corrected(compared, kinds), strict=True))


def sentences(controlled: Sequence[Controlled]) -> tuple[str, ...]:
    """One sentence for each method, over all settings."""
    methods = grouped(controlled, lambda c: c.method)
    return tuple(_sentence(own, len(controlled)) for own in methods.values())


def overall(controlled: Sequence[Controlled]) -> str:
    """One sentence over all methods: the only one, or the counts; empty where there is nothing to say."""
    lines = sentences(controlled)
    if len(lines) < 2:
        return "".join(lines)
    return f"Against their controls, after Holm over {len(controlled)} comparisons: {_spell(controlled)}"


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


def _spell(controlled: Sequence[Controlled]) -> str:
    lost = sum(not c.comparison.n for c in controlled)
    counts = spell([c.comparison.verdict for c in controlled if c.comparison.n])
    return ", ".join(filter(None, (counts, f"{lost} without a shared replicate" if lost else "")))


def show(view: View, controlled: Sequence[Controlled]) -> Markup:
    """Every method against its control, in words and as a table; nothing in a study without controls."""
    if not controlled:
        return Markup()
    beside = {c.method: c.control for c in controlled}
    placed = {(c.method, c.setting): c.comparison for c in controlled}
    heads = {
        label: join([view.method(label), tag("small", " over ", name(control), view.dagger(control))])
        for label, control in beside.items()
    }
    lines = sentences(controlled)
    each = [f"{s}: {wording.comparison(m, beside[m], c)}" for (m, s), c in placed.items()]
    return content(
        bullets(lines) if len(lines) > 1 else "",
        view.grid((head, [comparison_cell(placed.get((m, s))) for s in view.settings]) for m, head in heads.items()),
        fold("Every comparison as a sentence", bullets(each)),
        note(
            f"Method minus control, in percentage points with 95 % intervals{view.given}, paired over condense-level "
            "replicates. The study names the control: usually the method without its optimisation or ranking, that is, "
            "the images it starts from or chooses among. Labels, protocol and student are the same, so the difference "
            "is what optimising or ranking adds. Words hold after Holm's correction over all of these comparisons.",
            " † One set; its intervals condition on it." if view.deterministic & {*beside, *beside.values()} else "",
        ),
    )


def find(judged: Judged) -> tuple[Controlled, ...]:
    """Every method that has a control, against it."""
    return controlled(judged, judged.frame.manifest.controls)


def _json(summary: "Summary") -> dict[str, Any]:
    own = summary.found(find)
    each = [
        {
            "method": c.method,
            "control": c.control,
            **c.setting._asdict(),
            "conditional_on_set": bool({c.method, c.control} & summary.deterministic),
            **c.comparison.to_json(),
            "text": wording.comparison(c.method, c.control, c.comparison),
        }
        for c in own
    ]
    return {"controls": {"overall": overall(own), "methods": sentences(own), "comparisons": each}}


SECTION = Section(
    "Controls",
    70,
    lambda s: show(s, s.found(find)),
    lambda s: overall(s.found(find)) if s.found(find) else "",
    _json,
)
