"""Teachers: nets trained once on the whole train split, stopped at an accuracy, pretrained, or supplied."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from torch import nn

from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Machine, Progress, Task, silent
from decoct.core.needs import Need, Part, Plan, Work
from decoct.core.record import read_json, write_json
from decoct.core.spec import Spec
from decoct.data.dataset import Dataset
from decoct.data.source import hash_once
from decoct.nets import weights, zoo
from decoct.nets.features import at_once, logits
from decoct.nets.layout import laid_out
from decoct.nets.pretrained import expected, pretrained, tagged
from decoct.nets.renormalise import IMAGENET, Normalisation, Whitened, bare, renormalised
from decoct.training.images import tensor
from decoct.training.loop import TrainingSet, train
from decoct.training.recipe import Recipe, augmentation, epoch_steps

WEIGHTS, TEACHER = "weights.safetensors", "teacher.json"  # of its cell


class Teacher(Need):
    """A net trained on the whole train split.

    Attributes:
        net: a name that the zoo knows; ``"teacher"`` is the default label teacher at the data's resolution.
    """

    record: ClassVar[str] = TEACHER

    net: str = "teacher"

    def check(self) -> None:
        """Raise a UsageError if the zoo does not know the net."""
        if self.net != "teacher":
            zoo.check_name(self.net)

    def parts(self, plan: Plan) -> tuple[Part, ...]:
        """One training, or one loading of weights."""
        spec = taught(plan, self.net)
        drawn = plan.derive("teacher", spec.net, anew=not spec.loaded)
        return (Part(zoo.resolve(self.net, plan.data.size), spec, {"seed": drawn}, labels={"net": spec.net}),)

    @classmethod
    def make(cls, work: Work) -> None:
        """Train the net, or load pretrained weights or a checkpoint that the user supplied.

        Files:
            weights.safetensors: state dict; in its header class names, mean and deviation of its input
            teacher.json: net, epochs, steps, accuracy on val, where loaded weights came from, outputs of a cut head
        """
        spec = Teach.again(work.job.config)
        with work.meter():
            net, facts = teach(spec, work.data, seed=work.job.keyed["seed"], machine=work.machine())
        takes = Normalisation.of(**facts["input"])
        weights.write(work.folder / WEIGHTS, bare(net), facts["class_names"], takes, facts.get("zca"))
        write_json(work.folder / TEACHER, facts)

    def load(self, work: Work) -> dict[str, dict[str, nn.Module]]:
        """The net in eval mode on the device, by the name that the need gives it."""
        folder = work.cell("teacher", zoo.resolve(self.net, work.data.size))
        return {"teachers": {self.net: load_teacher(folder, work.data, work.device)}}

    @classmethod
    def uncounted(cls, record: Mapping[str, Any]) -> bool:
        """Whether its weights were loaded."""
        return record["checkpoint"] is not None


def load_teacher(folder: Path, data: Dataset, device: str) -> nn.Module:
    """A stored teacher: eval mode, frozen, on ``device``.

    Raises:
        DecoctError: it was taught other classes or another order, or its weights are damaged.
    """
    stored, facts = weights.read(folder / WEIGHTS), read_json(folder / TEACHER)
    weights.same_classes(facts["class_names"], data.class_names, str(folder))
    own, takes = Normalisation.of(data.mean, data.std), Normalisation.of(**facts["input"])
    net = zoo.build(facts["net"], len(takes.mean), len(data.class_names), data.size, seed=0)
    weights.load(net, stored.state, str(folder))
    seeing = seen_whitened(net, data) if facts.get("zca") else renormalised(net, own, takes)
    return laid_out(seeing.to(device)).eval().requires_grad_(False)


def load_labeller(folder: Path, data: Dataset, device: str) -> nn.Module:
    """A stored teacher for what students see: the same, but of whitened images where the data are whitened.

    Raises:
        DecoctError: as ``load_teacher``, or the data are whitened, and its weights are of images that are not.
    """
    net = load_teacher(folder, data, device)
    if data.whitening is None or isinstance(net, Whitened):
        return bare(net) if isinstance(net, Whitened) else net
    raise DecoctError(
        f"a teacher with weights from elsewhere cannot label the whitened images of {data.name}\n"
        "train the teacher on the data, or leave zca out"
    )


def seen_whitened(net: nn.Module, data: Dataset) -> nn.Module:
    """A net of whitened images for images under the data's normalisation; itself where the data are not whitened."""
    if data.whitening is None:
        return net
    whitening = data.whitening.to("cpu")
    return Whitened(net, Normalisation.of(data.mean, data.std), whitening.mean, whitening.matrix)


def training_set(data: Dataset, condensed: Condensed | None = None) -> TrainingSet:
    """What a net is trained on: a set with its pixels, or the whole train split."""
    if condensed is None:
        images, labels, weights = data.train.images, data.train.labels, None
    else:
        images, labels, weights = condensed.pixels(), condensed.labels, condensed.weights
    kept = None if weights is None else torch.from_numpy(weights)
    return TrainingSet(tensor(images), tensor(labels), data.mean, data.std, kept, data.whitening)


def taught(plan: Plan, net: str) -> "Teach":
    """How a net is taught in a study, under its own name or another one of the same architecture.

    A net without a tag is whichever the study has of this architecture. One with a tag, such as "resnet50.tv_in1k",
    is that of the study if it has these weights or was taught on the data; where the study has none it is trained.

    Raises:
        UsageError: nobody knows the net, it does not fit the resolution, or the study has other pretrained weights.
    """
    size = plan.data.size
    default, net = zoo.resolve("teacher", size), zoo.resolve(net, size)
    zoo.check_fits(net, size)
    usual = plan.teachings.get("teacher") if "teacher" in plan.teachings else None
    if own := usual if usual and net == default else plan.teachings.get(net):
        return own.model_copy(update={"net": net})
    alone, given = zoo.architecture(net, size), [spec for spec in plan.teachings.values() if spec is not usual]
    given += [usual.model_copy(update={"net": default})] if usual else []
    alike = [spec for spec in given if zoo.architecture(spec.net, size) == alone]
    for spec in alike:
        if net == alone or not spec.pretrained or tagged(spec.net) == net:
            return spec
    if alike:
        raise UsageError(
            f'the weights {net} are asked for, and the study has {tagged(alike[0].net)}: add {{net = "{net}", '
            "pretrained = true} to its teachers"
        )
    return Teach(net=alone)


def taught_throughout(plan: Plan, net: str, epochs: int | None) -> "Teach":
    """As ``taught``, but for so many epochs, or as many as usual: no accuracy ends it, and nothing is loaded."""
    usual = taught(plan, net)
    usual = Teach(net=usual.net) if usual.loaded else usual
    epochs = epochs or usual.epochs_at(plan.data.size)
    return usual.model_copy(update={"epochs": epochs, "stop_at": None, "check_every": None})


class Teach(Spec):
    """How a teacher is made: AdamW 1e-3, weight decay .01, batch 128, cosine to 0, erm's augmentation.

    Attributes:
        net: a name that the zoo knows.
        epochs: None for 30 below 28 px and 10 from there.
        lr: at the start.
        weight_decay: on weights of two or more dimensions.
        batch: images per step.
        stop_at: accuracy on val, a fraction, at which the training ends; it is an error if that is never reached.
        check_every: steps between two looks at val; None for a tenth of an epoch, but at least 10.
        checkpoint: a safetensors or ``weights_only`` file to load instead of training.
        checkpoint_digest: filled in by the runner, so that another file is another teacher.
        pretrained: load timm's or torchvision's ImageNet weights instead; the head is cut to the data's classes.
        normalise: what a loaded net expects its input to be normalised with: the data's own statistics or ImageNet's
            usual ones (.485 …). None for what its origin says; where that is silent, those of the net's pretrained
            weights for a head of ImageNet-1K, else the data's, and it is an error if val contradicts that.
    """

    kind: ClassVar[str] = "teacher"
    name: ClassVar[str] = "teach"

    net: str
    epochs: int | None = Field(None, ge=1)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    batch: int = Field(128, ge=2)
    stop_at: float | None = Field(None, gt=0, lt=1)
    check_every: int | None = Field(None, ge=1)
    checkpoint: str | None = None
    checkpoint_digest: str | None = None
    pretrained: bool = False
    normalise: Literal["data", "imagenet"] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "Teach":
        for wrong, said in (
            (self.pretrained and self.checkpoint is not None, "pretrained weights or a checkpoint, not both"),
            (self.loaded and self.stop_at is not None, "stop_at is for a net that is trained, not one that is loaded"),
            (self.check_every is not None and self.stop_at is None, "check_every goes with stop_at"),
            (self.normalise is not None and not self.loaded, "normalise goes with pretrained or a checkpoint"),
        ):
            if wrong:
                raise PydanticCustomError("teach", "{said}", {"said": said})
        return self

    @property
    def loaded(self) -> bool:
        """It has weights already and is not trained."""
        return self.pretrained or self.checkpoint is not None

    def identity(self) -> dict[str, Any]:
        """As for any Spec, without the checkpoint's path: its content counts; pretrained weights by their full name."""
        who = super().identity()
        who["fields"].pop("checkpoint")
        if self.normalise == "imagenet":
            who["fields"]["normalise"] = IMAGENET
        return who | {"weights": tagged(self.net)} if self.pretrained else who

    def pinned(self) -> "Teach":
        """The same with the digest of the checkpoint's content."""
        if self.checkpoint is None:
            return self
        file = Path(self.checkpoint)
        if not file.is_file():
            raise UsageError(f"teacher '{self.net}': no checkpoint at {file}")
        return self.model_copy(update={"checkpoint_digest": hash_once(file)[:32], "checkpoint": str(file.resolve())})

    def epochs_at(self, size: int) -> int:
        """Epochs at a resolution."""
        return self.epochs or (10 if size >= 28 else 30)

    def recipe(self, task: Task) -> Recipe:
        """The training recipe on a whole train split."""
        batch = min(self.batch, task.images)
        return Recipe(
            steps=self.epochs_at(task.size) * epoch_steps(task.images, batch),
            batch=batch,
            optimiser="adamw",
            lr=self.lr,
            weight_decay=self.weight_decay,
            schedule="cosine",
            flip=task.flip,
            **augmentation(task.size),
        )


def teach(spec: Teach, data: Dataset, *, seed: int, machine: Machine = Machine()) -> tuple[nn.Module, dict[str, Any]]:
    """A teacher in eval mode, and its record.

    Returns:
        The net, for images under the data's normalisation; and net, checkpoint (where loaded weights came from),
        pretrained, sliced_from (outputs of a head that was cut), epochs, steps, stop_at, val_accuracy (held out),
        class_names, input (mean and std that the net itself expects), zca (digest of the data by whose whitening it
        sees images; left out if it sees none).

    Raises:
        DecoctError: weights that are damaged or do not fit the net or the classes, or that val shows to expect another
            normalisation than the one taken in silence; ``stop_at`` is never reached; logits that are not finite.
    """
    facts: dict[str, Any] = {"net": spec.net, "stop_at": spec.stop_at, "pretrained": spec.pretrained}
    facts |= {"class_names": list(data.class_names), "checkpoint": None, "sliced_from": None, "epochs": 0, "steps": 0}
    own = Normalisation.of(data.mean, data.std)
    if spec.loaded:
        given = pretrained(spec.net, data.size) if spec.pretrained else weights.read(Path(spec.checkpoint or ""))
        net, fitted, takes = _loaded(spec, given, data, seed)
        facts |= {"zca": given.zca} if given.zca else {}
        net = (seen_whitened(net, data) if given.zca else renormalised(net, own, takes)).to(machine.device).eval()
        facts |= {"checkpoint": given.origin, "sliced_from": fitted.sliced_from}
        right = _right(net, data, machine.device, machine.progress)
        facts["val_accuracy"] = float(right.mean())
        if spec.normalise is None and given.normalisation is None:
            _check_guess(net, data, takes, right, given.origin, machine.device)
    else:
        takes = own
        net = zoo.build(spec.net, data.shape[0], len(data.class_names), data.size, seed)
        facts |= _trained(spec, net, data, seed, machine)
        facts |= {} if data.whitening is None else {"zca": data.digest}
        net = seen_whitened(net, data).to(machine.device).eval()
    return net, facts | {"input": {"mean": list(takes.mean), "std": list(takes.std)}}


def accuracy(net: nn.Module, data: Dataset, device: str = "cpu", progress: Progress = silent) -> float:
    """Share of the val images that a net classifies correctly; its modes are restored afterwards.

    Raises:
        DecoctError: logits that are not finite.
    """
    return float(_right(net, data, device, progress).mean())


def _right(net: nn.Module, data: Dataset, device: str = "cpu", progress: Progress = silent) -> NDArray[np.bool_]:
    """Which of the val images a net classifies correctly, in the order of their batches."""
    right, done, batch = [], 0, at_once(data.size, data.size, 1000)
    for rows, images in data.val.batches(batch, alone=device == "cpu"):
        out = logits(net, images, data.mean, data.std, device, batch)
        if not out.isfinite().all():
            raise DecoctError("the teacher gives logits on val that are not finite: lower lr, or load other weights")
        right.append(out.argmax(1).numpy() == data.val.labels[rows])
        progress(done := done + len(rows), len(data.val))
    return np.concatenate(right)


def _check_guess(
    net: nn.Module, data: Dataset, takes: Normalisation, right: NDArray[np.bool_], origin: str, device: str
) -> None:
    """Raise a DecoctError if a net is clearly better under the normalisation that was not taken for its own.

    Clearly: by three standard errors of the difference on the same images.
    """
    own = Normalisation.of(data.mean, data.std)
    for word, other in (("data", own), ("imagenet", IMAGENET)):
        if other == takes or len(other.mean) != len(takes.mean):
            continue
        there = _right(renormalised(bare(net), own, other).to(device).eval(), data, device)
        gained, lost = int((there & ~right).sum()), int((right & ~there).sum())
        if gained - lost > 3 * (gained + lost) ** 0.5:
            raise DecoctError(
                f"{origin} does not say how its images were normalised: with mean {_short(takes.mean)} it is right on "
                f"{right.mean():.1%} of val, with {_short(other.mean)} on {there.mean():.1%}\n"
                f'say normalise = "{word}", or the other word if you know better'
            )


def _short(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:.3g}" for number in numbers)


def _trained(spec: Teach, net: nn.Module, data: Dataset, seed: int, machine: Machine) -> dict[str, Any]:
    """Train in place; epochs, steps and the accuracy on val at the end, which ``stop_at`` has reached."""
    recipe = spec.recipe(Task.of(data))
    epoch = epoch_steps(len(data.train), recipe.batch)
    seen: dict[int, float] = {}

    def reached(step: int, student: nn.Module) -> bool:
        seen[step] = accuracy(seen_whitened(student, data), data, machine.device)
        return spec.stop_at is not None and seen[step] >= spec.stop_at

    stop = None if spec.stop_at is None else reached
    every = spec.check_every or max(10, epoch // 10)
    done = train(net, training_set(data), recipe, seed=seed, machine=machine, stop=stop, stop_every=every)
    if done.steps not in seen:
        reached(done.steps, net)
    if spec.stop_at is not None and seen[done.steps] < spec.stop_at:
        best = max(seen, key=lambda step: seen[step])
        raise DecoctError(
            f"{spec.net} never reached stop_at = {spec.stop_at} on val: {seen[best]:.4f} at best, "
            f"after {best} of {recipe.steps} steps\nask for less, give it more epochs, or take another net"
        )
    passes, rest = divmod(done.steps, epoch)
    facts = {"steps": done.steps, "val_accuracy": seen[done.steps]}
    return facts | {"epochs": round(done.steps / epoch, 4) if rest else passes}


def _loaded(
    spec: Teach, given: weights.Weights, data: Dataset, seed: int
) -> tuple[nn.Module, weights.Fitted, Normalisation]:
    """A net with the given weights, how they went in, and the normalisation that it expects."""
    if given.zca and (data.whitening is None or given.zca != data.digest):
        raise DecoctError(
            f"{given.origin} was given images by the ZCA whitening of other data than {data.name}\n"
            "load it for the data that it was trained on, with zca = true, or train a teacher"
        )
    own = Normalisation.of(data.mean, data.std)
    takes = {"data": own, "imagenet": IMAGENET, None: given.normalisation or own}[spec.normalise]
    net = zoo.build(spec.net, len(takes.mean), len(data.class_names), data.size, seed)
    fitted = weights.fit(net, given, data.class_names)
    unsaid = spec.normalise is None and given.normalisation is None
    if unsaid and fitted.imagenet:
        takes = expected(net)
    return net, fitted, takes
