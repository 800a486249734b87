"""A data set of the Hugging Face hub as a folder on this machine: from the hub's cache, or fetched into it."""

import re
from pathlib import Path

from decoct.core.errors import DecoctError, UsageError

PREFIX = "hub:"
NAME = re.compile(r"[\w.-]+/[\w.-]+")


def snapshot(word: str) -> Path:
    """The folder of ``hub:OWNER/NAME``; what the cache holds is not asked for again.

    Raises:
        UsageError: not such a name.
        DecoctError: it is neither in the cache nor to be had.
    """
    name = word.removeprefix(PREFIX)
    if not NAME.fullmatch(name):
        raise UsageError(f"'{word}' is no data set of the hub: write hub:OWNER/NAME")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise DecoctError("sets of the hub need huggingface_hub: pip install 'decoct[hub]'") from None
    try:
        return Path(snapshot_download(name, repo_type="dataset", local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        return Path(snapshot_download(name, repo_type="dataset"))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise DecoctError(
            f"the set {name} is not in the hub's cache and cannot be fetched ({type(error).__name__})\n"
            "if it is gated, log in with 'hf auth login'; offline, copy its folder here and give its path"
        ) from error
