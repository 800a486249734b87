"""One graph of a function by ``torch.compile``, and the function as it is where that fails."""

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch

R = TypeVar("R")
BACKEND = "inductor"
OWN = (".*should not be instantiated", "The .grad attribute of a Tensor")  # of what PyTorch does while it compiles
KINDS = 64  # of inputs that a function is compiled for: nets that judge in turn, sizes of images and of batches


class RanEager(UserWarning):
    """torch.compile failed, and a job went on without."""


def graph(function: Callable[..., R]) -> Callable[..., R]:
    """The function as one graph for each kind of input; whatever would break it is an error."""
    import torch._dynamo.config as limits  # late: it takes a second to import

    limits.cache_size_limit = max(limits.cache_size_limit, KINDS)
    compiled = torch.compile(function, fullgraph=True, dynamic=False, backend=BACKEND)

    @wraps(function)
    def called(*arguments: Any) -> R:
        with warnings.catch_warnings():
            for said in OWN:
                warnings.filterwarnings("ignore", said)
            return compiled(*arguments)

    return called


def or_eager(make: Callable[[bool], R], wanted: bool, what: str) -> R:
    """``make(True)``, or with a warning ``make(False)`` where compiling fails; that alone if it is not ``wanted``.

    Args:
        make: called with whether to compile; it may be called again after it failed half-way.
        wanted: whether to compile.
        what: is made, for the warning.
    """
    if not wanted:
        return make(False)
    try:
        return make(True)
    except Exception as error:
        if not failed(error):
            raise
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        warnings.warn(f"{what} goes on without torch.compile, which failed: {said}", RanEager, stacklevel=2)
    return make(False)


def failed(error: BaseException) -> bool:
    """Whether an error is torch.compile's own, such as of a compiler that is missing."""
    import torch._dynamo.exc as dynamo
    import torch._inductor.exc as inductor

    own: tuple[Any, ...] = (dynamo.TorchDynamoException, dynamo.FailOnRecompileLimitHit, inductor.CppCompileError)
    return isinstance(error, own)
