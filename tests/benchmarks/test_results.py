"""One command for a page: its studies in turn, then its tables, and a line that says what they were made with."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import results


def test_a_page_says_once_what_it_was_made_with():
    page = "# Title\n\nWords.\n\n## One\n\n| a |\n\n## Two\n"
    once = results.stamped(page, "pruning")
    assert results.stamped(once, "pruning") == once
    made = r"Made by `python benchmarks/results\.py pruning` on commit ([0-9a-f]{8,}|unknown), .+, torch \d.+\."
    assert re.fullmatch(rf"# Title\n\nWords\.\n\n{made}\n\n## One\n\n\| a \|\n\n## Two\n", once)


def test_what_a_report_prints_takes_the_place_of_what_it_printed():
    page = "# Title\n\n<!-- report -->\nold\n\n| a |\n<!-- end -->\n\nWords.\n"
    printed = "\none line\n\n\\1 of a table\n\nThe page: /home/me/report.html\n"
    once = results.filled(page, printed)
    assert once == "# Title\n\n<!-- report -->\n```text\none line\n\n\\1 of a table\n```\n<!-- end -->\n\nWords.\n"
    assert results.filled(once, printed) == once


@pytest.mark.parametrize("page", ["# Title\n", "<!-- report -->\nold\n", 2 * "<!-- report -->\n<!-- end -->\n"])
def test_a_page_without_a_place_is_refused(page):
    with pytest.raises(SystemExit, match="needs a line <!-- report --> once"):
        results.filled(page, "line")


@pytest.mark.parametrize("name", results.STUDIES)
def test_studies_are_run_before_the_tables_are_made(name, tmp_path, monkeypatch):
    said = []

    def call(*words):
        said.append(words)
        (tmp_path / "runs" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "runs" / name / "results.csv").write_text("rows", "utf-8")
        return "said\n\nThe page: report.html\n"

    monkeypatch.setattr(results, "call", call)
    page = (results.RESULTS / f"{name}.md").read_text("utf-8")
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    (tmp_path / f"{name}.md").write_text(page, "utf-8")
    results.main([name, "--runs", str(tmp_path / "runs")])
    runs, after = (said[: len(results.STUDIES[name])], said[len(results.STUDIES[name]) :])
    assert [Path(words[3]).stem for words in runs] == list(results.STUDIES[name])
    assert all(Path(words[3]).is_file() and words[-1] == str(tmp_path / "runs" / "store") for words in runs)
    now = (tmp_path / f"{name}.md").read_text("utf-8")
    assert "Made by" in now
    if len(runs) > 1:
        assert Path(after[0][0]).is_file() and Path(after[0][0]).stem == name
    else:
        assert after[0] == ("-m", "decoct", "report", str(tmp_path / "runs" / name))
        assert [words[-1] for words in after[1:]] == [str(tmp_path / f"{name}.png")] * ("card of this" in page)
        assert "<!-- report -->\n```text\nsaid\n```\n<!-- end -->" in now
        assert (tmp_path / f"{name}.csv").read_text("utf-8") == "rows"
