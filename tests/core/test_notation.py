"""JSON and TOML of others: a value, or a ValueError in a few words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.notation import DEEP, from_json, from_toml

values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(values)
def test_json_is_what_it_says(value):
    assert from_json(json.dumps(value)) == value
    assert from_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "9" * 5000, "{", ""])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"nested too deeply|integer string|Expecting|line"):
        from_json(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "[" * (DEEP + 1) + "]" * (DEEP + 1), "nested too deeply"),
        ("a." * 100_000 + "b = 1", "nested too deeply"),
        ("a = " + "9" * 5000, "integer string"),
        ('a = "b\\u0000c"', r"'b\\x00c' holds a NUL"),
        ('[["b\\u0000c"]]', "NUL"),
        ("a = ", "Invalid value"),
    ],
)
def test_what_is_no_toml_for_us_is_a_value_error(text, said):
    with pytest.raises(ValueError, match=said):
        from_toml(text)


def test_toml_is_what_it_says():
    deep = "[" * (DEEP - 1) + "1" + "]" * (DEEP - 1)
    assert from_toml(f'a = {deep}\nb.c = "d"')["b"] == {"c": "d"}
