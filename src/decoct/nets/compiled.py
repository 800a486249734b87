"""One graph of a function by ``torch.compile``, and the function as it is where that fails."""

import warnings
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import torch

from decoct.core.errors import first_line
from decoct.nets.precision import NATIVE

R = TypeVar("R")
BACKEND = "inductor"
KINDS = 64  # of inputs that a function is compiled for: nets that judge in turn, sizes of images and of batches


class RanEager(UserWarning):
    """torch.compile failed, and a job went on without."""


def graph(function: Callable[..., R]) -> Callable[..., R]:
    """The function as one graph for each kind of input; whatever would break it is an error."""
    import torch._dynamo.config as limits  # late: it takes a second to import

    limits.cache_size_limit = max(limits.cache_size_limit, KINDS)
    compiled = _compiled(function, fullgraph=True)

    @wraps(function)
    def called(*arguments: Any) -> R:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PyTorch says of itself while it compiles
            return compiled(*arguments)

    return called


class OrEager:
    """Makes things with what is compiled; once compiling failed, with a warning, without.

    Args:
        wanted: whether to compile.
        what: makes them, for the warning.
    """

    def __init__(self, wanted: bool, what: str) -> None:
        self.wanted, self.what = wanted, what

    def __call__(self, make: Callable[[bool], R]) -> R:
        """``make(True)``, or ``make(False)``, which begins anew where the other ended half-way."""
        if self.wanted:
            try:
                return make(True)
            except Exception as error:
                if not failed(error):
                    raise
                self.wanted = False
                told = f"{self.what} goes on without torch.compile, which failed: {first_line(error)}"
                warnings.warn(told, RanEager, stacklevel=2)
        return make(False)


def forward(net: Callable[..., R], wanted: bool, what: str) -> Callable[..., R]:
    """A net through torch.compile, in as many graphs as it takes; from a call on that cannot be compiled, as it is."""
    if not wanted:
        return net
    compiled, either = _compiled(net), OrEager(True, what)
    return lambda *given, **named: either(lambda fine: (compiled if fine else net)(*given, **named))


def _compiled(function: Callable[..., R], fullgraph: bool = False) -> Callable[..., R]:
    if not NATIVE and not torch.cuda.is_available() and rounds():
        import torch._inductor.config as inductor

        inductor.emulate_precision_casts = True  # else what rounds an operand to bfloat16 is left out
    return torch.compile(function, fullgraph=fullgraph, dynamic=False, backend=BACKEND)


def rounds() -> bool:
    """Whether this torch can be told to round where a program says so, on a processor; 2.10 cannot."""
    try:
        from torch._inductor.codegen.cpp import CppVecOverrides
    except ImportError:  # it is PyTorch's own, and may move
        return False
    return "use_compute_types" in signature(CppVecOverrides.to_dtype).parameters


def failed(error: BaseException) -> bool:
    """Whether an error is torch.compile's own, such as of a compiler that is missing."""
    import torch._dynamo.exc as dynamo
    import torch._inductor.exc as inductor

    own: tuple[Any, ...] = (dynamo.TorchDynamoException, dynamo.FailOnRecompileLimitHit, inductor.CppCompileError)
    return isinstance(error, own)
