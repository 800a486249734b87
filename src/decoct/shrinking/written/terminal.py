"""An answer for a terminal: its sentences, and the sizes that were tried."""

import textwrap

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.shrinking.answer import Answer
from decoct.shrinking.written.chart import share

WIDTH, LINES = 100, 15  # characters of a line, and lines at most
FEWEST, MOST = 3, 6  # sizes of the table


def terminal(answer: Answer) -> str:
    """The sentences and a small table, in at most ``LINES`` lines; what finds no room is on the page."""
    said = [line for sentence in answer.said for line in textwrap.wrap(sentence, WIDTH)]
    if answer.unfinished:
        said += textwrap.wrap(f"Not finished: {answer.unfinished}", WIDTH)
    table = _table(answer, max(FEWEST, min(MOST, LINES - len(said) - 2)))
    room = LINES - len(table) - bool(table)
    if len(said) > room:
        said = [*said[: room - 1], "… the page has the rest"]
    return "\n".join([*said, *([""] if table else []), *table])


def _table(answer: Answer, most: int) -> list[str]:
    """A line for each size, the largest first: the best of the race, random, and what the test said.

    Where there are more than ``most`` sizes, those that were tested stay, then the largest.
    """
    by_size = grouped(answer.points, lambda p: share(p.fraction))
    tested = {size for size, own in by_size.items() if any(p.on == "test" for p in own)}
    shown = sorted(by_size, key=lambda size: (size not in tested, -float(size)))[:most]
    rows = [("images", "best in the race", "random", "on test")]
    for size in sorted(shown, key=float, reverse=True):
        own = by_size[size]
        race = [p for p in own if p.on == "race"]
        best = max(race, key=lambda p: (p.status == "chosen", p.accuracy.mean), default=None)
        random = next((p for p in race if p.method == "random"), None)
        test = next((p for p in own if p.on == "test"), None)
        images = (test or best or own[0]).images
        rows.append(
            (
                f"{images:,} ({size} %)",
                f"{best.method} {wording.percent(best.accuracy.mean)}" if best else wording.NONE,
                wording.percent(random.accuracy.mean) if random else wording.NONE,
                f"{test.method} {wording.percent(test.accuracy.mean)} "
                f"{wording.bounds(test.accuracy.lo, test.accuracy.hi)} {test.status}"
                if test
                else wording.NONE,
            )
        )
    if len(rows) == 1:
        return []
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows]
