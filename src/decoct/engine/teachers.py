"""Teachers: nets trained once on the whole train split, or brought along as a checkpoint."""

import hashlib
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.kinds import Progress, Task, silent
from decoct.core.spec import Spec
from decoct.data.dataset import Dataset
from decoct.engine.evaluate import correct
from decoct.engine.recipe import Recipe, augmentation, epoch_steps
from decoct.engine.train import TrainingSet, train
from decoct.nets import zoo


class Teach(Spec):
    """How a teacher comes about: AdamW 1e-3, weight decay .01, batch 128, cosine to 0, erm's augmentation.

    Attributes:
        net: a name that the zoo knows.
        epochs: None for 30 below 28 px and 10 from there.
        checkpoint: a safetensors or ``weights_only`` file to load instead of training.
        checkpoint_digest: filled in by the runner, so that another file is another teacher.
    """

    kind: ClassVar[str] = "teacher"
    name: ClassVar[str] = "teach"

    net: str
    epochs: int | None = Field(None, ge=1)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    batch: int = Field(128, ge=2)
    checkpoint: str | None = None
    checkpoint_digest: str | None = None

    def identity(self) -> dict[str, Any]:
        """As of any Spec, without the checkpoint's path: its content counts."""
        who = super().identity()
        who["fields"].pop("checkpoint")
        return who

    def pinned(self) -> "Teach":
        """The same with the digest of the checkpoint's content."""
        if self.checkpoint is None:
            return self
        file = Path(self.checkpoint)
        if not file.is_file():
            raise UsageError(f"teacher '{self.net}': no checkpoint at {file}")
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()[:32]
        return self.model_copy(update={"checkpoint_digest": content, "checkpoint": str(file.resolve())})

    def recipe(self, task: Task) -> Recipe:
        """The training recipe on a whole train split."""
        batch = min(self.batch, task.images)
        epochs = self.epochs or (10 if task.size >= 28 else 30)
        return Recipe(
            steps=epochs * epoch_steps(task.images, batch),
            batch=batch,
            optimiser="adamw",
            lr=self.lr,
            weight_decay=self.weight_decay,
            schedule="cosine",
            flip=task.flip,
            **augmentation(task.size),
        )


def teach(
    spec: Teach,
    data: Dataset,
    *,
    seed: int,
    device: str = "cpu",
    precision: str = "float32",
    compiled: bool = False,
    progress: Progress = silent,
) -> tuple[nn.Module, dict[str, Any]]:
    """A teacher in eval mode, and what is on record of it: held-out accuracy on val, epochs, steps.

    Raises:
        DecoctError: the checkpoint does not fit the net, or is damaged.
    """
    channels, _, size = data.shape
    classes = len(data.class_names)
    net = zoo.build(spec.net, channels, classes, size, seed)
    facts: dict[str, Any] = {"net": spec.net, "checkpoint": spec.checkpoint, "epochs": 0, "steps": 0}
    if spec.checkpoint is not None:
        load_checkpoint(net, Path(spec.checkpoint))
        net.to(device).eval()
    else:
        task = Task(len(data.train), classes, size, data.flip, ceiling=True)
        recipe = spec.recipe(task)
        whole = TrainingSet(*tensors(data), mean=data.mean, std=data.std)
        done = train(
            net, whole, recipe, seed=seed, device=device, precision=precision, compiled=compiled, progress=progress
        )
        facts |= {"epochs": recipe.steps // epoch_steps(task.images, recipe.batch), "steps": done.steps}
    facts["val_accuracy"] = float(correct(net, data.val, data, device).mean())
    return net, facts


def tensors(data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and labels of the train split, in memory."""
    return torch.from_numpy(data.train.images[:].copy()), torch.from_numpy(data.train.labels[:].copy())


def load_checkpoint(net: nn.Module, file: Path) -> None:
    """Load a state dict in place; a wrapper's ``state_dict`` or ``model`` key and a ``module.`` prefix are undone.

    Raises:
        DecoctError: unreadable, pickled code, or names and shapes that do not fit.
    """
    try:
        state: Any = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError) as error:
        raise DecoctError(f"{file} is damaged or not a checkpoint: {error}") from error
    except Exception as error:  # the unpickler's own error type is private to pickle, and its text advises to trust
        raise DecoctError(
            f"{file} holds more than weights, or is damaged, and was not loaded\n"
            "save the net's state_dict() alone, best as safetensors"
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    kinds = {(type(name), type(value)) for name, value in state.items()} if isinstance(state, dict) else set()
    if not kinds or not all(name is str and issubclass(value, torch.Tensor) for name, value in kinds):
        raise DecoctError(f"{file} holds no state dict of tensors")
    state = {name.removeprefix("module."): value for name, value in state.items()}
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise DecoctError(f"{file} does not fit the net: {' '.join(lines[1:3]).strip() or lines[0]}") from None
