"""Every reader on a few damaged files, in a process of little memory: read, or refused in a line."""

import json

import pytest

from decoct.core.errors import DecoctError
from decoct.core.notation import from_toml
from fuzz import Reader, as_toml, fuzz, run
from fuzzed import NAMES

CASES = 15  # of each of the readers


def test_no_reader_raises_hangs_or_fills_the_memory(tmp_path):
    results = list(run([], CASES, 1, tmp_path))
    assert [each["reader"] for each in results] == list(NAMES)
    assert {each["reader"]: each["found"] for each in results if each["found"]} == {}
    assert all(each.get("read", 0) + each.get("refused", 0) == CASES for each in results)


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(7), DecoctError("a\nb\nc\nd")])
def test_what_a_reader_raises_besides_is_found_with_its_file(tmp_path, error):
    def read(path):
        if path.read_bytes() != b"valid":
            raise error

    said = fuzz(Reader("a", (b"valid",), read), tmp_path, 40, 0)
    (what,) = said["found"]
    assert what.startswith("a message") if isinstance(error, DecoctError) else what.startswith(type(error).__name__)
    assert isinstance(error, DecoctError) or (tmp_path / "found-1-a").read_bytes() != b"valid"


def test_json_is_written_as_toml_that_says_the_same():
    value = {"a": [1, 2.5, True, 'x\n"y"'], "b c": {"d": {}}, "e": []}
    written = "\n".join(f"{json.dumps(name)} = {as_toml(each)}" for name, each in value.items())
    assert from_toml(written) == value
