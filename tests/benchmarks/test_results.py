"""One command for a page: its studies in turn, then its tables, and a line that says what they were made with."""

import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import results

STUDY = "# Title\n\n<!-- report -->\nold\n\n| a |\n<!-- end -->\n\nWords.\n\n<!-- verdict -->\n<!-- end -->\n"


@pytest.fixture
def said(monkeypatch, tmp_path):
    """What was called; each call of decoct or of a benchmark leaves files, and prints."""
    calls = []

    def call(*words, width=0):
        calls.append(words)
        if words[2:3] == ("run",):
            folder = Path(words[words.index("--out") + 1])
            (folder / "tables").mkdir(parents=True, exist_ok=True)
            (folder / "results.csv").write_text("rows", "utf-8")
            for table in ("verdict", "metrics", "accuracy", "ranking", "controls"):
                (folder / "tables" / f"{table}.md").write_text(f"**{table}**\n", "utf-8")
        return "\none line\n\n\\1 of a table\n\nThe page: /home/me/report.html\n"

    monkeypatch.setattr(results, "call", call)
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    return calls


def test_a_page_says_once_what_it_was_made_with():
    page = "# Title\n\nWords.\n\n## One\n\n| a |\n\n## Two\n"
    once = results.stamped(page, "pruning")
    assert results.stamped(once, "pruning") == once
    made = r"Made by `python benchmarks/results\.py pruning` on commit ([0-9a-f]{8,}|unknown), .+, torch \d.+\."
    assert re.fullmatch(rf"# Title\n\nWords\.\n\n{made}\n\n## One\n\n\| a \|\n\n## Two\n", once)


def test_what_is_printed_and_written_takes_the_place_of_what_was(said, tmp_path):
    page = tmp_path / "coresets.md"
    page.write_text(STUDY, "utf-8")
    for _ in range(2):
        results.main(["coresets", "--runs", str(tmp_path / "runs")])
        assert page.read_text("utf-8").startswith(
            "# Title\n\n<!-- report -->\n```text\none line\n\n\\1 of a table\n```\n<!-- end -->\n\nWords.\n\n"
            "<!-- verdict -->\n**verdict**\n<!-- end -->\n\nMade by"
        )
    assert (tmp_path / "coresets.csv").read_text("utf-8") == "rows"


def test_what_is_edited_while_a_page_is_made_is_kept(said, tmp_path, monkeypatch):
    page, filled = tmp_path / "coresets.md", results.filled
    page.write_text(STUDY, "utf-8")

    def edited(what, runs, studies):
        page.write_text(page.read_text("utf-8").replace("Words.", "Other words."), "utf-8")
        return filled(what, runs, studies)

    monkeypatch.setattr(results, "filled", edited)
    results.main(["coresets", "--runs", str(tmp_path / "runs")])
    assert "\nOther words.\n" in page.read_text("utf-8") and "**verdict**" in page.read_text("utf-8")


def test_a_benchmark_fills_the_place_that_names_it(said, tmp_path):
    page = tmp_path / "cleaning.md"
    page.write_text("# Title\n\n<!-- cleaning.py --out RUNS/cleaning -->\nold\n<!-- end -->\n", "utf-8")
    results.main(["cleaning", "--runs", str(tmp_path / "runs")])
    assert said == [(str(results.ROOT / "benchmarks" / "cleaning.py"), "--out", str(tmp_path / "runs" / "cleaning"))]
    assert "RUNS/cleaning -->\none line\n" in page.read_text("utf-8")


@pytest.mark.parametrize(
    "page",
    [
        "# Title\n\n<!-- report -->\nold\n",
        2 * "<!-- report -->\n" + "<!-- end -->\n",
        "# Title\n\n<!-- end -->\n",
        "<!-- report -->\nold\n\n<!-- verdict -->\nold\n<!-- end -->\n",
    ],
)
def test_a_place_without_an_end_is_refused(page):
    with pytest.raises(SystemExit, match="needs a line <!-- end -->"):
        results.places(page)


def test_a_report_is_of_all_studies_and_the_built_in_one_has_no_file(said, tmp_path, monkeypatch):
    (tmp_path / "verdict.md").write_text(STUDY.partition("\n<!-- verdict -->")[0], "utf-8")
    three = results.Page((results.BUILT_IN, "fashion_mnist", "clipart"))
    monkeypatch.setitem(results.PAGES, "verdict", three)
    results.main(["verdict", "--runs", str(tmp_path / "runs")])
    (*runs, report) = said
    assert runs[0][3] == "--out" and all(words[3].endswith(".toml") for words in runs[1:])
    folders = [str(tmp_path / "runs" / name) for name in three.studies]
    assert report[2:-2] == ("report", *folders) and report[-2] == "--out"
    assert "<!-- report -->\n- one line\n- \\1 of a table\n<!-- end -->" in (tmp_path / "verdict.md").read_text("utf-8")


def test_a_table_of_a_study_is_refused_where_there_are_several(said, tmp_path):
    (tmp_path / "pruning.md").write_text(STUDY, "utf-8")
    with pytest.raises(SystemExit, match="<!-- verdict --> needs a page of one study"):
        results.main(["pruning", "--runs", str(tmp_path / "runs")])


@pytest.mark.parametrize("name", results.PAGES)
def test_a_page_comes_from_studies_and_benchmarks_that_are_there(name, said, tmp_path):
    asked, runs = results.PAGES[name], tmp_path / "runs"
    here = results.ROOT / "docs" / "results"
    page = (here / f"{name}.md").read_text("utf-8")
    (tmp_path / f"{name}.md").write_text(page, "utf-8")
    for file, source in asked.rows.items():
        assert (here / file).is_file()
        (runs / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(here / file, runs / source)
    results.main([name, "--runs", str(runs)])
    made = [words for words in said if words[2:3] == ("run",)]
    assert [Path(words[-3]).name for words in made] == list(asked.studies) and said[: len(made)] == made
    files = [words[3] for words in made if words[3] != "--out"]
    assert [Path(file).stem for file in files] == [study for study in asked.studies if study != results.BUILT_IN]
    assert all(Path(file).is_file() for file in files) and all(words[-1] == str(runs / "store") for words in made)
    benchmarks = [words for words in said if words[0] != "-m"]
    assert all(Path(words[0]).is_file() and "RUNS" not in " ".join(words[1:]) for words in benchmarks)
    assert [Path(words[0]).name for words in benchmarks[: len(asked.steps)]] == [
        step.split()[0] for step in asked.steps
    ]
    assert asked.steps or results.PLACE.search(page), "nothing of the page would be made"
    assert "Made by" in (tmp_path / f"{name}.md").read_text("utf-8")
    cards = [words[-1] for words in said if "--card" in words]
    assert cards == [str(tmp_path / f"{name}.png")] * ("card of this" in page)
