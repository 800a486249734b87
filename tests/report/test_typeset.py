"""Tables as Markdown and LaTeX: nothing in a cell is a command, no line is long, the best stands out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.report.typeset import TEX, WIDTH, Table, latex, markdown, tex

HOSTILE = (
    "a & b",
    r"\input{/etc/passwd}",
    "50 % $x_1$ #1 ^~",
    "[1ex] cut",
    " * cut",
    "a | b",
    "<script>",
    "two\nlines",
    "a -- b",
    "f''(`x`)",
    "مرحبا",
)
CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp"))
LETTERS = st.text(CHARACTERS, max_size=20)
CELLS = st.one_of(st.sampled_from(HOSTILE), LETTERS)


def table(cell):
    return Table("x", "t", ["a", "b"], [[cell, "1"], ["2", cell]], ["n."])


def untex(text):
    """The text behind what ``tex`` made: its replacements undone, the longest first."""
    back = {made: plain for plain, made in TEX.items() if plain not in "\n\r"}
    text = re.sub(r"([-'])\{\}(?=\1)", r"\1", text)
    return re.sub("|".join(re.escape(made) for made in sorted(back, key=len, reverse=True)), lambda m: back[m[0]], text)


@given(CELLS)
def test_latex_keeps_every_cell_and_nothing_else_is_a_command(cell):
    made = latex(table(cell))
    first, second = made.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert first.endswith(" & 1 \\\\") and second.startswith("2 & ")
    shown = first.removesuffix(" & 1 \\\\").removeprefix("{}" if cell.lstrip().startswith(("[", "*")) else "")
    assert untex(shown) == cell.replace("\n", " ")
    assert not first.lstrip().startswith(("[", "*"))  # after \\ it would be an option
    assert not re.search(r"(?<!\\)[&%#_]", shown)
    assert shown.count("$") - shown.count(r"\$") == 2 * sum(TEX.get(c, "").startswith("$") for c in cell)


def test_latex_is_a_whole_float():
    assert latex(table("x")).splitlines() == [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering",
        "\\caption{t}",
        "\\label{tab:x}",
        "\\begin{tabular}{lr}",
        "\\toprule",
        "a & b \\\\",
        "\\midrule",
        "x & 1 \\\\",
        "2 & x \\\\",
        "\\bottomrule",
        "\\end{tabular}",
        "\\par\\smallskip\\footnotesize n.",
        "\\end{table}",
    ]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("−0.8 ± 1", r"$-$0.8 $\pm$ 1"),
        ("k_c†", r"k\_c$^\dagger$"),
        ("–", r"\textendash{}"),
        ("--", "-{}-"),
        ("'''", "'{}'{}'"),
    ],
)
def test_signs_are_those_that_every_font_has(text, made):
    assert tex(text) == made


@given(CELLS)
def test_markdown_keeps_columns_and_reads_back(cell):
    lines = markdown(table(cell)).splitlines()
    assert all(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3 for line in lines[2:6])
    shown = re.fullmatch(r"\| (.*) \| 1 \|", lines[4])[1]
    assert re.sub(r"\\(.)", r"\1", shown) == " ".join(cell.splitlines())
    assert not re.search(r"(?<!\\)<", re.sub(r"\\\\", "", shown))


def rows_of(made):
    """The cells of each row as LaTeX reads them: a line's end and the indent behind it are a space, or none after %."""
    body = re.sub(r"(?<!\\)%\n *", "", made.split("\\midrule\n")[1].split("\\bottomrule")[0])
    rows = body.split("\\\\\n")
    return [[" ".join(cell.split()) for cell in re.split(r"(?<!\\)&", row)] for row in rows[:-1]]


@given(st.lists(st.text(CHARACTERS, max_size=150), min_size=4, max_size=4), st.booleans())
def test_no_line_of_latex_is_long_and_every_cell_is_there(cells, bold):
    made = latex(
        Table("x", cells[3], ["a", "b", "c"], [cells[:3]], [cells[0], cells[1]], 2, {(0, 2)} if bold else set())
    )
    assert all(len(line) <= WIDTH and (line.strip() or made.endswith(line)) for line in made.splitlines())
    (row,) = rows_of(made)
    wanted = [" ".join(tex(cell).split()) for cell in cells[:3]]
    wanted[2] = f"\\textbf{{{wanted[2]}}}" if bold else wanted[2]
    guarded = [cell.removeprefix("{}").replace("\\textbf{{}", "\\textbf{") for cell in row]  # from \\[…] and \\*
    assert [cell.replace("{ ", "{").replace(" }", "}") for cell in guarded] == wanted
    assert "\\begin{tabular}{llr}" in made


def test_markdown_aligns_numbers_and_marks_the_best():
    made = markdown(Table("x", "t", ["a", "b"], [["k_c", "1"], ["r", "2 * 3"]], (), 1, {(1, 1)}))
    assert made.splitlines()[2:] == ["| a | b |", "|---|---:|", "| k\\_c | 1 |", "| r | **2 \\* 3** |"]
