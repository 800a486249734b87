"""A card as one self-contained SVG, which needs no style sheet, no script and no network."""

from decoct.report import wording
from decoct.report.card import chart, font, ink
from decoct.report.card.content import Card, Spent, Take
from decoct.report.page.markup import Markup, join, tag

WIDTH, MARGIN = 1200, 56
ROOM = WIDTH - 2 * MARGIN
COLUMN, BETWEEN = 560, 64  # the left one of the two at the bottom
TILE, NAME = 40, 118  # pixels of a picture, and of the name before it


def draw(card: Card, pictures: bool = True) -> str:
    """The card, 1200 pixels wide and as high as it needs to be.

    Args:
        card: what it says.
        pictures: whether pictures stand in it; where the page has them already, each only says which one it is.
    """
    head, y = _head(card)
    keys, y = chart.legend(card, MARGIN, y, ROOM) if card.rows else ([], y)
    plots, y = chart.rows(card, MARGIN, y, ROOM)
    body, y = _columns(card, y + (30 if card.rows else 6), pictures)
    foot, y = _foot(card, y + 30)
    height = round(y + 34)
    parts = [ink.box(0, 0, WIDTH, height, ink.PAPER), *head, *keys, *plots, *body, *foot]
    said = [tag("title", ink.clean(card.question)), tag("desc", ink.clean(f"{card.lead} {card.answer}".strip()))]
    size = {"width": WIDTH, "height": height, "viewBox": f"0 0 {WIDTH} {height}"}
    root = {"xmlns": "http://www.w3.org/2000/svg", **size, "font_family": font.FAMILY, "role": "img"}
    return tag("svg", *said, join(parts, "\n"), **root)


def _head(card: Card) -> tuple[list[Markup], float]:
    """The facts, the question and the answer."""
    y, brand = MARGIN + 4.0, "decoct"
    room = ROOM - ink.wide(brand, 14, True) - 30
    drawn = [
        ink.text(MARGIN, y, ink.fit(" · ".join(card.facts), 14, room), 14, fill=ink.MUTED),
        ink.text(WIDTH - MARGIN, y, brand, 14, bold=True, fill=ink.MUTED, at="end"),
    ]
    asked, y = ink.lines(MARGIN, y + 42, ink.wrap(card.question, 19, ROOM, most=2), 19, fill=ink.MUTED)
    drawn += asked
    if card.lead:
        drawn.append(ink.text(MARGIN, y + 30, ink.fit(f"{card.lead}.", 46, ROOM, True), 46, bold=True))
        said, y = ink.lines(MARGIN, y + 74, ink.wrap(card.answer, 23, ROOM, most=3), 23)
    else:
        said, y = ink.lines(MARGIN, y + 20, ink.wrap(card.answer, 30, ROOM, True, 3), 30, bold=True)
    return [*drawn, *said], y + 20


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
    for i, strip in enumerate(card.strips):
        drawn.append(ink.mark(MARGIN + 6, y + TILE / 2, card.marks[strip.method], 11))
        name = ink.fit(strip.method, 14, NAME - 26)
        drawn.append(ink.text(MARGIN + 20, y + TILE / 2 + 5, name, 14))
        for k, picture in enumerate(strip.pictures):
            place = {"x": MARGIN + NAME + k * (TILE + 4), "y": f"{y:g}", "width": TILE, "height": TILE}
            sharp = {"image_rendering": "optimizeSpeed", "style": "image-rendering:pixelated"} if strip.side <= TILE else {}
            own = {"href": picture} if pictures else {"data_picture": f"{i}-{k}"}
            drawn.append(tag("image", **place, **sharp, **own))
        y += TILE + 8
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
    name = ink.fit(take.method, 14, left, True)
    drawn += [ink.mark(at + 6, y - 5, card.marks[take.method], 11), ink.text(at + 20, y, name, 14, bold=True)]
    left -= ink.wide(name, 14, True) + 10
    if take.where and left > 50:
        drawn.append(ink.text(at + 30 + ink.wide(name, 14, True), y, ink.fit(take.where, 14, left), 14))
    bounds = wording.bounds(take.interval.lo, take.interval.hi)
    drawn.append(ink.text(end, y + 19, bounds, 12, fill=ink.MUTED, at="end"))
    room_left = end - at - 20 - ink.wide(bounds, 12) - 12
    note, low = ink.lines(at + 20, y + 19, ink.wrap(take.note, 12, room_left, most=2), 12, fill=ink.MUTED)
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
        name = ink.fit(method, 14, 190)
        wide = 20 + ink.wide(name, 14)
        if i and at + wide > end - kept:
            return [*drawn, ink.text(at, y, f"and {rest + 1} more", 14, fill=ink.MUTED)]
        name = ink.fit(name, 14, end - at - 20 - kept)
        drawn += [ink.mark(at + 6, y - 5, card.marks[method], 11), ink.text(at + 20, y, name, 14)]
        at += 20 + ink.wide(name, 14) + 18
    return drawn


def _foot(card: Card, y: float) -> tuple[list[Markup], float]:
    if not card.notes:
        return [], y - 30
    said, low = ink.lines(MARGIN, y + 26, ink.wrap(" ".join(card.notes), 12, ROOM, most=3), 12, fill=ink.MUTED)
    return [ink.line(MARGIN, y, WIDTH - MARGIN, y), *said], low - 12
