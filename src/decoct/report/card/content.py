"""What a run's card says: the question, one sentence of answer, the accuracies, a strip of pictures for each method, what
to take and what it cost. How it is drawn is the business of ``html`` and ``svg``.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.advice.recommend import Choice, Recommendation, stretches
from decoct.report.card.strips import Strip, strips
from decoct.report.grouped import grouped
from decoct.report.page.plot import Mark
from decoct.report.read.manifest import CONTROL
from decoct.report.sections import cost
from decoct.report.sections.cost import FULL as COLUMNS
from decoct.report.stats.intervals import Interval
from decoct.report.summary import Summary

LONGEST = 160  # characters of an answer
ABREAST, HIGH = 4, 3  # panels beside each other, and rows of them
TAKEN, SPENT = 3, 5  # recommendations and lines of costs


@dataclass(frozen=True)
class Panel:
    """The accuracies under one protocol with one student.

    Attributes:
        protocol: its label.
        settings: one for each budget, in order.
        points: by method, one for each setting; None where no student was trained.
        ceiling: of the full data; None where there is none.
        unreadable: settings in which nothing can be read.
    """

    protocol: str
    settings: tuple[Setting, ...]
    points: Mapping[str, tuple[Accuracy | None, ...]]
    ceiling: Accuracy | None
    unreadable: frozenset[Setting]


@dataclass(frozen=True)
class Row:
    """Panels of one student that stand side by side and share an axis of accuracies."""

    student: str
    panels: tuple[Panel, ...]

    @property
    def accuracies(self) -> list[Accuracy]:
        """All that are drawn, the ceilings included."""
        own = [a for panel in self.panels for many in panel.points.values() for a in many if a]
        return own + [panel.ceiling for panel in self.panels if panel.ceiling]


@dataclass(frozen=True)
class Take:
    """One recommendation.

    Attributes:
        limit: such as "10 images".
        method: what to take; empty where nothing can be recommended.
        where: protocol, budget and student, as far as the study has several.
        interval: of the accuracy; None without a method.
        note: what stands beside it: random sets, and how sure it is.
    """

    limit: str
    method: str
    where: str
    interval: Interval | None
    note: str


@dataclass(frozen=True)
class Spent:
    """What a set of some methods took, as a span over budgets."""

    methods: tuple[str, ...]
    span: str


@dataclass(frozen=True)
class Card:
    """All that a card says, in the order in which it is read.

    Attributes:
        name: of the run.
        question: that the study asks.
        lead: the answer in a word or two; empty where it has none.
        answer: the answer in one sentence.
        facts: data set, students, sets, test images; a few words each.
        marks: how each method is drawn, by its label.
        rows: of panels, one or more for each student.
        left_out: panels that found no room.
        strips: pictures of methods.
        pictured: what the strips show.
        takes: what to take.
        costs: what sets took, teachers included.
        uncompared: why costs are not given; empty where they are, or where no set was made.
        notes: how to read the chart; sentences.
    """

    name: str
    question: str
    lead: str
    answer: str
    facts: tuple[str, ...]
    marks: Mapping[str, Mark]
    rows: tuple[Row, ...]
    left_out: int
    strips: tuple[Strip, ...]
    pictured: str
    takes: tuple[Take, ...]
    costs: tuple[Spent, ...]
    uncompared: str
    notes: tuple[str, ...]

    @property
    def drawn(self) -> list[str]:
        """Methods that have a point in the chart, in the study's order."""
        there = {a.method for row in self.rows for a in row.accuracies}
        return [method for method in self.marks if method in there]


def card(summary: Summary) -> Card:
    """The card of a run, finished or not."""
    rows, left_out = _rows(summary)
    lead, answer = _answer(summary)
    shown = strips(summary.run, _ranked(summary))
    costs, uncompared = _costs(summary)
    return Card(
        name=summary.run.name,
        question=_question(summary),
        lead=lead,
        answer=answer,
        facts=_facts(summary),
        marks=summary.marks,
        rows=rows,
        left_out=left_out,
        strips=shown.strips,
        pictured=shown.said,
        takes=_takes(summary),
        costs=costs,
        uncompared=uncompared,
        notes=_notes(summary, rows, left_out),
    )


def _question(summary: Summary) -> str:
    families, name = set(summary.methods.values()), summary.run.data["name"]
    if {"distillation", "coreset"} <= families:
        return f"Is distilling {name} worth it, and which small training set should I use?"
    what = "coreset" if "coreset" in families else "distilled set"
    return f"Which {what} of {name} should I use?"


def _answer(summary: Summary) -> tuple[str, str]:
    """A word or two, and a sentence; the words are those of the terminal where distilled sets meet coresets."""
    if not any(a.method in summary.methods for a in summary.accuracies):
        return "Not yet", "No student has been trained, so there is no answer."
    out = {u.setting for u in summary.unreadable}
    if out >= set(summary.settings):
        rules = {u.rule for u in summary.unreadable}
        change = "raise the budgets or train for more steps" if "chance" in rules else "train for more steps"
        count = f"the {len(out)} settings" if len(out) > 1 else "the one setting"
        return "No answer", f"Students hardly learn in {count} of this study: {change}."
    if not {"distillation", "coreset"} <= set(summary.methods.values()):
        return "", _highest(summary, [s for s in summary.settings if s not in out])
    reached = summary.claims.conclusion
    if reached.answer == "none":
        margin, n = wording.margins(b.margin for b in reached.each), len(reached.each)
        least = f"No distilled set beats the best coreset by more than {margin}"
        return "No", f"{least}, in any of {n} comparisons." if n > 1 else f"{least}."
    return split(summary.brief.answer, summary.methods)


def split(said: str, names: Collection[str]) -> tuple[str, str]:
    """``No: it is worse`` as *No* and *It is worse.*; a sentence without such a beginning stays whole.

    Args:
        said: the answer, without its full stop.
        names: which keep their small letters.
    """
    lead, rest = "", said
    for mark in (": ", ", "):
        start, found, more = said.partition(mark)
        if found and len(start.split()) <= 3 and start not in names:
            lead, rest = start, more
            break
    if rest.split(" ")[0] not in names:
        rest = rest[:1].upper() + rest[1:]
    return lead, shortened(f"{rest.rstrip('.')}.")


def shortened(sentence: str, most: int = LONGEST) -> str:
    """No longer than an answer may be: the rest is cut off at a comma, or else at a word."""
    if len(sentence) <= most:
        return sentence
    room = sentence[: most - 1]
    cut = max(room.rfind(", "), room.rfind("; "))
    kept = room[: cut if cut > most // 2 else room.rfind(" ") if " " in room else len(room) - 1]
    return f"{kept.rstrip(' ,;(')} …"


def _highest(summary: Summary, settings: Sequence[Setting]) -> str:
    """Which method has the highest mean most often, where there is nothing else to compare."""
    best: Counter[str] = Counter()
    for own in grouped((a for a in _contenders(summary) if a.setting in settings), lambda a: a.setting).values():
        best[max(own, key=lambda a: a.interval.mean).method] += 1
    if not best:
        return "No student has been trained in a setting that can be read."
    (method, wins), total = best.most_common(1)[0], sum(best.values())
    if len({a.method for a in _contenders(summary)}) == 1:
        return f"{method} is the only method that has been trained."
    where = "the one setting" if total == 1 else f"{wins} of {total} settings"
    return f"{method} has the highest mean accuracy in {where}."


def _contenders(summary: Summary) -> list[Accuracy]:
    return [a for a in summary.accuracies if summary.methods.get(a.method, CONTROL) != CONTROL]


def _facts(summary: Summary) -> tuple[str, ...]:
    counts = sorted({a.interval.n for a in summary.accuracies if a.method in summary.methods})
    students = list(dict.fromkeys(s.student for s in summary.settings))
    said = [summary.run.data["name"]]
    said += [", ".join(students) if len(students) < 3 else f"{len(students)} students"] if students else []
    if counts:
        sets = wording.span(str(counts[0]), str(counts[-1]))
        said.append(f"{sets} set{'s' * (counts[-1] > 1)} a method")
    said.append(f"{summary.run.data['images']['test']:,} test images")
    if missing := summary.planned - summary.trained:
        said.append(f"{missing:,} of {summary.planned:,} students missing")
    return tuple(map(str, said))


def _rows(summary: Summary) -> tuple[tuple[Row, ...], int]:
    """Rows of panels, and how many panels found no room; only what has an accuracy takes room."""
    out = frozenset(u.setting for u in summary.unreadable)
    rows: list[Row] = []
    for student, keys in grouped(summary.panels, lambda panel: panel[1]).items():
        panels = [_panel(summary, key, out) for key in keys]
        panels = [panel for panel in panels if any(a for many in panel.points.values() for a in many)]
        rows += [Row(student, tuple(panels[i : i + ABREAST])) for i in range(0, len(panels), ABREAST)]
    return tuple(rows[:HIGH]), sum(len(row.panels) for row in rows[HIGH:])


def _panel(summary: Summary, key: tuple[str, str], out: frozenset[Setting]) -> Panel:
    settings = tuple(summary.panels[key])
    points = {m: tuple(summary.accuracy(m, setting) for setting in settings) for m in summary.methods}
    return Panel(key[0], settings, points, summary.ceiling.get(key), out & set(settings))


def _ranked(summary: Summary) -> list[str]:
    """Methods by their highest mean, best first; then those without a student."""
    best = {m: max((a.interval.mean for a in own), default=0.0) for m, own in _by_method(summary).items()}
    return sorted(summary.methods, key=lambda m: -best.get(m, -1.0))


def _by_method(summary: Summary) -> dict[str, list[Accuracy]]:
    return grouped((a for a in summary.accuracies if a.method in summary.methods), lambda a: a.method)


def _takes(summary: Summary) -> tuple[Take, ...]:
    images = [r for r in summary.advice if r.limit.kind == "images"]
    students = list(dict.fromkeys(choice.student for r in images for choice in r.choices))
    own = {student: stretches(images, student) for student in students}
    if len(students) > 1 and sum(map(len, own.values())) > TAKEN:
        own = {student: each[-1:] for student, each in own.items()}  # the largest sets, of every student
    elif any(len(each) > TAKEN for each in own.values()):
        own = {student: [each[0], each[len(each) // 2], each[-1]] for student, each in own.items()}
    named = len(students) > 1
    rows = [_take(summary, *stretch, named) for each in own.values() for stretch in each]
    return tuple(dict.fromkeys(rows))[:TAKEN]


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
    """Random sets, and what may be as good; a few words each."""
    said = []
    if choice.random and choice.random != choice.cheaper:
        said.append(f"random {wording.percent(choice.random.mean)} %")
    if not choice.sure:
        said.append("not sure: too few sets")
    elif choice.cheaper:
        c = choice.cheaper
        said.append(f"cheaper: {c.accuracy.method} {wording.percent(c.mean)} %")
    elif len(choice.within) == 1:
        said.append("nothing else fits")
    elif len(choice.kept) == 1:
        said.append(f"the best of {len(choice.within)}")
    else:
        said.append(f"{wording.count(len(choice.kept) - 1, 'other')} may be as good")
    return "; ".join(said)


def _costs(summary: Summary) -> tuple[tuple[Spent, ...], str]:
    """What a set takes with all that it stands on, those of the same time on one line; or why that is not given."""
    rows = [row for row in cost.made_here(summary.frame.costs.to_pylist()) if summary.methods[row["method"]] != CONTROL]
    by = cost.measure(rows)
    if by is None:
        return (), "Costs cannot be compared: the sets were made on unlike machines." if rows else ""
    taken: dict[str, tuple[float, float]] = {}
    for method, own in grouped(rows, lambda row: str(row["method"])).items():
        means = [fmean(row[COLUMNS[by]] for row in here) for here in grouped(own, lambda row: row["budget"]).values()]
        taken[method] = min(means), max(means)
    order = sorted(taken, key=lambda m: (summary.methods[m] != "distillation", list(summary.methods).index(m)))
    lines = grouped(order, lambda m: (summary.methods[m], _span(*taken[m])))
    if len(lines) > SPENT:
        families = grouped(order, lambda m: summary.methods[m]).values()
        return tuple(Spent(tuple(own), _span(*_ends([taken[m] for m in own]))) for own in families), ""
    return tuple(Spent(tuple(own), span) for (_, span), own in lines.items()), ""


def _ends(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in spans), max(high for _, high in spans)


def _span(low: float, high: float) -> str:
    """``9.0 to 17.0 s``; what is under a millisecond is no more than that."""
    a, b = ("under 1 ms" if x < 1e-3 else wording.seconds(x) for x in (low, high))
    same = a.split(" ")[1:] == b.split(" ")[1:] and a.count(" ") == 1
    return wording.span(a.partition(" ")[0] if same and a != b else a, b)


def _notes(summary: Summary, rows: Sequence[Row], left_out: int) -> tuple[str, ...]:
    if not rows:
        return ()
    known = any(a.interval.n > 1 for row in rows for a in row.accuracies if a.method in summary.methods)
    said = [f"Test accuracy in percent{' with 95 % intervals' if known else ''}{summary.given}."]
    panels = [panel for row in rows for panel in row.panels]
    if any(panel.ceiling for panel in panels):
        said.append("Dashed: the same student on all training images.")
    if any(panel.unreadable for panel in panels):
        said.append("Shaded: cannot be read, since students hardly learn there.")
    there = set(_by_method(summary))
    if lost := [m for m in summary.methods if m not in there]:
        said.append(f"No result yet: {', '.join(lost[:3])}{f' and {len(lost) - 3} more' if len(lost) > 3 else ''}.")
    if left_out:
        more = wording.count(left_out, "more panel")
        said.append(f"{more[:1].upper()}{more[1:]} {'is' if left_out == 1 else 'are'} in the report.")
    return tuple(said)
