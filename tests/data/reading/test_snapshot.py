"""The hub: what its cache has is used as it is; gated, unknown and offline are told with what to do."""

from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

from decoct.core.errors import DecoctError, UsageError
from decoct.data.dataset import load_data
from decoct.data.imagenet.shards import ON_THE_HUB, Parquet, by_split
from decoct.data.reading.snapshot import snapshot
from decoct.data.sources.imagenette import WNIDS, Imagenette

WORD = "hub:ILSVRC/imagenet-1k"


class NoNetworkError(Exception):
    """As the errors of the client's network library, which changed between its versions."""


def answer(kind):
    return kind("no", response=SimpleNamespace(headers={}, request=None))


@pytest.fixture
def cached(hang, tmp_path, monkeypatch):
    """The client's own cache with a snapshot in it, and no network."""
    root = tmp_path / "hub"
    repo = root / "datasets--ILSVRC--imagenet-1k"
    (repo / "snapshots").mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0" * 40)
    hang(WNIDS).parquet(repo / "snapshots" / ("0" * 40))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(root))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return repo / "snapshots" / ("0" * 40)


def test_the_local_cache_needs_no_hub(cached, tmp_path, hang):
    assert snapshot(WORD, ON_THE_HUB, lambda folder: by_split(Parquet.listed(folder))) == cached
    data = load_data({"name": "imagenette", "path": WORD, "size": 16}, tmp_path / "cache", workers=1)
    folders = hang(WNIDS).folders(tmp_path / "raw")
    assert data.digest == load_data(Imagenette(path=str(folders), size=16), tmp_path / "other", workers=1).digest


def test_what_the_cache_lacks_is_fetched(cached, monkeypatch):
    (cached / "data" / "train-00001-of-00003.parquet").unlink()
    asked = []
    real = huggingface_hub.snapshot_download

    def download(name, **rest):
        asked.append((name, rest["repo_type"], rest["allow_patterns"][0], rest["local_files_only"]))
        return real(name, **rest) if rest["local_files_only"] else "/fetched"

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert str(snapshot(WORD, ON_THE_HUB, lambda folder: by_split(Parquet.listed(folder)))) == "/fetched"
    assert asked == [("ILSVRC/imagenet-1k", "dataset", "data/train-*.parquet", cached) for cached in (True, False)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            answer(GatedRepoError),
            r"agree to its owner's terms\nagree on https://huggingface\.co/datasets/ILSVRC/.*hf auth login.*HF_TOKEN",
        ),
        (
            answer(RepositoryNotFoundError),
            "no such data set, or you are not logged in\nlog in with 'hf auth login'",
        ),
        (answer(HfHubHTTPError), "no\nwhere there is no network, give the folder of a local copy"),
        (LocalEntryNotFoundError("offline"), "offline\nwhere there is no network"),
        (NoNetworkError("refused"), "NoNetworkError\nwhere there is no network"),
        (OSError("disk"), "disk\nwhere there is no network"),
    ],
)
def test_what_the_hub_refuses_is_told(monkeypatch, error, message):
    def download(name, **rest):
        raise LocalEntryNotFoundError("nothing here") if rest["local_files_only"] else error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(DecoctError, match=f"cannot get ILSVRC/imagenet-1k from the hub: .*{message}") as told:
        snapshot(WORD)
    assert len(str(told.value).splitlines()) <= 3


def test_a_word_that_is_no_name_is_told():
    with pytest.raises(UsageError, match="'hub:a/b/c' is not a data set of the hub: write hub:OWNER/NAME"):
        snapshot("hub:a/b/c")
