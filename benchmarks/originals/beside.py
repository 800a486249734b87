"""What two programs that learn images are seen to do, step by step, and how far they are apart."""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torchvision import transforms

from decoct.methods.decoupled._shared.invert import Views
from originals.trees import replaced

AFTER = (0, 1, 10, 100)  # iterations behind which two programs are compared
ROUNDING = 1e-6  # the most by which loss, gradient and images may be apart and still agree, in float64


@dataclass(frozen=True)
class Step:
    """What an optimiser is about to use: images, the gradient there, and the loss they have."""

    images: Tensor
    gradient: Tensor
    loss: float


@dataclass(frozen=True)
class At:
    """How far two programs are apart after so many iterations.

    Attributes:
        after: iterations.
        loss: |ours − theirs| / |theirs| of the loss of the images there.
        gradient: ‖ours − theirs‖ / ‖theirs‖ of its gradient.
        images: the largest |ours − theirs| of a pixel, in deviations of theirs.
    """

    after: int
    loss: float
    gradient: float
    images: float

    @property
    def agrees(self) -> bool:
        """Whether all three are apart by rounding alone."""
        return max(self.loss, self.gradient, self.images) < ROUNDING


@dataclass(frozen=True)
class Agreement:
    """The row of a method.

    Attributes:
        at: how far apart, in order of iterations; empty where it was not run.
        why: what parts them first, or why it was not run, or what was compared instead of images; "" where all agree.
        facts: further numbers by name, such as the share of picks that are the same.
    """

    at: Sequence[At] = ()
    why: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def word(self) -> str:
        """ "agrees to step N", "agrees" where there are no iterations, "differs", or "not run"."""
        if not self.at:
            return "not run"
        steps = 0
        for number, at in enumerate(self.at):
            if not at.agrees:
                return f"agrees to step {steps}, then differs" if number else "differs"
            steps = at.after
        return f"agrees to step {steps}" if steps else "agrees"

    def write(self, folder: Path, method: str, **more: Any) -> None:
        """Save the row as METHOD.json, beside what the file already has of the sets."""
        path = folder / f"{method}.json"
        known = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        row = {"method": method, **more, "word": self.word, "why": self.why, "facts": self.facts}
        known |= row | {"at": [asdict(at) for at in self.at]}
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known, indent=1) + "\n", "utf-8")


@contextmanager
def doubled() -> Iterator[None]:
    """In the block, tensors are float64 unless they say what they are, so that rounding has not grown after 100 steps.

    Adam's first steps are as long for a gradient of 1e-9 as for one of 1: in float32 two equal programs part soon.
    """
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def watched(
    kind: type = torch.optim.Optimizer,
    shape: tuple[int, ...] | None = None,
    learnt: Callable[[], Iterable[tuple[Tensor, Tensor]]] | None = None,
) -> Iterator[list[Step]]:
    """The steps that optimisers take in the block, of tensors whose last dimensions are ``shape``, if one is given.

    The loss is that of the last ``backward()`` before the step. Where weights are learnt, ``learnt`` gives them, with
    their gradients, in an order that both programs share.
    """
    steps: list[Step] = []
    losses = [float("nan")]
    backward = Tensor.backward

    def noted(self: Tensor, *args: Any, **kwargs: Any) -> None:
        losses.append(float(self.detach()))
        backward(self, *args, **kwargs)

    def before(optimiser: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if learnt:
            values, slopes = zip(*((p.detach().flatten(), slope.flatten()) for p, slope in learnt()), strict=True)
            steps.append(Step(torch.cat(values), torch.cat(slopes), losses[-1]))
            return
        p = optimiser.param_groups[0]["params"][0]
        if isinstance(optimiser, kind) and (shape is None or tuple(p.shape[-len(shape) :]) == shape):
            assert p.grad is not None
            steps.append(Step(p.detach().clone(), p.grad.detach().clone(), losses[-1]))

    handle = register_optimizer_step_pre_hook(before)
    Tensor.backward = noted  # type: ignore[method-assign, assignment]
    try:
        yield steps
    finally:
        handle.remove()
        Tensor.backward = backward  # type: ignore[method-assign]


def compare(ours: Sequence[Step], theirs: Sequence[Step], after: Sequence[int] = AFTER) -> list[At]:
    """How far the two are apart after so many iterations, as far as both went; step t sees what t iterations made."""
    rows = []
    for t in after:
        if t >= min(len(ours), len(theirs)):
            break
        a, b = ours[t], theirs[t]
        images, made = (s.images.double().reshape(-1) for s in (a, b))
        slope, slopes = (s.gradient.double().reshape(-1) for s in (a, b))
        rows.append(
            At(
                t,
                abs(a.loss - b.loss) / abs(b.loss),
                float((slope - slopes).norm() / slopes.norm()),
                float((images - made).abs().max() / made.std()),
            )
        )
    return rows


def first_apart(ours: Sequence[Step], theirs: Sequence[Step]) -> int | None:
    """The first iteration behind which the two differ by more than rounding; None if there is none."""
    rows = compare(ours, theirs, range(min(len(ours), len(theirs))))
    return next((row.after for row in rows if not row.agrees), None)


def in_turn(values: Sequence[Any]) -> Callable[..., Any]:
    """A function that gives one value after the other, whatever it is asked; an IndexError behind the last."""
    waiting = iter(values)

    def following(*args: Any, **kwargs: Any) -> Any:
        try:
            return next(waiting)
        except StopIteration:
            raise IndexError("the authors' program draws more often than decoct did") from None

    return following


@contextmanager
def seen_as(views: Views, group: int = 0) -> Iterator[None]:
    """In the block, torchvision's crops and mirrors and Python's ``randint``, of rolls, are those of decoct's views."""
    boxes = (tuple(map(int, box)) for box in views.boxes[:, group])
    mirrored = iter(views.mirrored[:, group].tolist())
    rolls = in_turn(views.rolls[:, group].flatten().tolist())

    def mirror(self: Any, images: Tensor) -> Tensor:
        return images.flip(-1) if next(mirrored) else images

    crop = replaced(transforms.RandomResizedCrop, get_params=staticmethod(in_turn(list(boxes))))
    with crop, replaced(transforms.RandomHorizontalFlip, forward=mirror), replaced(random, randint=rolls):
        yield
