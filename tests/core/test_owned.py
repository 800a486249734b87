"""Nothing is written over files of the same names that decoct did not write."""

import pytest

from decoct.core.errors import UsageError
from decoct.core.owned import check_own, holds


def test_names_that_are_taken_are_said(tmp_path):
    for name in ("a.csv", "other"):
        (tmp_path / name).touch()
    (tmp_path / "tables").mkdir()
    with pytest.raises(UsageError, match=r"holds a\.csv, tables, which decoct did not write\nchoose another --out"):
        check_own(tmp_path, ("a.csv", "b.csv", "tables"), ours=False)
    check_own(tmp_path, ("a.csv",), ours=True)
    check_own(tmp_path, ("b.csv",), ours=False)
    check_own(tmp_path / "none", ("a.csv",), ours=False)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b'{"jobs": 1}', True), (b"{}", False), (b'["jobs"]', False), (b'"jobs"', False), (b"{", False), (b"\xff", False)],
)
def test_a_mark_is_a_key_of_an_object(tmp_path, content, found):
    (tmp_path / "a.json").write_bytes(content)
    assert holds(tmp_path / "a.json", "jobs") is found
    assert not holds(tmp_path / "none.json", "jobs") and not holds(tmp_path, "jobs")
