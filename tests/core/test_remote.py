"""Files below a URL, and what is said when the other side has a trouble."""

import errno
import sys
import time

import pytest

from decoct.core import remote as module
from decoct.core.errors import DecoctError, UsageError
from decoct.core.remote import Folder, Remote


def test_files_are_put_listed_read_and_removed(url, tmp_path):
    remote = Remote(url)
    assert remote.list() == {} and remote.read("a") is None
    for name, content in {"one": b"1", "two": b"22"}.items():
        (tmp_path / name).write_bytes(content)
    remote.put({"x/one": tmp_path / "one", "x/y/two": tmp_path / "two"})
    remote.write("z", b"")
    assert {name: entry.size for name, entry in remote.list().items()} == {"x/one": 1, "x/y/two": 2, "z": 0}
    assert set(remote.list("x/y")) == {"x/y/two"}
    assert remote.read("x/one") == b"1"
    remote.get({"x/one": tmp_path / "back", "x/y/two": tmp_path / "too"})
    assert (tmp_path / "back").read_bytes() + (tmp_path / "too").read_bytes() == b"122"
    remote.remove(["x/one", "z", "no such"])
    assert set(remote.list()) == {"x/y/two"}


def test_what_others_wrote_is_seen_at_once(url):
    one, other = Remote(url), Remote(url)
    assert one.list() == {}
    other.write("a", b"1")
    assert set(one.list()) == {"a"} and one.read("a") == b"1"


def test_of_two_that_create_a_file_one_does(url):
    assert Remote(url).write("a", b"first", new=True)
    assert not Remote(url).write("a", b"second", new=True)
    assert Remote(url).read("a") == b"first"


def test_a_service_that_cannot_ask_and_put_in_one_step_is_asked_first(monkeypatch):
    remote = Remote("memory://plain")
    put = type(remote.fs).pipe_file

    def plain(self, name, content, mode="overwrite"):
        if mode == "create":
            raise NotImplementedError
        put(self, name, content)

    monkeypatch.setattr(type(remote.fs), "pipe_file", plain)
    assert remote.write("a", b"first", new=True) and not remote.write("a", b"second", new=True)
    assert remote.read("a") == b"first"


def test_a_listing_says_when_a_file_was_written(url):
    remote, before = Remote(url), time.time()
    remote.write("a", b"1")
    assert before - 60 < remote.list()["a"].modified < time.time() + 60


def test_the_time_is_that_of_the_clock_that_dates_the_files(url, tmp_path, monkeypatch):
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 1e9)
    for files in (Remote(url), Folder(tmp_path)):
        assert abs(files.now() - now) < 3600 and files.list() == {}
    monkeypatch.setattr(Remote, "write", lambda *_: (_ for _ in ()).throw(DecoctError("permission denied")))
    assert Remote(url).now() == now + 1e9


def test_of_files_that_cannot_all_be_fetched_none_is_half_here(url, tmp_path):
    remote = Remote(url)
    remote.write("a", b"1")
    with pytest.raises((DecoctError, OSError)):
        remote.get({"a": tmp_path / "a", "b": tmp_path / "b"})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_unknown_file_system_is_refused():
    with pytest.raises(UsageError, match="nowhere://"):
        Remote("nowhere://bucket")


@pytest.mark.parametrize(
    ("address", "package", "how"),
    [("s3://b/x", "s3fs", "pip install 'decoct"), ("gs://b/x", "gcsfs", "pip install gcsfs")],
)
def test_a_driver_that_is_not_installed_is_named_with_what_installs_it(monkeypatch, address, package, how):
    pytest.importorskip("fsspec.registry")

    monkeypatch.setitem(sys.modules, package, None)
    for name in ("s3", "gs"):  # classes that were found before are remembered
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, name, raising=False)
    with pytest.raises(UsageError) as caught:
        Remote(address)
    assert package in str(caught.value) and how in str(caught.value)
    assert "\n" not in str(caught.value)


class NoCredentialsError(Exception):
    """As botocore's."""


class EndpointConnectionError(Exception):
    """As botocore's."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoCredentialsError("Unable to locate credentials"), "no credentials; set AWS_ACCESS_KEY_ID"),
        (PermissionError(errno.EACCES, "Access Denied"), "permission denied .*list, read, write and delete"),
        (OSError("InvalidAccessKeyId: no such key"), "permission denied"),
        (OSError("NoSuchBucket: The specified bucket does not exist"), "no such bucket; create it"),
        (EndpointConnectionError('Could not connect to the endpoint URL: "x"'), "no answer .*AWS_ENDPOINT_URL"),
        (TimeoutError("slow"), "no answer"),
        (RuntimeError("odd\nlines"), "RuntimeError: odd lines"),
    ],
)
def test_trouble_is_said_in_one_line_that_says_what_to_do(monkeypatch, error, said):
    remote = Remote("memory://trouble")
    remote.url, kind = "s3://bucket/x", type(remote.fs)

    def fail(*args, **kwargs):
        raise error

    for name in ("find", "info", "cat_file", "pipe_file", "get", "put"):
        monkeypatch.setattr(kind, name, fail)
    for act in (remote.list, lambda: remote.read("a"), lambda: remote.write("a", b"")):
        with pytest.raises(DecoctError, match=said) as caught:
            act()
        assert str(caught.value).startswith("s3://bucket/x") and "\n" not in str(caught.value)


def test_a_full_disk_of_this_machine_is_not_said_of_the_other_side(monkeypatch, tmp_path):
    remote = Remote("memory://trouble")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(remote.fs), "get", full)
    with pytest.raises(OSError, match="No space left"):
        remote.get({"a": tmp_path / "a"})


def test_a_bucket_that_is_not_there_is_said_to_be_missing(bucket):
    remote = Remote("s3://decoct-no-such-bucket/store")
    with pytest.raises(DecoctError, match="no such bucket"):
        remote.write("a", b"1")
