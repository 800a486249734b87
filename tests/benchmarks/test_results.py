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


@pytest.mark.parametrize("name", results.STUDIES)
def test_studies_are_run_before_the_tables_are_made(name, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(results, "call", lambda *words: said.append(words))
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    (tmp_path / f"{name}.md").write_text("# Title\n\n## Table\n", "utf-8")
    results.main([name, "--runs", str(tmp_path / "runs")])
    *runs, tables = said
    assert [Path(words[3]).stem for words in runs] == list(results.STUDIES[name])
    assert all(Path(words[3]).is_file() and words[-1] == str(tmp_path / "runs" / "store") for words in runs)
    assert Path(tables[0]).is_file() and Path(tables[0]).stem == name
    assert "Made by" in (tmp_path / f"{name}.md").read_text("utf-8")
