"""A table of words as Markdown and as LaTeX (booktabs); whatever a cell holds, it is read as text."""

import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH = 120  # of a line of LaTeX: what editors and reviewers of a diff show
TEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "−": "$-$",
    "–": r"\textendash{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "†": r"$^\dagger$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "…": r"\ldots{}",
    "\n": " ",
    "\r": " ",
    **{c: f"\\{c}" for c in "{}$&#_%"},
}

LIGATURES = re.compile(r"-(?=-)|'(?=')")  # two of them are set as one sign
SIGN = re.compile(r"\\[a-zA-Z]+\{?\}?|\$[^$]*\$|\\.|[-']\{\}|.")  # what ``tex`` makes of one character


@dataclass(frozen=True)
class Table:
    """Words in rows and columns, with what the numbers are.

    Attributes:
        name: of its file, and of its label in LaTeX.
        title: one line.
        head: of the columns.
        rows: as long as the head.
        notes: how to read it; one sentence each.
        words: how many columns, from the left, hold words; those behind them hold numbers.
        bold: cells that stand out, by row and column.
    """

    name: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    words: int = 1
    bold: Collection[tuple[int, int]] = ()


def markdown(table: Table) -> str:
    """The table in the dialect of GitHub; nothing in a cell is read as markup."""
    lines = [f"**{_plain(table.title)}**", ""]
    numbers = len(table.head) - table.words
    lines += [_piped(map(_plain, table.head)), f"|{'---|' * table.words}{'---:|' * numbers}"]
    lines += [_piped(_cells(table, i, _plain, "**{}**")) for i in range(len(table.rows))]
    lines += ["", *(_plain(note) for note in table.notes), ""] if table.notes else [""]
    return "\n".join(lines)


def latex(table: Table) -> str:
    """The table as a float that needs the package booktabs, with the label ``tab:NAME``, in lines of ``WIDTH``."""
    lines = ["% needs \\usepackage{booktabs}", "\\begin{table}", "\\centering"]
    lines += [*filled(f"\\caption{{{tex(table.title)}}}"), f"\\label{{tab:{table.name}}}"]
    columns = "l" * table.words + "r" * (len(table.head) - table.words)
    lines += [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", *_row(map(_safe, table.head)), "\\midrule"]
    for i in range(len(table.rows)):
        lines += _row(_cells(table, i, _safe, "\\textbf{{{}}}"))
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += filled("\\par\\smallskip\\footnotesize " + " ".join(map(tex, table.notes))) if table.notes else []
    return "\n".join([*lines, "\\end{table}", ""])


def tex(text: str) -> str:
    """Text with LaTeX's own characters escaped, and signs that its fonts lack as mathematics."""
    return LIGATURES.sub(r"\g<0>{}", "".join(TEX.get(c, c) for c in text))


def filled(text: str, indent: str = "") -> list[str]:
    """LaTeX in lines of ``WIDTH``, those behind the first indented; a word that is longer is cut between its signs.

    A line that ends in ``%`` continues in the next one without a space.
    """
    wrapper = textwrap.TextWrapper(WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    lines = wrapper.wrap(text)
    return [part for line in lines for part in ([line] if len(line) <= WIDTH else _cut(line))]


def _cut(line: str) -> Iterator[str]:
    part = ""
    for sign in SIGN.findall(line):
        if len(part) + len(sign) >= WIDTH:
            yield f"{part}%"
            part = ""
        part += sign
    yield part


def _cells(table: Table, row: int, text: Callable[[str], str], bold: str) -> Iterator[str]:
    for column, cell in enumerate(table.rows[row]):
        yield bold.format(text(cell)) if (row, column) in table.bold else text(cell)


def _safe(cell: str) -> str:
    """A cell in LaTeX; a bracket or star that begins a row would be an option of the ``\\\\`` before it."""
    return "{}" * cell.lstrip().startswith(("[", "*")) + tex(cell)


def _row(cells: Iterable[str]) -> list[str]:
    """A row in one line where it fits, else a cell a line."""
    own = list(cells)
    if len(line := " & ".join(own) + " \\\\") <= WIDTH:
        return [line]
    first, *rest = own
    lines = filled(first or "{}", "    ")
    for cell in rest:
        lines += filled(f"  & {cell}", "    ")
    return [*lines, "  \\\\"]


def _piped(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", " ".join(text.splitlines()))
