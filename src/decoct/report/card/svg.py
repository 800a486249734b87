"""A card as one self-contained SVG, which needs no style sheet, no script and no network."""

from decoct.report import wording
from decoct.report.card import chart, font, ink, ranking
from decoct.report.card.content import Card
from decoct.report.card.spent import Spent
from decoct.report.card.take import Take
from decoct.report.page.markup import Markup, join, tag

MADE = "decoct card"  # marks every card, so that no other file is overwritten by one
WIDTH, MARGIN = 1200, 56
ROOM = WIDTH - 2 * MARGIN
COLUMN, BETWEEN = 560, 64  # the left one of the two at the bottom
TILE, NAME = 40, 160  # pixels of a picture, and of the name before it, at most


TAIL = 4  # letters kept at the end of a method's name when it is cut: they distinguish variants


def draw(card: Card, pictures: bool = True) -> str:
    """The card, 1200 pixels wide and as high as it needs to be.

    Args:
        card: what it says.
        pictures: whether pictures stand in it; where the page has them already, each only says which one it is.
    """
    head, y = _head(card)
    keys, y = chart.legend(card, MARGIN, y, ROOM) if card.rows and not card.ranked else ([], y)
    plots, y = ranking.lines(card, MARGIN, y, ROOM) if card.ranked else chart.rows(card, MARGIN, y, ROOM)
    body, y = _columns(card, y + (30 if card.rows else 6), pictures)
    foot, y = _foot(card, y + 30)
    height = round(y + 34)
    parts = [ink.box(0, 0, WIDTH, height, ink.PAPER), *head, *keys, *plots, *body, *foot]
    said = [
        tag("metadata", MADE),
        tag("title", ink.clean(card.question)),
        tag("desc", ink.clean(f"{card.lead} {card.answer}".strip())),
    ]
    size = {"width": WIDTH, "height": height, "viewBox": f"0 0 {WIDTH} {height}"}
    root = {"xmlns": "http://www.w3.org/2000/svg", **size, "font_family": font.FAMILY, "role": "img"}
    return tag("svg", *said, join(parts, "\n"), **root)


def _head(card: Card) -> tuple[list[Markup], float]:
    """The facts, the question and the answer."""
    y, brand = MARGIN + 4.0, "decoct"
    drawn = _facts(card, MARGIN, y, ROOM - ink.wide(brand, 14, True) - 30)
    drawn.append(ink.text(WIDTH - MARGIN, y, brand, 14, bold=True, fill=ink.MUTED, at="end"))
    asked, y = ink.lines(MARGIN, y + 42, ink.wrap(card.question, 19, ROOM, most=2), 19, fill=ink.MUTED)
    drawn += asked
    if card.lead:
        drawn.append(ink.text(MARGIN, y + 30, ink.fit(f"{card.lead}.", 46, ROOM, True), 46, bold=True))
        said, y = ink.lines(MARGIN, y + 74, ink.wrap(card.answer, 23, ROOM, most=3), 23)
    else:
        said, y = ink.lines(MARGIN, y + 20, ink.wrap(card.answer, 30, ROOM, True, 3), 30, bold=True)
    return [*drawn, *said], y + 20


def _facts(card: Card, x: float, y: float, room: float) -> list[Markup]:
    """Each by itself, so that one in letters from right to left leaves the others in their places."""
    drawn, at, dot = list[Markup](), x, 20.0
    for i, fact in enumerate(card.facts):
        said = ink.fit(fact, 14, min(x + room - at, 0.5 * room))
        drawn += [ink.text(at - dot / 2, y, "·", 14, fill=ink.MUTED, at="middle")] if i else []
        drawn.append(ink.text(at, y, said, 14, fill=ink.MUTED))
        at += ink.wide(said, 14) + dot
        if at > x + room - 60:
            break
    return drawn


def _columns(card: Card, y: float, pictures: bool) -> tuple[list[Markup], float]:
    """Pictures on the left; on the right what to take and what it cost, or side by side where there is no picture."""
    right = MARGIN + COLUMN + BETWEEN
    if card.strips:
        drawn, low = _strips(card, y, pictures)
        more, end = _takes(card, right, y, WIDTH - MARGIN - right)
        rest, end = _costs(card, right, end + (22 if more else 0), WIDTH - MARGIN - right)
        return [*drawn, *more, *rest], max(low, end)
    left, low = _takes(card, MARGIN, y, COLUMN)
    rest, end = _costs(card, right if left else MARGIN, y, WIDTH - MARGIN - right)
    return [*left, *rest], max(low, end)


def _heading(x: float, y: float, said: str, more: str, room: float) -> list[Markup]:
    at = ink.wide(said, 16, True) + 12
    drawn = [ink.text(x, y, said, 16, bold=True)]
    return [*drawn, ink.text(x + at, y, ink.fit(more, 13, room - at), 13, fill=ink.MUTED)] if more else drawn


def _strips(card: Card, y: float, pictures: bool) -> tuple[list[Markup], float]:
    drawn = _heading(MARGIN, y + 14, "What the sets look like", card.pictured, COLUMN)
    y += 34
    first = max(96, min(NAME, max(ink.wide(strip.method, 14) for strip in card.strips) + 40))
    tile = min(TILE, (COLUMN - first) // 10 - 4)
    for i, strip in enumerate(card.strips):
        drawn.append(ink.mark(MARGIN + 6, y + tile / 2, card.marks[strip.method], 11))
        drawn.append(ink.text(MARGIN + 20, y + tile / 2 + 5, ink.fit(strip.method, 14, first - 32, tail=TAIL), 14))
        for k, picture in enumerate(strip.pictures):
            place = {"x": f"{MARGIN + first + k * (tile + 4):g}", "y": f"{y:g}", "width": tile, "height": tile}
            sharp = {"image_rendering": "optimizeSpeed", "style": "image-rendering:pixelated"}
            own = {"href": picture} if pictures else {"data_picture": f"{i}-{k}"}
            drawn.append(tag("image", **place, **(sharp if strip.side <= tile else {}), **own))
        y += tile + 8
    return drawn, y - 8


def _takes(card: Card, x: float, y: float, room: float) -> tuple[list[Markup], float]:
    if not card.takes:
        return [], y
    drawn = _heading(x, y + 14, "What to take", "the highest mean accuracy", room)
    y += 44
    first = min(max(ink.wide(take.limit, 14) for take in card.takes), 150) + 22
    for take in card.takes:
        parts, y = _take(card, take, x, y, room, first)
        drawn += parts
    return drawn, y - 10


def _take(card: Card, take: Take, x: float, y: float, room: float, first: float) -> tuple[list[Markup], float]:
    at, end = x + first, x + room
    drawn = [ink.text(x, y, ink.fit(take.limit, 14, first - 14), 14, fill=ink.MUTED)]
    if take.interval is None:
        said, y = ink.lines(at, y, ink.wrap(take.note, 14, end - at, most=3), 14)
        return [*drawn, *said], y + 8
    number = f"{wording.percent(take.interval.mean)} %"
    drawn.append(ink.text(end, y, number, 14, bold=True, at="end"))
    left = end - at - 20 - ink.wide(number, 14, True) - 16
    name = ink.fit(take.method, 14, left, True, TAIL)
    drawn += [ink.mark(at + 6, y - 5, card.marks[take.method], 11), ink.text(at + 20, y, name, 14, bold=True)]
    left -= ink.wide(name, 14, True) + 8
    small = take.note
    if ink.wide(take.where, 14) > left:
        small = f"{take.where}; {small}"
    elif take.where:
        drawn.append(ink.text(at + 28 + ink.wide(name, 14, True), y, take.where, 14))
    bounds = wording.bounds(take.interval.lo, take.interval.hi)
    drawn += [ink.text(end, y + 19, bounds, 12, fill=ink.MUTED, at="end")] if bounds else []
    narrow = end - at - 20 - ink.wide(bounds, 12) - 12
    note, low = ink.lines(at + 20, y + 19, ink.wrap(small, 12, narrow, most=3), 12, fill=ink.MUTED)
    return [*drawn, *note], low + 12


def _costs(card: Card, x: float, y: float, room: float) -> tuple[list[Markup], float]:
    if not card.costs and not card.uncompared:
        return [], y
    drawn = _heading(x, y + 14, "What a set cost", "teachers included" if card.costs else "", room)
    y += 42
    if card.uncompared:
        said, y = ink.lines(x, y, ink.wrap(card.uncompared, 14, room, most=3), 14, fill=ink.MUTED)
        return [*drawn, *said], y - 8
    for spent in card.costs:
        drawn += _spent(card, spent, x, y, room)
        y += 25
    return drawn, y - 14


def _spent(card: Card, spent: Spent, x: float, y: float, room: float) -> list[Markup]:
    """Marks and names as many as there is room for, then how many more, and the span at the right end."""
    drawn = [ink.text(x + room, y, spent.span, 14, bold=True, at="end")]
    at, end = x, x + room - ink.wide(spent.span, 14, True) - 20
    for i, method in enumerate(spent.methods):
        rest = len(spent.methods) - i - 1
        kept = ink.wide(f"and {rest + 1} more", 14) + 8 if rest else 0
        name = ink.fit(method, 14, 190, tail=TAIL)
        wide = 20 + ink.wide(name, 14)
        if i and at + wide > end - kept:
            return [*drawn, ink.text(at, y, f"and {rest + 1} more", 14, fill=ink.MUTED)]
        name = ink.fit(method, 14, min(190, end - at - 20 - kept), tail=TAIL)
        drawn += [ink.mark(at + 6, y - 5, card.marks[method], 11), ink.text(at + 20, y, name, 14)]
        at += 20 + ink.wide(name, 14) + 18
    return drawn


def _foot(card: Card, y: float) -> tuple[list[Markup], float]:
    if not card.notes:
        return [], y - 30
    said, low = ink.lines(MARGIN, y + 26, ink.wrap(" ".join(card.notes), 12, ROOM, most=3), 12, fill=ink.MUTED)
    return [ink.line(MARGIN, y, WIDTH - MARGIN, y), *said], low - 12
