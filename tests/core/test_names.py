"""What people call things is no path, and what is shown steers no terminal."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.names import LONGEST, check_name, printable


@pytest.mark.parametrize("name", ["digits", "RDED [1] <b>", "é…", "a b", ".hidden", "...", "x" * LONGEST, "猫"])
def test_a_name_is_itself(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../../evil", "/etc", "a/b", "a\\b", "a\0", "a\nb", "a\tb", "\x1b[31m", "a\x9b", "a\u202eb"),
        *(" a", "a ", "\u00a0", "\udc80", "x" * (LONGEST + 1), "é" * LONGEST),
    ],
)
def test_a_path_or_what_nobody_sees_is_no_name(name):
    with pytest.raises(ValueError, match=f"printable text of at most {LONGEST} bytes, without slashes"):
        check_name(name)


@given(st.text(st.characters(), max_size=20))
def test_whatever_is_a_name_is_one_file_in_its_folder(tmp_path_factory, name):
    try:
        check_name(name)
    except ValueError:
        return
    folder = tmp_path_factory.mktemp("names")
    (folder / name).mkdir()
    assert [path.name for path in folder.iterdir()] == [name]


@given(st.text(st.characters()))
def test_what_is_printable_holds_nothing_that_a_terminal_obeys_and_can_be_read_back(text):
    shown = printable(text)
    assert {unicodedata.category(c) for c in shown if c not in "\n\t"} & {"Cc", "Cs"} == set()
    assert not set(shown) & set("\u2028\u2029\u202a\u202b\u202d\u202e\u2066\u2067\u2068\ufeff")
    assert printable(shown) == shown
    for_json = printable(json.dumps(text, ensure_ascii=False))
    assert json.loads(for_json) == text
    for_json.encode()


def test_plain_text_stays_as_it_is():
    for text in ("a\nb\tc", "é… 猫 ±\u202f1", "\U0001f468\u200d\U0001f33e", ""):
        assert printable(text) == text
    assert printable("\x1b[31mred\x07 \x9b2J \u202e") == r"\u001b[31mred\u0007 \u009b2J \u202e"
