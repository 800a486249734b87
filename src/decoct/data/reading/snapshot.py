"""A data set of the Hugging Face hub as a folder on this machine: from the hub's cache, or fetched into it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from decoct.core.errors import DecoctError, UsageError
from decoct.core.machine import STRAINED, blame

HUB = "hub:"
NAME = re.compile(r"[\w.-]+/[\w.-]+")
OFFLINE = "where there is no network, give the folder of a local copy"


def snapshot(
    word: str, patterns: Sequence[str] | None = None, complete: Callable[[Path], object] = lambda folder: None
) -> Path:
    """The folder of a data set's files.

    What the cache has is taken without asking the hub, if it is complete; else what is missing is fetched.

    Args:
        word: "hub:OWNER/NAME".
        patterns: of the files that are wanted; None for all.
        complete: raises a DecoctError where files are missing from a folder.

    Raises:
        UsageError: not such a name.
        DecoctError: it is neither in the cache nor on the hub.
    """
    name = word.removeprefix(HUB)
    if not NAME.fullmatch(name):
        raise UsageError(f"'{word}' is not a data set of the hub: write hub:OWNER/NAME")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise DecoctError("data sets of the hub need huggingface_hub: pip install 'decoct[hub]'") from None
    how: dict[str, Any] = {"repo_type": "dataset", "allow_patterns": list(patterns) if patterns else None}
    try:
        cached = Path(snapshot_download(name, **how, local_files_only=True))
        complete(cached)
        return cached
    except (LocalEntryNotFoundError, DecoctError):
        pass  # nothing there, or not all of it
    try:
        return Path(snapshot_download(name, **how, local_files_only=False))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        blame(error, STRAINED)
        raise DecoctError(f"cannot get {name} from the hub: {_why(error, name)}") from error
    except Exception as error:  # the client's network library has errors of its own
        raise DecoctError(f"cannot get {name} from the hub: {type(error).__name__}\n{OFFLINE}") from error


def _why(error: Exception, name: str) -> str:
    """What is wrong and what to do, in two lines."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return (
            "you must agree to its owner's terms\n"
            f"agree on https://huggingface.co/datasets/{name}, then log in with 'hf auth login' or set HF_TOKEN"
        )
    if isinstance(error, RepositoryNotFoundError):
        return "there is no such data set, or you are not logged in\nlog in with 'hf auth login' or set HF_TOKEN"
    return f"{(str(error).splitlines() or [''])[0]}\n{OFFLINE}"
