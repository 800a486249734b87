"""The check of prose finds listed phrases and long sentences where they are, and nothing in code."""

from pathlib import Path

import prose
import pytest

ROOT = Path(__file__).parents[2]
WORDS = {"hang on": "depends on", "pairs pair": "comparisons are paired"}
LONG = " ".join(["word"] * (prose.LONGEST + 1)) + "."


def hits(text):
    return list(prose.phrases(text, WORDS))


def test_phrases_are_found_on_their_line_across_breaks_and_in_any_case():
    assert hits("Fine.\nThings hang\n  on size. Pairs pair.") == [
        (2, "hang on", "depends on"),
        (3, "pairs pair", "comparisons are paired"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "change only",  # within words
        "`hang on` and ``pairs pair``",
        "see [this](x.md#pairs-pair)",
        "```sh\nhang on\n```",
        "~~~\npairs pair\n~~~",
        "<!-- hang on -->",
    ],
)
def test_code_links_and_parts_of_words_are_of_no_account(text):
    assert hits(text) == []


def test_lines_behind_a_block_of_code_keep_their_numbers():
    assert hits("```sh\na\nb\n```\nhang on") == [(5, "hang on", "depends on")]


def test_a_note_to_oneself_is_found():
    assert [line for line, said, _ in hits(f"a\n{prose.NOTE}: b") if said == prose.NOTE] == [2]


@pytest.mark.parametrize(
    ("markdown", "lines"),
    [
        (LONG, [1]),
        (f"# Head\n\nShort. {LONG}", [3]),
        (f"- one\n- {LONG}", [2]),
        (LONG.replace(" ", "\n", 3), [1]),
        (LONG.replace("word", "Stop.", 1), []),  # two sentences
        (f"| {LONG} |", []),
        (f"```text\n{LONG}\n```", []),
        (f"    {LONG}", []),
        (f"`{LONG}`", []),
        (LONG.removeprefix("word "), []),  # just not too long
    ],
)
def test_long_sentences_are_found_where_they_begin(markdown, lines):
    assert [line for line, *_ in prose.long_sentences(markdown)] == lines


@pytest.fixture
def tree(tmp_path):
    """A project in which every kind of file has one thing to mend."""
    files = {
        "README.md": "Pairs pair.",
        "CONTRIBUTING.md": "## Words\n\nOf.\n\n| not | but |\n|---|---|\n| hang on, pairs pair | x |\n\nThey hang on.",
        "CHANGELOG.md": "# Log\n\n## New\n\nhang on\n\n## Old\n\npairs pair",
        "docs/a.md": LONG,
        "src/decoct/a.py": 'def f():\n    """Of size.\n\n    They hang on it.\n    """\n    return f"{1} pairs pair"',
        "src/decoct/page.js": "// x\nconst said = 'pairs pair';",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_each_kind_of_file_is_read_and_the_list_itself_is_not(tree):
    assert [line.split(" → ")[0].split(" from ")[0] for line in prose.check(tree)] == [
        "README.md:1: pairs pair",
        f"docs/a.md:1: {prose.LONGEST + 1} words",
        "CONTRIBUTING.md:9: hang on",
        "CHANGELOG.md:5: hang on",
        "src/decoct/a.py:4: hang on",
        "src/decoct/a.py:6: pairs pair",
        "src/decoct/page.js:2: pairs pair",
    ]


def test_the_list_of_contributing_is_found():
    words = prose.listed((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    assert words["pairs pair"] == "comparisons are paired" and len(words) > 20
