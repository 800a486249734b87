"""The leaderboard as files: its table, and one self-contained page made of the pieces of a run's page."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from decoct.core.owned import check_own
from decoct.core.scratch import replace
from decoct.report import wording
from decoct.report.conclusion import Beside
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, join, name, table, tag
from decoct.report.page.parts import accuracy_cell, bullets, document, note, panelled, section, title
from decoct.report.page.plot import Mark, Panel
from decoct.report.page.view import View
from decoct.report.read import frame
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import FULL
from decoct.report.sections.evidence import ranks
from decoct.report.sections.evidence.ranks import Ranks
from decoct.report.several import aggregate
from decoct.report.several.leaderboard import Board, Entry, leaderboard

PAGE, TABLE = "leaderboard.html", "leaderboard"
TITLE = " · decoct</title>".encode()
INDEPENDENT = (
    "Budgets of one data set share its images and teachers, so they are not independent blocks: these ranks only "
    "describe, and no test is made on them. "
)
OVER_DATA = (
    "A method's ranks at the budgets of a data set are averaged and ranked again. A bar joins methods that the "
    "ranks cannot distinguish; it does not say that they are equal. "
)
AGGREGATED = (
    "Following Agarwal et al. (2021), every set is a run, and every data set and budget a task. The score is the "
    "mean of the middle half of all runs, with a bootstrap interval over sets within each task; the profile shows "
    "the share of sets above each score. Tasks are not resampled: the intervals hold for these data sets and "
    "budgets alone, and are too narrow with three to five sets. Settings that cannot be read are left out. "
)
TOGETHER = (
    "Not better than the best coreset: for each method and setting, the smallest p over the coresets, random "
    "included, times their number; over methods, settings and data sets, the largest of these, without further "
    "correction since the statement must hold for all. How many are shown is counted after Holm's correction over "
    "them. Better and worse are the words of each run's own verdicts. "
)


def write_leaderboard(frames: Sequence[Frame], out: Path) -> Board:
    """Write ``leaderboard.html``, ``.parquet`` and ``.csv`` of several runs, each file whole or not at all.

    Args:
        frames: of the runs.
        out: folder, made if it is not there.

    Raises:
        UsageError: they cannot share one board, or ``out`` holds files of these names that decoct did not write.
    """
    page = out / PAGE
    ours = page.is_file() and TITLE in page.read_bytes()
    check_own(out, (PAGE, f"{TABLE}.parquet", f"{TABLE}.csv"), ours)
    board = leaderboard(frames)
    out.mkdir(parents=True, exist_ok=True)
    frame.write(out, TABLE, board.table(), csv=True)
    replace(page, partial(Path.write_text, data=render(board), encoding="utf-8"))
    return board


def render(board: Board) -> str:
    """The page as text."""
    view, about = View(board.methods, board.deterministic, (), ()), (ranks.READING, INDEPENDENT)
    head = columns("run", "data", "folder", "train images", "classes", "students", "steps of a set", "decoct", "digest")
    parts = [
        _together(board, view),
        _ranks("ranks", "Average ranks over data sets and budgets", board.ranks, view.marks, *about),
        _ranks("data", "Average ranks over data sets alone", board.over_data, view.marks, OVER_DATA),
        _aggregated(board, view),
        _accuracies(board, view),
        section("runs", "Runs", table(head, [_run(entry) for entry in board.entries])),
    ]
    return document(f"{', '.join(board.data)} · decoct", _header(board), join(parts), _holes(board), view.keys())


def _header(board: Board) -> Markup:
    about = (
        f"{wording.count(len(board.methods), 'method')} on {wording.count(len(board.data), 'data set')}, "
        f"from {wording.count(len(board.entries), 'run')}."
    )
    asked = ("Which small training set should I use, over ", join(map(name, board.data), ", "), "? ")
    return join([tag("h1", "Leaderboard"), tag("p", *asked, tag("span", about), class_="lede")])


def _holes(board: Board) -> Markup:
    """Runs that are not finished, and labels that mean different things."""
    missing = [e for e in board.entries if e.trained < e.planned]
    lines: list[object] = [
        tag("p", name(e.run.name), f": {e.planned - e.trained:,} of {e.planned:,} planned students have no result.")
        for e in missing
    ]
    lines += [tag("p", f"{line}.") for line in (*board.unlike, *board.pooled)]
    return tag("aside", *lines, class_="holes", role="status") if lines else Markup()


def _together(board: Board, view: View) -> Markup:
    """The conclusion, the data sets one by one, and a word count for each method on each."""
    own = board.together
    counted = grouped(own.over.each, lambda b: (b.method, b.data))
    there = [m for m in board.methods if any((m, data) in counted for data in own.each)]
    rows = [cells(view.method(m), *(_counts(counted.get((m, data), [])) for data in own.each)) for m in there]
    card = tag(
        "div",
        tag("p", "Is distilling worth it, over all data sets?", class_="eyebrow"),
        tag("p", f"{own.first()}.", class_="because"),
        *(tag("p", f"{line}.", class_="caution") for line in own.dependent),
        bullets(own.sentences()),
        class_="card",
    )
    counts = table(columns("method", *map(name, own.each)), rows) if rows else ""
    return section("together", "Verdict", card, counts, note(TOGETHER))


def _counts(own: Sequence[Beside]) -> Markup:
    """How many settings of one data set are better than every coreset, not better than the best, and open."""
    if not own:
        return Markup(wording.NONE)
    shown = [b for b in own if b.shown]
    worse, better = sum(b.word == "worse" for b in own), sum(b.word == "better" and not b.shown for b in own)
    said = f"{better} better", f"{len(shown)} not better ({worse} worse)", f"{len(own) - len(shown) - better} open"
    return join([tag("small", part) for part in said], tag("br"))


def _aggregated(board: Board, view: View) -> Markup:
    shown = aggregate.show(view, board.aggregates)
    return section("aggregate", "All sets at once", shown, note(AGGREGATED)) if shown else Markup()


def _ranks(key: str, heading: str, by_panel: Mapping[Panel, Ranks], drawn: dict[str, Mark], *about: str) -> Markup:
    ranked = {panel: own for panel, own in by_panel.items() if own.mean}
    rest = [
        tag("p", title(panel), f": {line}.", class_="note")
        for panel, own in by_panel.items()
        if not own.mean
        for line in own.sentences()
    ]
    shown = ranks.diagrams(ranked, drawn) if ranked else Markup()
    return section(key, heading, shown, *rest, note(*about) if about else "") if by_panel else Markup()


def _accuracies(board: Board, view: View) -> Markup:
    grids = [tag("div", tag("h3", title(panel)), _grid(board, panel, view), class_="block") for panel in board.panels]
    if not grids:
        return section("accuracy", "Accuracy", note("No student has been trained yet."))
    dagger = " † deterministic: one set; its intervals condition on it." if board.deterministic else ""
    about = (
        "Test accuracy in percent with 95 % intervals over condense-level replicates, n of them; students of one set "
        "are averaged first. Methods stand in the order of their average rank, those without one below."
    )
    return section("accuracy", "Accuracy", *grids, note(about, dagger))


def _grid(board: Board, panel: Panel, view: View) -> Markup:
    blocks, full = board.panels[panel], board.full.get(panel, {})
    data, order = grouped(blocks, lambda block: block[0]), list(board.ranks[panel].mean)
    panels = [(tag("b", name(each)), [facets.budget(budget) for _, budget in own]) for each, own in data.items()]
    there = [m for m in board.methods if any(m in own for own in blocks.values())]
    there.sort(key=lambda m: order.index(m) if m in order else len(order))
    rows = ((view.method(m), [accuracy_cell(own.get(m)) for own in blocks.values()]) for m in there)
    last = [tag("td", accuracy_cell(full.get(d)), colspan=len(own), class_="first") for d, own in data.items()]
    return panelled(panels, rows, [[tag("th", "full data", scope="row"), *last]] if full else [])


def _run(e: Entry) -> list[Markup]:
    steps = sorted({a.steps for a in e.accuracies if a.method != FULL})
    told = wording.NONE if not steps else f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
    size = f"{e.run.data['images']['train']:,}", f"{len(e.run.data['class_names']):,}"
    students = f"{e.trained:,} of {e.planned:,}"
    rest = (*size, students, told, e.run.decoct, tag("code", e.run.data["digest"][:12]))
    return cells(name(e.run.name), name(e.data), name(", ".join(folder.name for folder in e.folders)), *rest)
