"""The content of a run's card: question, answer, accuracies, pictures, what to take and what it cost.

``html`` and ``svg`` draw it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.card.answer import answer, question
from decoct.report.card.spent import Spent, costs
from decoct.report.card.strips import Strip, strips
from decoct.report.card.take import Take, takes
from decoct.report.grouped import grouped
from decoct.report.page.plot import Mark
from decoct.report.read.manifest import CONTROL
from decoct.report.summary import Summary

FAMILIES = {"coreset": "coresets", "distillation": "distilled", CONTROL: "controls"}
ABREAST, HIGH = 4, 3  # panels beside each other, and rows of them


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
class Card:
    """All that a card says, in the order in which it is read.

    Attributes:
        name: of the run.
        question: that the study asks.
        lead: the answer in a word or two; empty where it has none.
        answer: the answer in one sentence.
        facts: data set, students, sets, test images; a few words each.
        marks: how each method is drawn, by its label.
        families: of the methods, by label.
        rows: of panels, one or more for each student.
        left_out: number of panels that found no room.
        strips: pictures of methods.
        pictured: what the strips show.
        takes: what to take.
        costs: of sets, teachers included.
        uncompared: why costs are not given; empty if they are given or no set was made.
        notes: how to read the chart; sentences.
    """

    name: str
    question: str
    lead: str
    answer: str
    facts: tuple[str, ...]
    marks: Mapping[str, Mark]
    families: Mapping[str, str]
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

    @property
    def ranked(self) -> list[Accuracy]:
        """The accuracies of a study of one setting, best first; none where there are more settings to draw."""
        panels = [panel for row in self.rows for panel in row.panels]
        if [len(panel.settings) for panel in panels] != [1]:
            return []
        return sorted((a for many in panels[0].points.values() for a in many if a), key=lambda a: -a.interval.mean)

    @property
    def kinds(self) -> dict[str, str]:
        """What each drawn method is, in the legend's word for one of them."""
        return {method: word.removesuffix("s") for word, methods in self.legend for method in methods}

    @property
    def legend(self) -> list[tuple[str, list[str]]]:
        """What is drawn, by family: a word for it, empty where all are of one, and its methods."""
        own = grouped(self.drawn, lambda method: FAMILIES.get(self.families[method], ""))
        return [(word if len(own) > 1 else "", methods) for word, methods in own.items()]


def tick(budget: str) -> str:
    """A budget in the words that fit an axis: ``10 % per class``."""
    return wording.budget(budget).replace(" of each class", " per class")


def card(summary: Summary) -> Card:
    """The card of a run, finished or not."""
    rows, left_out = _rows(summary)
    lead, said = answer(summary)
    shown = strips(summary.run, _ranked(summary))
    spent, uncompared = costs(summary)
    return Card(
        name=summary.run.name,
        question=question(summary),
        lead=lead,
        answer=said,
        facts=_facts(summary),
        marks=summary.marks,
        families=summary.methods,
        rows=rows,
        left_out=left_out,
        strips=shown.strips,
        pictured=shown.said,
        takes=takes(summary),
        costs=spent,
        uncompared=uncompared,
        notes=_notes(summary, rows, left_out),
    )


def _facts(summary: Summary) -> tuple[str, ...]:
    counts = sorted({a.interval.n for a in summary.accuracies if a.method in summary.methods})
    students = list(dict.fromkeys(s.student for s in summary.settings))
    said = [summary.run.data["name"]]
    said += students if len(students) < 3 else [f"{len(students)} students"]
    if counts:
        sets = wording.span(str(counts[0]), str(counts[-1]))
        said.append(f"{sets} set{'s' * (counts[-1] > 1)} per method")
    said.append(f"{summary.run.data['images']['test']:,} test images")
    if missing := summary.planned - summary.trained:
        said.append(f"{missing:,} of {summary.planned:,} students missing")
    return tuple(map(str, said))


def _rows(summary: Summary) -> tuple[tuple[Row, ...], int]:
    """Rows of panels with an accuracy, and how many panels found no room."""
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


def _notes(summary: Summary, rows: Sequence[Row], left_out: int) -> tuple[str, ...]:
    if not rows:
        return ()
    known = any(a.interval.n > 1 for row in rows for a in row.accuracies if a.method in summary.methods)
    said = [f"Test accuracy in percent{' with 95 % intervals' if known else ''}{summary.given}."]
    panels = [panel for row in rows for panel in row.panels]
    if any(panel.ceiling for panel in panels):
        said.append("Dashed: the same student on all training images.")
    if any(panel.unreadable for panel in panels):
        said.append("Shaded: cannot be read, because students hardly learn there.")
    there = set(_by_method(summary))
    if lost := [m for m in summary.methods if m not in there]:
        said.append(f"No result yet: {', '.join(lost[:3])}{f' and {len(lost) - 3} more' if len(lost) > 3 else ''}.")
    if left_out:
        more = wording.count(left_out, "more panel")
        said.append(f"{more[:1].upper()}{more[1:]} {'is' if left_out == 1 else 'are'} in the report.")
    return tuple(said)
