"""The device that a word means, whether this machine has it, and which precision it supports."""

import os
import re

import torch

from decoct.core.errors import UsageError

WORDS = re.compile(r"(cpu|cuda|mps)(?::(0|[1-9]\d*))?")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def resolve(word: str) -> str:
    """The device that a word means, such as "cuda:1"; "auto" takes the best one available.

    Raises:
        UsageError: the word means nothing, or this machine has no such device: which it has, and why not more.
    """
    if word == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if not (said := WORDS.fullmatch(str(word))):
        raise UsageError(f"no device is called '{word}': auto, cpu, cuda, cuda:1 or mps")
    kind, number = said[1], int(said[2] or 0)
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise UsageError(f"no device '{word}': {no_cuda()}; auto takes what is available")
        if number >= count:
            there = "cuda:0 alone" if count == 1 else f"cuda:0 to cuda:{count - 1}"
            raise UsageError(f"no device '{word}': there is {there}; numbers count within {VISIBLE}, which {_set_to()}")
        return str(word)
    if kind == "mps" and not torch.backends.mps.is_available():
        built = "this Mac has no GPU that torch can use" if torch.backends.mps.is_built() else "only Macs have it"
        raise UsageError(f"no device '{word}': {built}; auto takes what is available")
    if number:
        raise UsageError(f"no device '{word}': there is one, {kind}")
    return kind


def check_precision(device: str, precision: str) -> None:
    """Raise a UsageError if a device that is there does not compute in a precision, such as "bfloat16"."""
    lacking = ""
    if precision == "bfloat16" and device.startswith("cuda"):
        with torch.cuda.device(device):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                lacking = f"{device}, {torch.cuda.get_device_name()}, below compute capability 8.0"
    elif precision == "bfloat16" and device == "mps" and not torch.backends.mps.is_macos_or_newer(14, 0):
        lacking = "mps before macOS 14"
    if lacking:
        raise UsageError(f'{lacking} does not compute in bfloat16: take precision = "float32"')


def no_cuda() -> str:
    """Why torch sees no GPU."""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"torch {torch.__version__} is a build without CUDA, install one with it"
    try:
        torch.cuda.init()
        reason = "no GPU is visible"
    except (RuntimeError, AssertionError) as error:  # such as no driver, or one that is too old
        reason = str(error).splitlines()[0].partition(". ")[0].rstrip(".")
    return f"{reason} ({VISIBLE} {_set_to()})"


def _set_to() -> str:
    return f"is '{os.environ[VISIBLE]}'" if VISIBLE in os.environ else "is not set"
