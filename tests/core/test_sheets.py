"""Names in CSV files: no spreadsheet runs one, and each is read back as it was."""

from hypothesis import given
from hypothesis import strategies as st

from decoct.core.sheets import quoted, unquoted

names = st.text("'=+-@\t\r\n＝ab1,", max_size=6) | st.text()


@given(names)
def test_no_name_begins_as_a_formula_and_each_is_read_back(name):
    assert not quoted(name).startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
    assert unquoted(quoted(name)) == name


def test_a_number_before_a_command_is_a_formula_too():
    assert quoted("-2+3+cmd|' /C calc'!A0").startswith("'-2")
    assert (quoted("cat"), quoted("'tis"), quoted("")) == ("cat", "'tis", "")
