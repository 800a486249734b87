"""A docstring of decoct's as Markdown: sections, formulas, links to arXiv."""

import inspect
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Source", "Example")
WIDTH = 72  # characters of a formula that a page has room for
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
OPENREVIEW = re.compile(r"openreview(?:\.net/forum\?id=|:|\s)(\w{10})\b", re.IGNORECASE)
CODE = re.compile(r"(``.+?``|`[^`]+`)")


@dataclass(frozen=True)
class Docstring:
    """Its parts: the first sentence, the paragraphs below it, and sections by name.

    ``items`` holds what a section lists as ``name: text``; ``text`` holds a section as it stands.
    """

    summary: str = ""
    body: str = ""
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)


def parse(docstring: str | None) -> Docstring:
    """The parts of a docstring in Google's style; of None, empty ones."""
    blocks = re.split(rf"^({'|'.join(SECTIONS)}):\n", inspect.cleandoc(docstring or ""), flags=re.MULTILINE)
    summary, _, body = blocks[0].strip().partition("\n\n")
    text = {name: inspect.cleandoc(block) for name, block in zip(blocks[1::2], blocks[2::2], strict=True)}
    items = {name: _items(block) for name, block in text.items() if name in ("Args", "Attributes", "Raises")}
    return Docstring(joined(summary), body.strip(), items, text)


def own(thing: Any) -> Docstring:
    """Of a class or function, and not one that it inherits."""
    return parse(vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__)


def example(found: Docstring) -> str:
    """What somebody types and what comes back; empty where a docstring has none."""
    return f"```pycon\n{found.text['Example']}\n```" if "Example" in found.text else ""


def markdown(text: str) -> str:
    """Paragraphs as Markdown: formulas that stand by themselves as blocks, lists as lists, the rest as prose."""
    return "\n\n".join(_paragraph(part) for part in re.split(r"\n\s*\n", text) if part.strip())


def inline(text: str) -> str:
    """A line or a wrapped paragraph: what stands between double spaces is a formula, ids of arXiv are links."""
    text = re.sub(r"(?<=\S) {2,}(\S.*?\S)(?: {2,}|(?=\.?$))", r" `\1` ", joined(text)).strip()
    text = re.sub(r"` ([.,;)])", r"`\1", text)
    parts = CODE.split(text)
    parts[::2] = [ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", _escaped(part)) for part in parts[::2]]
    return "".join(parts)


def cell(text: str) -> str:
    """The same in a table."""
    return inline(text).replace("|", "\\|")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def papers(*texts: str | None) -> dict[str, str]:
    """Addresses of papers by their ids, in the order in which they are named."""
    found = {}
    for text in texts:
        found |= {number: f"https://arxiv.org/abs/{number}" for number in ARXIV.findall(text or "")}
        found |= {number: f"https://openreview.net/forum?id={number}" for number in OPENREVIEW.findall(text or "")}
    return found


def joined(text: str) -> str:
    """Wrapped lines as one."""
    return " ".join(line.strip() for line in text.splitlines()).strip()


def _items(block: str) -> dict[str, str]:
    """``name: text`` with hanging indents."""
    found = re.split(r"^(\w[\w.]*): ", block, flags=re.MULTILINE)
    return {name: joined(text) for name, text in zip(found[1::2], found[2::2], strict=True)}


def _paragraph(part: str) -> str:
    lines = part.strip("\n").splitlines()
    if all(line.startswith("    ") for line in lines) or all(re.match(r"[^`\s]+ +[=←] ", line) for line in lines):
        formula = inspect.cleandoc("\n".join(lines))
        spread = [each.rstrip() for line in formula.splitlines() for each in re.split(r"(?<=\S) {6,}", line)]
        tidy = [re.sub(r"(?<=\S) +(?=[=←] )", " ", line) for line in spread]
        short = [part for line in tidy for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ") or [""]]
        return "\n".join(["```text", *short, "```"])
    if lines[0].startswith("- "):
        return "\n".join(f"- {inline(item)}" for item in re.split(r"^- ", part, flags=re.MULTILINE) if item.strip())
    return inline(part)


def _escaped(text: str) -> str:
    """Nothing but text: no emphasis, no markup, no reference."""
    return re.sub(r"([*_\[\]\\])", r"\\\1", text).replace("<", "&lt;").replace(">", "&gt;")
