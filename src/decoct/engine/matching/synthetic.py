"""Images that are learnt: where they start, the loop that updates them and can be killed, and what they end as."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from decoct.core.errors import DecoctError
from decoct.core.kinds import Draft, Inputs
from decoct.core.seeds import seed
from decoct.engine.pixels import Pixels
from decoct.engine.starts import random_rows

Init = Literal["real", "noise"]
EVERY = 10  # steps between two looks at the loss on a GPU, which each look makes wait
ENDS = 10  # steps that the first and the last loss on record are means over
STATE = "learning"  # what the state of the loop is kept as
OPTIMISER = "optimiser."


@dataclass
class Synthetic:
    """The images of a set in the making, class after class.

    Attributes:
        images: [n, C, S, S] float32, normalised, on the device; a leaf that asks for a gradient.
        labels: [n] int64 on the device: class 0 ipc times, class 1 ipc times, …
        initial: [n, C, S, S] uint8, what the images start from.
        scale: the data's.
        ipc: images of each class.
    """

    images: Tensor
    labels: Tensor
    initial: NDArray[np.uint8]
    scale: Pixels
    ipc: int

    @classmethod
    def start(cls, inputs: Inputs, name: str, init: Init) -> "Synthetic":
        """Random real images of each class, none twice; or Gaussian noise of mean 0 and deviation 1, normalised.

        Args:
            inputs: as the runner gave them.
            name: of the method, which the draws derive from.
            init: "real" or "noise".

        Raises:
            DecoctError: a class has fewer images than the budget asks for.
        """
        ipc, classes, scale = inputs.ipc(name), inputs.wanted(), Pixels.of(inputs.data, inputs.device)
        if init == "real":
            rows = np.concatenate([random_rows(inputs, name, c, ipc) for c in classes])
            initial = np.array(inputs.data.train.images[rows])
            images = scale.normalise(scale.load(initial))
        else:
            rngs = [Generator().manual_seed(seed(inputs.seed, name, "start", c)) for c in classes]
            images = torch.cat([torch.randn(ipc, *inputs.data.shape, generator=rng) for rng in rngs]).to(inputs.device)
            initial = scale.truncate(images).cpu().numpy()
        labels = torch.tensor(classes, device=inputs.device).repeat_interleave(ipc)
        return cls(images.requires_grad_(), labels, initial, scale, ipc)

    def of_class(self, place: int) -> Tensor:
        """The images of the class at a place in class order, [ipc, C, S, S], with a gradient to the whole."""
        return self.images[place * self.ipc : (place + 1) * self.ipc]

    def draft(
        self, trace: Tensor, *, steps: int | None = None, soft_labels: NDArray[np.float32] | None = None, **notes: float
    ) -> Draft:
        """What a condenser returns: float32 images in the data's scale, where they may leave [0, 1].

        Args:
            trace: [steps] losses.
            steps: updates of the images; None for as many as there are losses.
            soft_labels: [n, classes].
            notes: facts for the record, beside the loss at both ends.
        """
        return Draft.synthesised(
            in_data_scale(self.images.detach(), self.scale),
            self.labels.cpu().numpy(),
            soft_labels=soft_labels,
            steps=len(trace) if steps is None else steps,
            initial=self.initial,
            notes=ends(trace) | notes,
        )


def in_data_scale(normalised: Tensor, scale: Pixels) -> NDArray[np.float32]:
    """Normalised -> float32 where black is 0 and white 1, not clipped."""
    values: NDArray[np.float32] = ((normalised * scale.std + scale.mean) / 255).cpu().numpy()
    return values


def ends(trace: Tensor) -> dict[str, float]:
    """``loss_first`` and ``loss_last``: means over the first and the last steps; nothing where there was no step."""
    if not len(trace):
        return {}
    return {"loss_first": float(trace[:ENDS].mean()), "loss_last": float(trace[-ENDS:].mean())}


def check_enough(inputs: Inputs, name: str, count: int, remedy: str) -> None:
    """Raise a DecoctError that names a class with fewer than ``count`` train images, and says what to do."""
    for c, members in zip(inputs.wanted(), inputs.members(), strict=True):
        if len(members) < count:
            raise DecoctError(
                f"class '{inputs.data.class_names[c]}' has {len(members)} images, but {name} takes {count} of each "
                f"class: {remedy}"
            )


def learn(
    inputs: Inputs,
    name: str,
    optimiser: torch.optim.Optimizer,
    step: Callable[[int], Tensor],
    steps: int,
    tensors: Mapping[str, Tensor],
    remedy: str = "lower lr",
) -> Tensor:
    """Take steps t = 0 … steps − 1, each by ``step(t)``; a loop that was killed goes on where it was kept.

    The state is ``tensors``, the optimiser's, and the losses. It is kept whenever that is due, once they are known to
    be finite. Draws of step t must derive from t, so that no generator has a state.

    Args:
        inputs: as the runner gave them: where the state is kept, and who is told of the progress.
        name: of the method, for the message.
        optimiser: of the images and whatever else is learnt; ``step`` steps it.
        step: t -> the loss of the step, a scalar without a graph; it changes tensors in place.
        steps: how many.
        tensors: by name, all that a step changes, but for the optimiser's state.
        remedy: what to do where numbers are no longer finite.

    Returns:
        [steps] losses, on the CPU.

    Raises:
        DecoctError: a loss or a tensor is not finite; the state that was kept before stays.
    """
    trace = torch.zeros(steps, device=inputs.device)
    begin = _restore(inputs, optimiser, tensors, trace)
    every = 1 if inputs.device == "cpu" else EVERY
    for t in range(begin, steps):
        trace[t] = step(t)
        if (t + 1 - begin) % every == 0 or t + 1 == steps:
            check_finite(name, trace[: t + 1], steps, remedy)
            inputs.progress(t + 1, steps)
            if inputs.kept.due() or t + 1 == steps:
                _check_tensors(name, tensors, trace[: t + 1], steps, remedy)
            if inputs.kept.due():
                inputs.kept.save(STATE, _state(optimiser, tensors, trace[: t + 1]))
    return trace.cpu()


def check_finite(name: str, trace: Tensor, steps: int, remedy: str) -> None:
    """Raise a DecoctError that names the first step whose loss is not finite, and the last loss that was."""
    finite = trace.isfinite()
    if not finite.all():
        bad = int((~finite).nonzero()[0])
        before = f"it was {float(trace[bad - 1]):.4g} the step before" if bad else "from the start"
        raise DecoctError(f"{name}: the loss is not finite at step {bad + 1} of {steps} ({before}): {remedy}")


def _check_tensors(name: str, tensors: Mapping[str, Tensor], trace: Tensor, steps: int, remedy: str) -> None:
    broken = [key for key, value in tensors.items() if not value.isfinite().all()]
    if broken:  # or the next look would find it, behind a state that was kept
        raise DecoctError(
            f"{name}: {', '.join(broken)} no longer finite after step {len(trace)} of {steps} "
            f"(the last loss was {float(trace[-1]):.4g}): {remedy}"
        )


def _state(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], trace: Tensor) -> dict[str, NDArray[Any]]:
    slots = {
        f"{OPTIMISER}{i}.{slot}": torch.as_tensor(value)
        for i, each in optimiser.state_dict()["state"].items()
        for slot, value in each.items()
        if value is not None
    }
    return {key: value.detach().cpu().numpy() for key, value in {**tensors, **slots, "trace": trace}.items()}


def _restore(inputs: Inputs, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], trace: Tensor) -> int:
    """Bring everything to where it was kept; gives the step to go on with."""
    found = inputs.kept.load(STATE)
    if found is None or len(found["trace"]) > len(trace):
        return 0
    state = {key: torch.from_numpy(np.array(value)) for key, value in found.items()}
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in state.items():
        if key.startswith(OPTIMISER):
            number, _, slot = key.removeprefix(OPTIMISER).partition(".")
            slots.setdefault(int(number), {})[slot] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": slots})
    with torch.no_grad():
        for key, tensor in tensors.items():
            tensor.copy_(state[key])
        trace[: len(state["trace"])] = state["trace"]
    return len(state["trace"])


def numbered(tensors: Sequence[Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors by number, as ``learn`` wants them by name."""
    return {f"{prefix}.{i}": tensor for i, tensor in enumerate(tensors)}
