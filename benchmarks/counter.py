"""Counts what jobs of a study would take on a GPU that is not here: they run without values, see ``shapes``, whole.

Whole chunks of batches, whole batches, and the pieces that a GPU takes: as on CUDA, since the device is no CPU. A stage
of an inversion is the same step again and again, so two turns of its nets tell what all take; trainings, features and
statistics end once their rate is known, as ``decoct plan`` ends its probes. What computes on the host is left out.
"""

import functools
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decoct.core import once
from decoct.core.condensed import Condensed
from decoct.core.spec import parse
from decoct.data.dataset import Dataset, Split, open_dataset
from decoct.methods._shared import starts
from decoct.methods.decoupled._shared import recovery
from decoct.methods.decoupled._shared.recovery import Workpiece
from decoct.methods.generative import mgd3
from decoct.needs.generator import ImageGenerator
from decoct.nets import moments, room
from decoct.nets.diffusion import DiffusionModel
from decoct.study import cell, execute
from decoct.study.estimate import probe
from decoct.study.estimate.estimates import Estimate
from decoct.study.jobs import Job
from decoct.study.store.store import KeptOnDisk
from decoct.study.work import measuring, sets, students
from decoct.study.workers.executors import Inline
from decoct.training import loop
from decoct.training.evaluate import correct
from decoct.training.learn import learn
from roofline import Gpu, Roofline
from shapes import DEVICE, no_values

NEVER = 10**9  # an iteration that no stage has
LOOK = 10  # steps of a training until its rate is looked at
EVALUATED = 64  # images of a student's evaluation that are counted; the others take as long
MEMORY = 80e9  # bytes of the GPU


class Known:
    """What is counted once and taken for all that is alike: crops of one class that a net ranks, a step of a generator,
    and stages of inversions by two turns of their nets, since every further turn takes what the second one did.

    What is known of a stage holds for its method, nets and shape; what the number of classes adds is not seen.
    """

    def __init__(self) -> None:
        self.turns: dict[Any, tuple[float, float]] = {}  # seconds of two turns, and of the second one
        self.calls: dict[Any, tuple[float, Any]] = {}  # seconds, and what came of it

    def once(self, roof: Roofline, usual: Any, likeness: Any) -> Any:
        """What stands for a function, of which calls are alike that have the same ``likeness``."""

        def call(*args: Any, **rest: Any) -> Any:
            key, before = (usual, likeness(*args, **rest)), roof.seconds
            if key not in self.calls:
                made = usual(*args, **rest)
                self.calls[key] = roof.seconds - before, made
            took, made = self.calls[key]
            roof.seconds = before + took
            return made

        return call

    def stages(self, roof: Roofline) -> tuple[Any, Any]:
        """What stands for ``Workpiece.stage`` and for ``learn`` within it."""
        usual, ends = Workpiece.stage, list[float]()

        def learnt(machine: Any, name: str, optimiser: Any, step: Any, *rest: Any, to_end: bool, **more: Any) -> Tensor:
            def told(t: int) -> Tensor:
                loss: Tensor = step(t)
                ends.append(roof.seconds)
                return loss

            return learn(machine, name, optimiser, told, *rest, **more)  # without to_end nothing is kept

        def stage(work: Workpiece, start: Tensor, first: int, last: int, since: Tensor | None = None) -> Tensor:
            if since is None:
                return alike(work, start, first, last, None)
            turns = sorted({*since.clamp(first, last).tolist(), first, last})
            for begin, end in pairwise(turns):  # between two turns as many images take part
                alike(work, start, begin, end, torch.where(since <= begin, begin, NEVER))
            return start

        def alike(work: Workpiece, start: Tensor, first: int, last: int, since: Tensor | None) -> Tensor:
            turn = len(work.jury) if work.spec.in_turn else 1
            part = start.shape[1] if since is None else int((since < NEVER).sum())
            if last - first <= 2 * turn:
                return usual(work, start, first, last, since)
            key, before = (work.spec, work.jury, start.shape, part), roof.seconds
            if key not in self.turns:
                ends.clear()
                usual(work, start, first, first + 2 * turn, since)
                self.turns[key] = roof.seconds - before, ends[-1] - ends[turn - 1]
            both, second = self.turns[key]
            roof.seconds = before + both + second * ((last - first) / turn - 2)
            return start

        return stage, learnt


def crops(judge: Any, made: Tensor, label: int, size: int, pixels: Any) -> Any:
    """By what calls of ``difficulty`` are alike."""
    return type(judge), made.shape, size


def latents(model: DiffusionModel, given: Tensor, *rest: Any, guidance: float = 1.0) -> Any:
    """By what forward passes of a generator are alike."""
    return model.precision, given.shape, guidance


class Counting(Inline):
    """Runs probes of ``decoct plan`` here, and counts what they would take on a GPU.

    Args:
        gpu: which.
    """

    def __init__(self, gpu: Gpu) -> None:
        self.gpu, self.known = gpu, Known()

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """As of any executor; a set is made to its end, all else until its rate is known."""
        *given, job, jobs, device, _ = args
        if job.role("shard") or on_host(job):
            return super().submit(lambda: Estimate("probe", 0.0, 0.0, 0.0))
        whole = job.kind in ("condense", "shard")
        with counted(self.gpu, self.known):
            return super().submit(fn, *given, job, jobs, device, math.inf if whole else 0.0)


def on_host(job: Job) -> bool:
    """Whether the job computes with features in the machine's memory."""
    if job.kind != "condense" or job.config["name"] == "random":  # which others stand on
        return False
    return bool(parse("condenser", job.config, job.plugins).family == "coreset")


@contextmanager
def counted(gpu: Gpu, known: Known | None = None) -> Iterator[Roofline]:
    """In the block jobs on the device ``meta`` run, and clocks show what they would take on a GPU."""
    roof = Roofline(gpu, DEVICE)
    known = known or Known()
    stage, learnt = known.stages(roof)
    clock = SimpleNamespace(perf_counter=lambda: roof.seconds, process_time=lambda: 0.0)
    replaced: list[tuple[Any, str, Any]] = [
        (cell, "time", clock),
        (execute, "time", clock),
        (moments, "pieces", lambda x, _: x.split(max(1, moments.LARGE // max(1, x[:1].numel())))),
        (once, "real", lambda: (roof.seconds, 0.0)),
        (Workpiece, "stage", stage),
        (recovery, "learn", learnt),
        (starts, "difficulty", known.once(roof, starts.difficulty, crops)),
        (DiffusionModel, "predict", known.once(roof, DiffusionModel.predict, latents)),
        (DiffusionModel, "encode", known.once(roof, DiffusionModel.encode, latents)),
        (probe, "FEW", 1),
        (execute, "resolve", lambda word: word),
        (execute, "check_precision", lambda *_: None),
        (execute, "open_dataset", without_images),
        (probe, "open_dataset", without_images),
        (students, "correct", functools.partial(in_part, roof)),
        (measuring, "logits", of_some(roof, measuring.logits)),
        (measuring, "penultimate_blocks", of_some(roof, measuring.penultimate_blocks)),
        (room, "free", lambda _: MEMORY),
        (sets, "room", lambda _: MEMORY),
        (loop, "LOOK", LOOK),
        (Condensed, "materialise", without_pixels),
        (Condensed, "image_bytes", lambda *_: 0),
        (torch, "randn", lambda *shape, generator=None, **rest: torch.zeros(*shape, **rest)),
        (KeptOnDisk, "save", lambda *_: None),
        (KeptOnDisk, "array", lambda _, name, *form: hollow(*form)),
        (sets, "tensorfile", SimpleNamespace(write=lambda *_: None)),
        (
            sets,
            "keep",
            lambda folder, made, data, draft, keep=sets.keep: draft.images is None and keep(folder, made, data, draft),
        ),
        (probe, "_repeat", repeated),
        (ImageGenerator, "load", generator),
        (mgd3, "k_means", lambda latents, count, _: SimpleNamespace(cluster_centers_=latents[:1].repeat(count, 0))),
        (measuring.Eyes, "look", lambda *_: None),  # metrics compute on the host
    ]
    with ExitStack() as stack:
        for where, name, what in replaced:
            stack.enter_context(mock.patch.object(where, name, what))
        stack.enter_context(no_values())
        yield stack.enter_context(roof)


class Hollow(np.ndarray[Any, Any]):
    """An array that takes no memory: what is written to it is lost, and what is taken out of it takes none either."""

    def __setitem__(self, where: Any, what: Any) -> None: ...

    def __getitem__(self, where: Any) -> Any:
        if isinstance(where, tuple) or where is None or where is Ellipsis:
            return super().__getitem__(where)
        return hollow((*np.empty(len(self), bool)[where].shape, *self.shape[1:]), self.dtype)


def hollow(shape: tuple[int, ...], dtype: Any = np.uint8) -> Hollow:
    """One of a shape."""
    return np.broadcast_to(np.zeros((), dtype), shape).view(Hollow)


def without_images(folder: Path) -> Dataset:
    """A data set of which no image is read."""
    data = open_dataset(folder)
    parts = {name: getattr(data, name) for name in ("train", "val", "test")}
    return replace(data, **{name: replace(part, images=hollow(part.images.shape)) for name, part in parts.items()})


def of_some(roof: Roofline, usual: Any) -> Any:
    """What a net makes of images, at once or in blocks, by a few of them: the others take as long."""

    def made(net: Any, pixels: Any, *rest: Any, **more: Any) -> Any:
        some, before = pixels[:EVALUATED], roof.seconds
        said = usual(net, some, *rest, **more)
        blocks = not isinstance(said, Tensor)
        whole = torch.cat(list(said)) if blocks else said
        roof.seconds += (roof.seconds - before) * (len(pixels) / len(some) - 1)
        whole = whole[:1].expand(len(pixels), -1)
        return [whole] if blocks else whole

    return made


def in_part(roof: Roofline, net: Any, split: Split, *rest: Any) -> NDArray[np.bool_]:
    """Which test images are right, by a few of them."""
    rows = slice(0, min(len(split), EVALUATED))
    before = roof.seconds
    correct(net, Split(split.images[rows], split.labels[rows]), *rest)
    roof.seconds += (roof.seconds - before) * (len(split) / rows.stop - 1)
    return np.zeros(len(split), bool)


def without_pixels(condensed: Condensed, train_images: Any) -> Condensed:
    """A set whose images take no memory."""
    return replace(condensed, indices=None, images=hollow((len(condensed), *train_images.shape[1:])))


def repeated(file: Path, axis: int, split: Split, classes: int) -> None:
    """Rows of images for all images of a split: a file with holes."""
    made = np.load(file, allow_pickle=False)
    shape = (*made.shape[:axis], len(split), *made.shape[axis + 1 :])
    np.lib.format.open_memmap(file, "w+", made.dtype, shape).flush()


def generator(need: ImageGenerator, work: Any) -> dict[str, dict[ImageGenerator, DiffusionModel]]:
    """DiT-XL/2 at 256 px and its decoder, whose shapes alone are known here."""
    width = {"num_attention_heads": 16, "attention_head_dim": 72, "num_layers": 28, "patch_size": 2}
    depth = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    channels = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4}
    data: Dataset = work.data
    with torch.device(DEVICE):
        net = diffusers.DiTTransformer2DModel(**width, in_channels=4, out_channels=8, sample_size=32).eval()
        vae = diffusers.AutoencoderKL(**depth, **channels, sample_size=256).eval()
    alphas = (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)
    rows = torch.arange(len(data.class_names))
    model = DiffusionModel(net, vae, alphas, "epsilon", rows, 1000, (4, 32, 32), 256, data.shape)
    for part in (net, vae):
        part.requires_grad_(False)
    return {"generators": {need: model}}
