"""A run's files: the tables of a paper, their Markdown and LaTeX."""

import csv
import json
import math
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.report import wording, write
from decoct.report.accuracy import Setting
from decoct.report.verdict import correction
from decoct.report.write import TEX, Table, latex, markdown, tex, write_report

NAMES = {f"{name}.{ending}" for name in ("accuracy", "verdict", "metrics") for ending in ("md", "tex")} | {
    "classes.csv"
}


def test_all_are_written_each_in_one_step_and_the_same_again(builder):
    folder = builder.build()
    write_report(folder)
    first = {file.name: file.read_bytes() for file in (folder / "tables").iterdir()}
    write_report(folder)
    assert set(first) == NAMES
    assert {file.name: file.read_bytes() for file in (folder / "tables").iterdir()} == first


def test_accuracies_are_those_of_the_report_with_interval_and_n(builder):
    summary = write_report(builder.build())
    table = write.accuracy(summary)
    assert table.head == ["method", "protocol", "student", "IPC 1", "IPC 10"]
    rows = {(row[0], row[1]): row[3:] for row in table.rows}
    assert len(rows) == len(table.rows) == 3 * (5 + 1)
    own = summary.accuracy("rded", Setting("erm", "convnet3_w32", "ipc=10")).interval
    assert rows["rded", "erm"][1] == f"{wording.accuracy(own)} (n = 5)"
    assert all(cell.endswith("(n = 360)") for cell in rows["full data", "erm"])
    assert ("herding†", "erm") in rows and write.DAGGER in table.notes


def test_verdicts_give_word_difference_interval_and_n(builder):
    summary = write_report(builder.build())
    (row,) = [r for r in write.verdict(summary).rows if r[:2] == ["rded", "erm"]]
    v = summary.verdict("rded", Setting("erm", "convnet3_w32", "ipc=1"))
    assert row[3].startswith(f"random: better {wording.points(v.random.mean)} [") and "(n = 5)" in row[3]
    assert row[3].endswith(f"best coreset: {v.against_coresets}")
    assert not any(r[0] == "random" for r in write.verdict(summary).rows)


def test_verdicts_say_what_their_words_mean(builder):
    builder.truth = dict.fromkeys(builder.truth, 0.12)
    folder = builder.build()
    run = json.loads((folder / "run.json").read_text())
    run["study"]["margin"] = None
    (folder / "run.json").write_text(json.dumps(run))
    notes = " ".join(write.verdict(summary := write_report(folder)).notes)
    assert f"Same: within {100 * min(summary.margins.values()):.2g} to 1 point by two one-sided tests" in notes
    assert "95 % intervals over sets and test images" in notes and "Open is not equal" in notes
    assert f"{correction(summary.verdicts)}." in notes


def test_metrics_give_interval_n_and_what_random_gives(builder):
    table = write.metrics(write_report(builder.build()))
    assert table.head[3:] == ["random", "herding†", "k_center†", "rded", "sre2l", "random sets"]
    (row,) = [r for r in table.rows if r[0].startswith("mmd") and r[1] == "IPC 10"]
    assert row[0].endswith("↓") and row[2] == "teacher" and row[-1] == "0.0200 (n = 20)"
    assert all("(n = " in cell for cell in row[3:])


def test_classes_are_all_there_in_full(builder):
    builder.class_names = ("a,b", '"c"', "=1+1")
    folder = builder.build()
    write_report(folder)
    with (folder / "tables" / "classes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 3 * 2 * 3 and {row["class"] for row in rows} == set(builder.class_names)
    assert all(float(row["lo"]) <= float(row["accuracy"]) <= float(row["hi"]) for row in rows)


@pytest.mark.parametrize(
    ("change", "there"),
    [
        ({"holes": lambda labels: True}, set()),
        ({"holes": lambda labels: labels["kind"] == "train"}, {"metrics.md", "metrics.tex"}),
        ({"holes": lambda labels: labels["kind"] == "measure"}, NAMES - {"metrics.md", "metrics.tex"}),
        ({"methods": {"rded": ("distillation", True)}}, NAMES - {"verdict.md", "verdict.tex"}),
        ({"replicates": 1}, NAMES),
    ],
)
def test_what_a_run_lacks_is_taken_away(builder, change, there):
    write_report(builder.build())
    builder.jobs = []
    for name, value in change.items():
        setattr(builder, name, value)
    shutil.rmtree(builder.folder / "store")
    write_report(builder.build())
    files = list((builder.folder / "tables").iterdir())
    assert {file.name for file in files} == there
    assert not any(word in file.read_text("utf-8") for file in files for word in ("nan", "None", "inf"))


def test_one_replicate_has_no_bounds(builder):
    builder.replicates = 1
    summary = write_report(builder.build())
    rows = [row for row in write.accuracy(summary).rows if row[0] != "full data"]
    assert all("[" not in cell and cell.endswith("(n = 1)") for row in rows for cell in row[3:])
    assert math.isnan(summary.accuracies[0].interval.lo)


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
LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=20)
CELLS = st.one_of(st.sampled_from(HOSTILE), LETTERS)


def table(cell):
    return Table("t", ["a", "b"], [[cell, "1"], ["2", cell]], ["n."])


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
