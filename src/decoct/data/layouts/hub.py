"""ImageNet on the hub: a data set's Parquet shards, from the local cache of the hub's client or over the network."""

from pathlib import Path

from decoct.core.errors import DecoctError

HUB = "hub:"
PATTERNS = ["data/train-*.parquet", "data/validation-*.parquet", "data/val-*.parquet"]
OFFLINE = "where there is no network, give the folder of a local copy: shards, tars or class folders"


def snapshot(word: str) -> Path:
    """The folder of a hub data set's shards.

    What the cache has is taken without asking the hub, if no shard is missing from it; else what is missing is fetched.

    Args:
        word: such as "hub:ILSVRC/imagenet-1k".

    Raises:
        DecoctError: it is neither in the cache nor to be had.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    from decoct.data.layouts.parquet import parquets
    from decoct.data.layouts.shards import by_split

    name = word.removeprefix(HUB)
    try:
        cached = _download(name, cached=True)
        by_split(parquets(cached))
        return cached
    except (LocalEntryNotFoundError, DecoctError):
        pass  # nothing there, or not all of it
    except ValueError as error:
        raise DecoctError(f"'{name}' is no name of a data set on the hub: {error}") from error
    try:
        return _download(name, cached=False)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise DecoctError(f"cannot get {name} from the hub: {_why(error, name)}") from error
    except Exception as error:  # the client's network library has errors of its own
        raise DecoctError(f"cannot get {name} from the hub: {type(error).__name__}\n{OFFLINE}") from error


def _download(name: str, cached: bool) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, repo_type="dataset", allow_patterns=PATTERNS, local_files_only=cached))


def _why(error: Exception, name: str) -> str:
    """What is wrong and what to do, in two lines."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return (
            "its owner lets in who has agreed to its terms\n"
            f"agree on https://huggingface.co/datasets/{name}, then log in with 'hf auth login' or set HF_TOKEN"
        )
    if isinstance(error, RepositoryNotFoundError):
        return "there is no such data set, or you are not logged in\nlog in with 'hf auth login' or set HF_TOKEN"
    return f"{(str(error).splitlines() or [''])[0]}\n{OFFLINE}"
