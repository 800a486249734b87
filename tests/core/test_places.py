"""Where stores lie: folders, URLs, the user's cache."""

from pathlib import Path

import pytest

from decoct.core import places


@pytest.mark.parametrize(
    ("where", "url"),
    [("s3://b/x", True), ("gs://b", True), ("memory://x", True), ("/a/b", False), ("a:b", False), ("file:///a", False)],
)
def test_what_is_a_url(where, url):
    assert places.is_url(where) is url


def test_a_file_url_is_a_folder():
    assert places.folder_of("file:///a/b%20c") == Path("/a/b c")
    assert places.folder_of("a/b") == Path("a/b")


def test_a_store_at_a_url_leaves_the_user_s_cache_where_it_is(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    monkeypatch.setenv("DECOCT_STORE", "s3://bucket/store")
    assert places.default_where() == "s3://bucket/store"
    assert places.default_store() == Path("/cache/decoct")
    assert places.mirror_of("s3://bucket/store").parent == Path("/cache/decoct/mirrors")
    monkeypatch.setenv("DECOCT_STORE", "/somewhere")
    assert places.default_where() == "/somewhere" and places.default_store() == Path("/somewhere")


def test_a_mirror_is_named_by_the_url_whether_or_not_a_slash_ends_it():
    assert places.mirror_of("s3://b/x/") == places.mirror_of("s3://b/x") != places.mirror_of("s3://b/y")


def test_a_run_says_where_its_cells_lie_so_that_it_can_be_moved(tmp_path):
    assert places.recorded(None) == "store"
    assert places.store_of(tmp_path / "moved", "store") == str(tmp_path / "moved" / "store")
    assert places.store_of(tmp_path, places.recorded("s3://b/x")) == "s3://b/x"
    assert places.store_of(tmp_path, places.recorded(tmp_path / "far")) == str(tmp_path / "far")
    assert Path(places.recorded("near")).is_absolute()
