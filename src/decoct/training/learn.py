"""The loop that learns tensors in numbered steps and can be killed and continued."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Inputs, Machine
from decoct.training.resume import Arrays, optimiser_state, restore_optimiser, to_arrays, to_tensors

EVERY = 10  # steps between two looks at the loss on a GPU, which each look makes wait
ENDS = 10  # steps that the first and the last loss on record are means over
STATE = "learning"  # what the state of the loop is kept as


def learn(
    machine: Inputs | Machine,
    name: str,
    optimiser: torch.optim.Optimizer,
    step: Callable[[int], Tensor],
    steps: int,
    tensors: Mapping[str, Tensor],
    remedy: str = "lower lr",
    state: str = STATE,
    to_end: bool = False,
    look: Callable[[Tensor], None] = lambda trace: None,
) -> Tensor:
    """Take steps t = 0 … steps − 1, each by ``step(t)``; a killed loop continues from the kept state.

    The state is ``tensors``, the optimiser's, and the losses. It is kept whenever that is due, once they are known to
    be finite. Draws of step t must derive from t, so that no generator has a state.

    Args:
        machine: whose device it is, where the state is kept, and who is told of the progress.
        name: of the method, for the message.
        optimiser: of the images and whatever else is learnt; ``step`` steps it.
        step: t -> the loss of the step, a scalar without a graph; it changes tensors in place.
        steps: how many.
        tensors: by name, all that a step changes, but for the optimiser's state.
        remedy: what to do where numbers are no longer finite.
        state: what the state is kept as; loops of one construction need names of their own.
        to_end: keep the state behind the last step too, whether or not that is due, so that none is taken again.
        look: called with the losses so far wherever they are looked at, before they are: what makes a GPU wait.

    Returns:
        [steps] losses, on the CPU.

    Raises:
        DecoctError: a loss or a tensor is not finite; the state that was kept before stays.
    """
    trace = torch.zeros(steps, device=machine.device)
    begin = _restore(machine.kept.load(state), optimiser, tensors, trace)
    every = 1 if machine.device == "cpu" else EVERY
    for t in range(begin, steps):
        trace[t] = step(t)
        if (t + 1 - begin) % every == 0 or t + 1 == steps:
            look(trace[: t + 1])
            due = machine.kept.due() or (to_end and t + 1 == steps)
            _check(name, trace[: t + 1], tensors if due or t + 1 == steps else {}, steps, remedy)
            machine.progress(t + 1, steps)
            if due:
                now = {**tensors, **optimiser_state(optimiser), "trace": trace[: t + 1]}
                machine.kept.save(state, to_arrays(now))
    return trace.cpu()


def ends(trace: Tensor) -> dict[str, float]:
    """``loss_first`` and ``loss_last``: means over the first and the last steps; nothing where there was no step."""
    if not len(trace):
        return {}
    return {"loss_first": float(trace[:ENDS].mean()), "loss_last": float(trace[-ENDS:].mean())}


def numbered(tensors: Sequence[Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors by number, as ``learn`` wants them by name."""
    return {f"{prefix}.{i}": tensor for i, tensor in enumerate(tensors)}


def _check(name: str, trace: Tensor, tensors: Mapping[str, Tensor], steps: int, remedy: str) -> None:
    """Raise a DecoctError that names the first step whose loss, or what else, is not finite."""
    finite = trace.isfinite()
    if not finite.all():
        bad = int((~finite).nonzero()[0])
        before = f"it was {float(trace[bad - 1]):.4g} the step before" if bad else "from the start"
        raise DecoctError(f"{name}: the loss is not finite at step {bad + 1} of {steps} ({before}): {remedy}")
    broken = [key for key, value in tensors.items() if not value.isfinite().all()]
    if broken:  # or the next look would find it, behind a state that was kept
        raise DecoctError(
            f"{name}: {', '.join(broken[:3])} no longer finite after step {len(trace)} of {steps} "
            f"(the last loss was {float(trace[-1]):.4g}): {remedy}"
        )


def _restore(
    kept: Arrays | None, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], trace: Tensor
) -> int:
    """Bring everything to where it was kept; gives the step to go on with."""
    if kept is None or len(kept["trace"]) > len(trace):
        return 0
    state = to_tensors(kept)
    restore_optimiser(optimiser, state)
    with torch.no_grad():
        for key, tensor in tensors.items():
            tensor.copy_(state[key])
        trace[: len(state["trace"])] = state["trace"]
    return len(state["trace"])
