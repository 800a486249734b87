"""A plain table as Markdown and as LaTeX (booktabs)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Table:
    """Words in rows and columns, with what the numbers are.

    Attributes:
        title: one line.
        head: of the columns; the first names the rows.
        rows: as long as the head.
        notes: how to read it; one sentence each.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def markdown(table: Table) -> str:
    """The table in the dialect of GitHub; nothing in a cell is read as markup."""
    lines = [f"**{_plain(table.title)}**", ""]
    lines += [_piped(table.head), "|" + "|".join(["---"] + ["---:"] * (len(table.head) - 1)) + "|"]
    lines += [_piped(row) for row in table.rows]
    lines += ["", *(_plain(note) for note in table.notes), ""] if table.notes else [""]
    return "\n".join(lines)


def latex(table: Table) -> str:
    """The table as a float that needs the package booktabs; nothing in a cell is read as a command."""
    lines = ["% needs \\usepackage{booktabs}", "\\begin{table}", "\\centering", f"\\caption{{{tex(table.title)}}}"]
    lines += [f"\\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}", "\\toprule", _row(table.head), "\\midrule"]
    lines += [*map(_row, table.rows), "\\bottomrule", "\\end{tabular}"]
    lines += ["\\par\\smallskip\\footnotesize " + " ".join(map(tex, table.notes))] if table.notes else []
    return "\n".join([*lines, "\\end{table}", ""])


def tex(text: str) -> str:
    """Text with LaTeX's own characters escaped, and signs that its fonts lack as mathematics."""
    return LIGATURES.sub(r"\g<0>{}", "".join(TEX.get(c, c) for c in text))


def _row(cells: Sequence[str]) -> str:
    """Cells up to the line's end; a bracket or star that begins one would be an option of the ``\\\\`` before it."""
    return " & ".join("{}" * cell.lstrip().startswith(("[", "*")) + tex(cell) for cell in cells) + " \\\\"


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", " ".join(text.splitlines()))
