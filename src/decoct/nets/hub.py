"""Weights on others' servers: from the caches without asking, and an error at once where no server answers.

The hub's client tries for half a minute a file where there is no network, also for what its cache holds.
"""

import ssl
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from decoct.core.errors import DecoctError

PATIENCE = 3.0  # seconds for an answer
FILES = ("model.safetensors", "pytorch_model.bin")
OTHERS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # where timm names the file


def overlay(facts: Any, advice: str = "") -> dict[str, Any]:
    """What to change in timm's configuration of weights, so that it reads the cached file; {} lets it fetch them.

    Args:
        facts: the configuration.
        advice: what an error says beside how to fetch them.

    Raises:
        DecoctError: the weights are in no cache, and their server does not answer.
    """
    file = cached(facts)
    if file is None:
        reach(facts, advice)
        return {}
    return {"file": str(file), "custom_load": facts.custom_load == "hf"}  # others' loaders are for other files


def cached(facts: Any) -> Path | None:
    """The file of timm's weights in the hub's cache, or torch's; None if it is in neither."""
    from huggingface_hub import try_to_load_from_cache

    if facts.hf_hub_id:
        repo, _, revision = facts.hf_hub_id.partition("@")
        for name in (facts.hf_hub_filename, *OTHERS, *FILES) if facts.hf_hub_filename else FILES:
            found = try_to_load_from_cache(repo, name, revision=revision or None)
            if isinstance(found, str):
                return Path(found)
    return downloaded(facts.url) if facts.url else None


def downloaded(url: str) -> Path | None:
    """The file that torch keeps of a URL; None if it has none."""
    file = _kept(url)
    return file if file.is_file() else None


def reach(facts: Any, advice: str = "") -> None:
    """Raise a DecoctError, with how to fetch them, unless the server of timm's weights answers."""
    from huggingface_hub import constants

    what = f"timm's {facts.architecture}" + (f".{facts.tag}" if facts.tag else "")
    if not facts.hf_hub_id:
        return reach_url(facts.url, what, advice)
    repo = facts.hf_hub_id.partition("@")[0]
    fetch = f"where there is a network, 'hf download {repo}' fetches them into {constants.HF_HUB_CACHE}{advice}"
    if constants.HF_HUB_OFFLINE:
        raise DecoctError(f"no weights of {what} are in the hub's cache, and HF_HUB_OFFLINE is set\n{fetch}")
    _reach(constants.ENDPOINT, what, fetch)


def reach_url(url: str, what: str, advice: str = "") -> None:
    """Raise a DecoctError, with where to put the file, unless the server of a URL answers."""
    _reach(url, what, f"where there is a network, {url} is to be fetched into {_kept(url).parent}{advice}")


def _reach(url: str, what: str, fetch: str) -> None:
    if not answers(url):
        raise DecoctError(
            f"no weights of {what} are on this machine, and {urlsplit(url).hostname} does not answer\n{fetch}"
        )


def answers(url: str) -> bool:
    """Whether a server answers within ``PATIENCE``, through the proxies of the environment."""
    answered: list[bool] = []

    def ask() -> None:
        try:
            urlopen(Request(url, method="HEAD"), timeout=PATIENCE).close()
        except (HTTPError, HTTPException):
            pass  # an answer, whatever it says
        except URLError as error:
            if not isinstance(error.reason, ssl.SSLError):  # whoever shows a certificate is there
                return
        except OSError:
            return
        answered.append(True)

    asking = Thread(target=ask, daemon=True)  # a name's look-up knows no timeout
    asking.start()
    asking.join(PATIENCE)
    return bool(answered)


def _kept(url: str) -> Path:
    import torch

    return Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name)
