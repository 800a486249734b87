"""Parts that decoupled methods share: images recovered from a committee of nets, with one hook for each choice.

A method is a file that says how images start, which nets judge them at an iteration, what is matched, and how the
optimisation is staged. Everything else is here.
"""

import math
from bisect import bisect
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Generator, Tensor

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Draft, Inputs, Need
from decoct.core.seeds import seed
from decoct.data.pixels import Pixels
from decoct.data.send import send
from decoct.methods._shared.patches import Scale
from decoct.methods._shared.presets import WithPresets
from decoct.methods._shared.starts import Block, Crops, cut, in_order, ranked_crops, side_by_side
from decoct.methods.decoupled._shared.invert import Alignment, FixedNorms, Views, frozen, view
from decoct.needs.teacher import Teacher
from decoct.nets import room
from decoct.nets.compiled import OrEager, graph
from decoct.nets.moments import running
from decoct.nets.precision import Precision, autocast
from decoct.nets.room import Halving, Held
from decoct.training.learn import learn

BATCH = 100  # images at once on a CPU


class Recovery(WithPresets):
    """Images recovered from the nets that know their classes; relabelling is the protocol's.

    Each block of images minimises  Σ_m w_m (CE_m + r · R_m)  over the nets m that judge it at an iteration, by Adam
    (β .5, .9) on normalised pixels, the rate falling along a cosine to 0, under a random crop, flip and roll that the
    block shares. Pixels are clamped to the valid range after each step; the last iterate is kept, truncated to 8 bits.
    Data that may not be mirrored, such as digits, are not. Up to 8 px a preset's roll is 1 pixel.

    Attributes:
        nets: who judges; ``"teacher"`` is the default teacher.
        lr: rate at the first iteration.
        iterations: steps on each image; 0 leaves them where they start, the control of the optimisation.
        r: weight of the statistics.
        jitter: largest roll in pixels.
        scale: share of the area that a crop keeps.
        block: images that are matched together.
        batch: images that run at once, in blocks side by side, where blocks are smaller; None for what half of the free
            memory of a GPU holds, and 100 on a CPU, where more are not faster.
        precision: of the nets' forward passes while images are recovered; images, statistics, losses and Adam's state
            stay in float32, and so does what ranks the real images that a set starts from: it starts from the same.
    """

    family = "distillation"
    even = True
    quick = {"iterations": 20}
    in_turn: ClassVar[bool] = False  # one net of the jury an iteration, instead of all at once
    by_class: ClassVar[bool] = False  # blocks are class after class, instead of one image a class
    penalty: ClassVar[str | None] = None  # name of a further term of the loss

    nets: tuple[str, ...] | None = Field(None, min_length=1)
    lr: float | None = Field(None, gt=0)
    iterations: int | None = Field(None, ge=0)
    r: float | None = Field(None, ge=0)
    jitter: int | None = Field(None, ge=0)
    scale: Scale | None = None
    block: int | None = Field(None, ge=1)
    batch: int | None = Field(None, ge=1)
    precision: Precision = "float32"

    # What a method chooses

    def blocks(self, classes: Sequence[int], ipc: int) -> list[Block]:
        """How the set is divided: one image per class and block, as SRe2L; or ``by_class``."""
        size = self.block or 1
        if self.by_class:
            return in_order(classes, ipc, size)
        runs = [tuple(classes[at : at + size]) for at in range(0, len(classes), size)]
        return [Block(run, (i,) * len(run)) for run in runs for i in range(ipc)]

    def crops(self, inputs: Inputs, pixels: Pixels, c: int, ipc: int) -> Crops | None:
        """The real crops that the images of a class start from, as ``cut`` takes them; None for Gaussian noise."""
        return None

    def jury(self, inputs: Inputs, block: Block) -> tuple[str, ...]:
        """The nets that judge a block, of those in ``nets``."""
        return self.committee

    def alike(self, inputs: Inputs, block: Block) -> Hashable:
        """What blocks that run side by side have in common: their jury."""
        return self.jury(inputs, block)

    def votes(self, jury: Sequence[str], t: int) -> Mapping[str, float]:
        """Which nets of the jury judge at an iteration, and with which weight: all equally, or one ``in_turn``."""
        return {jury[t % len(jury)]: 1.0} if self.in_turn else dict.fromkeys(jury, 1.0)

    def alignment(self, work: "Workpiece", net: str) -> Alignment:
        """What is matched at a net: the running statistics of its batch norms."""
        judge = work.inputs.teachers[net]
        return Alignment(judge, work.groups, running(judge))

    def low(self, t: Tensor) -> Tensor | None:
        """Least share of a crop's area at iterations ``t`` [T]; None for ``scale`` throughout."""
        return None

    @property
    def both_ways(self) -> bool:
        """Whether a roll goes up and left as well, uniform in −jitter … jitter; else in 0 … jitter."""
        return False

    @property
    def upright(self) -> bool:
        """Whether views are not mirrored even where the data may be."""
        return False

    def border(self) -> int | None:
        """Pixels that a crop of the images' own size may lie over their border; None for crops of ``scale``."""
        return None

    def extra(self, work: "Workpiece", seen: Tensor) -> Tensor:
        """The ``penalty``, [G], at the images as they are seen; called if it has a name."""
        raise DecoctError(f"{self.name} has the penalty '{self.penalty}' and does not say what it is: define extra")

    def optimise(self, work: "Workpiece", images: Tensor) -> Tensor:
        """The images, [G, B, C, S, S], optimised from their start in one stage of all iterations."""
        assert self.iterations is not None
        return work.stage(images, 0, self.iterations)

    # What all share

    @property
    def committee(self) -> tuple[str, ...]:
        """The nets; the default teacher where none are named."""
        return self.nets or ("teacher",)

    def together(self, ipc: int) -> int | None:
        """The classes of a block: on a CPU runs never mix them, so shards are bit-equal."""
        return len(set(self.blocks(range(self.block or 1), ipc)[0].classes))

    def apart(self, ipc: int, classes: int) -> int | None:
        """One, where a run holds one image of each class."""
        return 1 if not self.by_class and (self.batch or BATCH) < 2 * classes else None

    def identity(self) -> dict[str, Any]:
        """What enters a key: a batch that nobody asked for as it was before memory chose it."""
        identity = super().identity()
        identity["fields"]["batch"] = self.batch or BATCH
        return identity

    def known(self, size: int) -> dict[str, Any]:
        """The preset; up to 8 px its roll is 1 pixel."""
        known = {"nets": ("teacher",), **super().known(size)}
        return known | ({"jitter": 1} if size <= 8 and known.get("jitter") else {})

    def needs(self) -> tuple[Need, ...]:
        """The nets to invert."""
        return teachers(*self.committee)

    def __call__(self, inputs: Inputs) -> Draft:
        """Recover run after run; finished runs are kept, so a killed construction continues after them.

        Raises:
            DecoctError: a net has no batch norm, or other classes than the data, or the loss is no longer finite.
        """
        spec, pixels, data = self.at(inputs.data.size), Pixels.of(inputs.data, inputs.device), inputs.data
        ipc, span, classes = inputs.ipc(self.name), inputs.span(self.name), inputs.wanted()
        blocks = [block for block in spec.blocks(classes, ipc) if block.ids[0] in span]
        images = inputs.kept.array("images", (len(classes), len(span), *data.shape))
        initial = inputs.kept.array("initial", images.shape)
        notes: dict[str, float] = {}
        steps = 0
        crops = cache(lambda c: spec.crops(inputs, pixels, c, ipc))
        either = OrEager(inputs.compiled, spec.name)

        def recovered(together: list[Block]) -> tuple[list[Block], dict[str, NDArray[Any]]]:
            return together, either(partial(made, together))

        def made(together: list[Block], compiled: bool) -> dict[str, NDArray[Any]]:
            work = Workpiece(spec, inputs, pixels, crops, together, number[together[0].name], len(runs), compiled)
            done = inputs.kept.load(f"run-{work.name}")
            if done is None:
                inputs.kept.save(f"run-{work.name}", done := work.done())
                for stage in work.stages:  # so that what is kept does not grow with the set
                    inputs.kept.drop(stage)
            return done

        each = len(blocks[0])
        lower = f"the {each} images of a block are matched together: lower block, or take nets that are smaller"
        halving = Halving(spec.name, inputs.device, "batch", each, lower)
        with ExitStack() as stack:
            for net in inputs.teachers.values():
                stack.enter_context(frozen(net))
            same_classes(inputs)
            apart = inputs.device == "cpu"  # other devices are not to stand half-empty
            at_once = spec.batch or (BATCH if apart else spec.fitting(inputs, pixels, blocks))
            alike = side_by_side(blocks, at_once, lambda b: (b.classes if apart else (), spec.alike(inputs, b)))
            runs = list(alike)
            number = {block.name: number for number, run in enumerate(runs) for block in run}
            for together, done in chain.from_iterable(halving(recovered, run) for run in runs):
                for block, begun, ended in zip(together, done.pop("initial"), done.pop("images"), strict=True):
                    where = np.searchsorted(classes, block.classes), [i - span.start for i in block.ids]
                    initial[where], images[where] = begun, ended
                steps += int(done.pop("steps"))
                for name, value in done.items():
                    notes[name] = notes.get(name, 0.0) + float(value) / (len(classes) * len(span))
        return Draft.synthesised(
            images.reshape(-1, *data.shape),
            np.repeat(classes, len(span)),
            steps=steps,
            initial=initial.reshape(-1, *data.shape),
            notes=notes,
        )

    def fitting(self, inputs: Inputs, pixels: Pixels, blocks: Sequence[Block]) -> int:
        """Images whose graphs fill half of the memory that a device has free; the other half is for their gradients.

        It is a power of 2, so that a killed construction finds its runs again though a little less is free.
        """
        few = {self.jury(inputs, block): block for block in blocks}.values()
        held = (Workpiece(self, inputs, pixels, lambda _: None, [block], 0, 1).held() / len(block) for block in few)
        return 1 << int(math.log2(max(1, room.free(inputs.device) / 2 / max(held))))


class FromPatches(Recovery):
    """Recovery that starts at real patches of medium difficulty: RDED's crops, taken around the median.

    Crops are cut from the pictures as they are on disk where the data have them, else from the data's squares.

    Attributes:
        ranker: the net that ranks them.
    """

    version = 2
    ranker: str = "teacher"

    def needs(self) -> tuple[Need, ...]:
        """The nets to invert, and who ranks."""
        return teachers(*self.committee, self.ranker)

    def crops(self, inputs: Inputs, pixels: Pixels, c: int, ipc: int) -> Crops | None:
        """Crops of medium difficulty."""
        judge = inputs.teachers[self.ranker]
        return ranked_crops(inputs, judge, pixels, c, ipc, names=(self.name, "start"), median=True)


@dataclass
class Workpiece:
    """Blocks in the making, side by side.

    Attributes:
        spec: the method, resolved.
        inputs: as the runner gave them.
        pixels: the data's scale.
        crops: of a class, that its images start from; None for noise.
        blocks: of one length and one jury.
        number: of this run, among ``runs``.
        compiled: judge images in one graph, by ``torch.compile``.
    """

    spec: Recovery
    inputs: Inputs
    pixels: Pixels
    crops: Callable[[int], Crops | None]
    blocks: list[Block]
    number: int
    runs: int
    compiled: bool = False

    def __post_init__(self) -> None:
        self.groups = len(self.blocks)
        self.name = "-".join(map(str, (*self.blocks[0].name, self.groups)))  # of what is kept of it
        self.jury = self.spec.jury(self.inputs, self.blocks[0])
        # A block's draws depend on the seed, its first class and its first image alone, not on what runs beside it.
        self.rngs = [Generator().manual_seed(seed(self.inputs.seed, self.spec.name, *b.name)) for b in self.blocks]
        self.active = self.classes = torch.tensor([b.classes for b in self.blocks])  # those that take part
        self.labels = self.classes.to(self.inputs.device)
        self.traces: list[Tensor] = []  # of each stage, [iterations, terms]
        self.stages: list[str] = []  # what the state of each is kept as
        penalty = {self.spec.penalty: 1.0} if self.spec.penalty else {}
        self.weights = {"ce": 1.0, "bn_loss": float(self.spec.r or 0)} | penalty  # of the terms of the loss
        self.alignments = {net: self.spec.alignment(self, net) for net in self.jury}
        self.norms = None if self.compiled else FixedNorms()  # what is compiled has norms as cheap by itself
        for alignment in self.alignments.values():
            alignment.norms = self.norms
        self.judged = graph(self.judge) if self.compiled else self.judge

    def done(self) -> dict[str, NDArray[Any]]:
        """Start and end of each block, uint8 [G, B, C, S, S], steps, and sums over images of what is recorded."""
        spec, pixels, inputs, starts = self.spec, self.pixels, self.inputs, []
        ipc = inputs.ipc(spec.name)
        for block, rng in zip(self.blocks, self.rngs, strict=True):
            picked = {c: crops for c in block.classes if (crops := self.crops(c)) is not None}
            numbered = zip(block.classes, block.ids, strict=True)
            real = [cut(inputs, pixels, picked[c], i, ipc) for c, i in numbered if picked]
            starts.append(torch.cat(real) if real else torch.randn(len(block), *inputs.data.shape, generator=rng))
        start = torch.stack(starts).to(inputs.device)
        begun = pixels.truncate(start.clamp(pixels.low, pixels.high))
        stored = pixels.truncate(spec.optimise(self, start)) if spec.iterations else begun
        made = {"initial": begun.cpu().numpy(), "images": stored.cpu().numpy(), "steps": np.array(0)}
        with torch.inference_mode():  # how many images the jury classifies as meant, by the mean of its logits
            x = pixels.normalise(stored.to(start.dtype)).flatten(0, 1)
            logits = torch.stack([inputs.teachers[net](x) for net in self.jury]).mean(0)
            made["teacher_agreement"] = np.array(float((logits.argmax(1) == self.labels.flatten()).sum()))
        images, few = self.labels.numel(), len(self.jury) if spec.in_turn else 1
        if self.traces:
            trace = torch.cat(self.traces).cpu()
            made["steps"] = np.array(len(trace))
            for name, values in zip(self.weights, trace.unbind(1), strict=True):
                for end, some in (("first", values[:few]), ("last", values[-few:])):
                    made[f"{name}_{end}"] = (some.mean() * images).numpy()
        return made

    def stage(self, images: Tensor, first: int, last: int, since: Tensor | None = None) -> Tensor:
        """Some iterations with a fresh Adam (β .5, .9), along the one cosine of all; pixels are clamped after each.

        Args:
            images: [G, B, C, S, S], of any size S.
            first: iteration.
            last: the one after the last.
            since: [B] the iteration from which each image of a block takes part, one of them at most ``first``; None
                for all throughout. One that waits stays as it is, and so do its moments in Adam, at 0, whose steps are
                counted.

        Raises:
            DecoctError: the loss or a pixel is no longer finite.
        """
        spec, inputs, total = self.spec, self.inputs, self.spec.iterations or 1
        assert spec.scale is not None and spec.jitter is not None and spec.lr is not None
        if first >= last:
            return images
        part, lr = images.detach().clone().requires_grad_(), spec.lr
        joins = torch.zeros(0) if since is None else since
        turns = sorted(set(joins.tolist()))
        rows = [(joins <= t).nonzero()[:, 0] for t in turns]  # of those that take part from then on
        sent = [send(some, part) for some in rows]
        views = Views.draw(
            self.rngs,
            last - first,
            images.shape[-1],
            scale=spec.scale,
            low=spec.low(torch.arange(first, last)),
            flip=inputs.data.flip and not spec.upright,
            jitter=spec.jitter,
            back=spec.jitter if spec.both_ways else 0,
            pad=spec.border(),
            device=inputs.device,
        )
        optimiser = torch.optim.Adam([part], lr, betas=(0.5, 0.9), eps=1e-8)
        weights, trace = self.weights, torch.zeros(last - first, len(self.weights), device=inputs.device)

        def step(i: int) -> Tensor:
            optimiser.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * (first + i) / total)) / 2
            seen, labels = part, self.labels
            if turns:
                k = bisect(turns, first + i) - 1
                self.active, seen, labels = self.classes[:, rows[k]], part[:, sent[k]], self.labels[:, sent[k]]
            terms = self.terms(seen, views.at(i), labels.flatten(), first + i)
            loss = torch.stack([weights[name] * value.sum() for name, value in terms.items()]).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            with torch.no_grad():
                part.clamp_(self.pixels.low, self.pixels.high)
                for number, value in enumerate(terms.values()):
                    trace[i, number] = value.mean()
            return loss.detach()

        def progress(done: int, _: int) -> None:
            done += first
            if not spec.in_turn or done % len(self.jury) == 0 or done == last:  # nets take unlike time
                inputs.progress(self.number * total + done, self.runs * total)

        averages = {f"{net}.{key}": value for net, a in self.alignments.items() for key, value in a.averages.items()}
        tensors = {"images": part, "terms": trace, **averages}
        name = f"{spec.name}, from iteration {first + 1} on" if first else spec.name
        self.stages.append(state := f"stage-{self.name}-{first}")
        told = replace(inputs, progress=progress)
        with ExitStack() as stack:
            for alignment in self.alignments.values():
                stack.enter_context(alignment.watching())
            learn(told, name, optimiser, step, last - first, tensors, state=state, to_end=True)
        self.traces.append(trace)
        return part.detach()

    def terms(self, images: Tensor, at: tuple[Tensor, ...], labels: Tensor, t: int) -> dict[str, Tensor]:
        """The terms of the loss at an iteration, [G] each; every net of the jury is ``watching``.

        Args:
            images: [G, B, C, S, S].
            at: their views, as of ``Views.at``.
            labels: [G · B].
            t: the iteration.
        """
        votes = self.spec.votes(self.jury, t)
        for net in votes:
            self.alignments[net].turn(t)
        seen, ce, r = self.judged(images, at, labels, tuple(votes.items()))
        further = {self.spec.penalty: self.spec.extra(self, seen)} if self.spec.penalty else {}
        return {"ce": ce, "bn_loss": r} | further

    def held(self) -> int:
        """Bytes that autograd keeps at an iteration, the largest map counted twice; the most where nets take turns."""
        spec, inputs, size = self.spec, self.inputs, self.inputs.data.size
        images = torch.zeros(*self.labels.shape, *inputs.data.shape, device=inputs.device, requires_grad=True)
        boxes = torch.tensor([[0, 0, size, size]] * self.groups, device=inputs.device)
        at = boxes, torch.zeros_like(boxes[:, 0], dtype=torch.bool), torch.zeros_like(boxes[:, :2])
        nets = [inputs.teachers[net] for net in self.jury]
        own, most = [x for net in nets for x in chain(net.parameters(), net.buffers())], 0
        with ExitStack() as stack:
            for alignment in self.alignments.values():
                stack.enter_context(alignment.watching())
            for t in range(len(nets) if spec.in_turn else 1):
                with Held() as graph:
                    terms = self.terms(images, at, self.labels.flatten(), t)
                sizes = graph.besides(own)
                most = max(most, sum(sizes) + max(sizes))
                del terms  # or what the graph keeps might be gone, and something else in its place
        return most

    def judge(
        self, images: Tensor, at: tuple[Tensor, ...], labels: Tensor, votes: tuple[tuple[str, float], ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The images as they are seen, [G · B, C, S, S], cross-entropy and R, [G], by the votes of nets.

        It has no state beside the nets and the averages of their alignments, so that it can be one graph.
        """
        seen = view(images, *at)
        ce, r = seen.new_zeros(self.groups), seen.new_zeros(self.groups)
        for net, weight in votes:
            with self.norms or nullcontext(), autocast(seen.device, self.spec.precision):
                logits, apart = self.alignments[net].judge(seen)
            r = r + weight * apart
            each = F.cross_entropy(logits.to(seen.dtype), labels, reduction="none")
            ce = ce + weight * each.unflatten(0, (self.groups, -1)).mean(1)
        return seen, ce, r


def teachers(*nets: str) -> tuple[Teacher, ...]:
    """A need for each net, once."""
    return tuple(Teacher(net=net) for net in dict.fromkeys(nets))


@torch.inference_mode()
def same_classes(inputs: Inputs) -> None:
    """Raise a DecoctError that names the nets, if one has other outputs than the data have classes."""
    image, classes, wrong = torch.zeros(1, *inputs.data.shape, device=inputs.device), len(inputs.data.class_names), []
    for name, net in inputs.teachers.items():
        if (count := net(image).shape[-1]) != classes:
            wrong.append(f"{name} has {count}")
    if wrong:
        raise DecoctError(
            f"the data have {classes} classes, but of the nets' outputs {', '.join(wrong)}: "
            "take nets that were taught these classes"
        )
