"""What MTT and DATM share: experts in the form of the authors' files, and their loops on decoct's data and draws."""

import io
import random
import sys
import tempfile
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from decoct import api
from decoct.core.interfaces import Inputs, Task
from decoct.data.augment import dsa
from decoct.data.pixels import Pixels
from decoct.methods.matching._shared import trajectories
from decoct.methods.matching._shared.synthetic import in_data_scale
from decoct.methods.matching._shared.trajectories import Inner, TrajectoryMatching
from decoct.needs.trajectory import Experts
from decoct.nets import zoo
from decoct.protocols.dc import DC
from decoct.training.loop import TrainingSet, train
from decoct.training.softlabels import OwnLabels
from originals.beside import At, Step, compare, doubled, in_turn, watched
from originals.data import fashion, inputs
from originals.siamese import STRATEGY, uniform
from originals.trees import on_cpu, program, recorded, replaced

NET, WIDTH, DEPTH = "convnet3_w16", 16, 3
EXPERTS = {"net": NET, "experts": 2, "epochs": 6}


@dataclass(frozen=True)
class Learnt:
    """What a construction went through: before each update the images with gradient and loss, the rate, the logits."""

    images: Sequence[Step]
    rates: Sequence[float]
    logits: Sequence[Tensor]


@dataclass(frozen=True)
class Draws:
    """What decoct drew: the images and logits that it started from, the inner loops, and the orders of batches."""

    start: Tensor
    labels: Tensor
    inner: Sequence[Inner]
    orders: Sequence[Tensor]


@contextmanager
def in_double() -> Iterator[None]:
    """As ``doubled``, and what says that it is float32 is float64 too."""
    weights = Experts.weights

    def wide(self: Experts, *args: Any) -> Tensor:
        return weights(self, *args).double()

    types = replaced(torch, float=torch.float64, float32=torch.float64)
    with doubled(), types, replaced(Tensor, float=Tensor.double), replaced(Experts, weights=wide):
        yield


def given(spec: TrajectoryMatching, ipc: int) -> Inputs:
    """What a method gets, with experts that are trained once and kept."""
    compute = api.Compute()
    planner = compute.planner(fashion())
    jobs = planner.supply(spec.need).values()
    store, size = compute.do(planner), fashion().size
    net = zoo.build(zoo.resolve(spec.net, size), fashion().shape[0], 10, size, seed=0)
    experts = Experts.load(net, [store.path("trajectory", job.key) for job in jobs])
    return replace(inputs({}, ipc), trajectories={spec.need: experts})


def ours(spec: TrajectoryMatching, ipc: int) -> tuple[Learnt, Draws]:
    """What decoct does in float64, and what it drew."""
    rates, logits, losses = list[float](), list[Tensor](), list[float]()
    matched = trajectories.matched

    def noted(experts: Any, inner: Any, reach: int, images: Tensor, labels: Tensor, rate: Tensor, *rest: Any) -> Any:
        loss, slopes = matched(experts, inner, reach, images, labels, rate, *rest)
        rates.append(float(rate.detach()))
        logits.append(labels.detach().clone())
        losses.append(float(loss))
        return loss, slopes

    received = given(spec, ipc)
    seen, draws = watched(shape=fashion().shape), (recorded(Inner, "draw"), recorded(torch, "randperm"))
    with in_double(), draws[0] as inner, draws[1] as orders, replaced(trajectories, matched=noted), seen as steps:
        spec(received)
    steps = [replace(step, loss=loss) for step, loss in zip(steps, losses, strict=True)]
    return Learnt(steps, rates, logits), Draws(steps[0].images, logits[0], inner, orders)


def settings(spec: TrajectoryMatching, ipc: int) -> dict[str, Any]:
    """The fields of a method as the authors' programs call them."""
    full, n = spec.for_ipc(ipc), 10 * ipc
    same = ("syn_steps", "expert_epochs", "max_start_epoch", "lr_img", "lr_lr", "lr_teacher")
    unused = {"subset": "", "data_path": "", "batch_real": 0, "eval_mode": "S", "texture": False, "force_save": False}
    return {
        **{name: getattr(full, name) for name in same},
        **{"dataset": "FashionMNIST", "model": "ConvNet", "ipc": ipc, "Iteration": spec.iterations - 1},
        **{"batch_syn": full.batch_syn or n, "pix_init": "real", "dsa": "True", "dsa_strategy": STRATEGY},
        **{"zca": False, "no_aug": False, "num_eval": 0, "eval_it": spec.iterations, "max_experts": None},
        **{"max_files": None, **unused},
    }


def buffers(experts: Experts) -> list[list[list[Tensor]]]:
    """Trajectories as the authors store them: of each expert and epoch the tensors of its net in order."""
    epochs = range(experts.trajectories[0].epochs + 1)
    return [[list(experts.parameters(experts.weights(e, t)).values()) for t in epochs] for e in range(len(experts))]


@contextmanager
def launched(
    file: Path, tree: Path, experts: Experts | None, how: dict[str, Any], pairs: Any, **stubs: Any
) -> Iterator[Any]:
    """A program with experts, settings and pairs of image and label of decoct's; it trains no students."""
    data = fashion()
    known = data.shape[0], (data.size, data.size), 10, data.class_names, data.mean, data.std, pairs, [], None, None
    classes, known_buffers = {c: c for c in range(10)}, buffers(experts) if experts else []
    with ExitStack() as stack:
        enter = stack.enter_context
        folder = Path(enter(tempfile.TemporaryDirectory()))
        for place in ("FashionMNIST/ConvNet", "log"):
            (folder / place).mkdir(parents=True)
        (folder / "FashionMNIST/ConvNet/replay_buffer_0.pt").touch()  # which is looked for; its content comes from here
        enter(replaced(torch, load=lambda *_, **__: known_buffers))
        enter(on_cpu())
        enter(replaced(Tensor, view=Tensor.reshape))  # maps of one grey channel now come in channels-last order
        enter(chdir(folder / "log"))
        module: Any = enter(program(file, tree, wandb=wandb(), kornia=ModuleType("kornia"), **old_scipy(), **stubs))
        net = module.get_network.__globals__["ConvNet"]
        shape = {"im_size": (data.size, data.size), "net_width": WIDTH, "net_depth": DEPTH, "net_act": "relu"}
        shape |= {"net_norm": "instancenorm", "net_pooling": "avgpooling"}
        build = {"get_network": lambda *_, **__: net(channel=data.shape[0], num_classes=10, **shape)}
        enter(replaced(module, get_dataset=lambda *_, **__: (*known, classes, classes), **build))
        enter(redirect_stdout(io.StringIO()))
        enter(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of the mean accuracy of no students, and of old calls of torch
        yield lambda: module.main(Namespace(**how, buffer_path=str(folder))), module


def wandb() -> ModuleType:
    """A log that keeps the settings and nothing else."""
    stub: Any = ModuleType("wandb")
    stub.config, stub.run = Namespace(_items={}), Namespace(name="run")
    stub.init = lambda config, **_: stub.config._items.update(vars(config))
    stub.log = stub.finish = stub.Image = stub.Histogram = lambda *_, **__: None
    return stub


def old_scipy() -> dict[str, ModuleType]:
    """A module that scipy no longer has, with what is imported from it and not used."""
    stub: Any = ModuleType("scipy.ndimage.interpolation")
    stub.rotate = None
    return {"scipy.ndimage.interpolation": stub}


def theirs(file: Path, tree: Path, spec: TrajectoryMatching, ipc: int, draws: Draws, **more: Any) -> Learnt:
    """What the authors' program does with decoct's start and draws, in float64.

    Args:
        file: the program.
        tree: its repository.
        spec: decoct's method.
        ipc: images of each class.
        draws: of decoct.
        more: settings; ``stubs`` of modules; and ``pairs`` of image and label to start from in this order, where they
            are others than decoct's.
    """
    stubs, pairs = more.pop("stubs", {}), more.pop("pairs", None)
    pairs = pairs or list(zip(draws.start, np.repeat(np.arange(10), ipc).tolist(), strict=True))
    full, experts = spec.for_ipc(ipc), [one.expert for one in draws.inner]
    turns = [(full.span(t), one.epoch) for t, one in enumerate(draws.inner)]
    if more["load_all"]:
        turns = [each for one, turn in zip(experts, turns, strict=True) for each in (((0, spec.experts), one), turn)]
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(in_double())
        received = given(spec, ipc).trajectories[spec.need]
        how = settings(spec, ipc) | more
        run, module = enter(launched(file, tree, received, how, pairs, **stubs))
        enter(augmented(module, [drawn for one in draws.inner for drawn in one.augmentations if drawn is not None]))
        enter(replaced(np.random, permutation=lambda rows: np.asarray(rows), randint=within(turns)))
        enter(replaced(random, shuffle=ordered(experts, len(received))))
        enter(replaced(torch, randperm=in_turn(draws.orders) if draws.orders else torch.arange))
        images = enter(watched(shape=fashion().shape))
        rates, labels = enter(watched(shape=())), enter(watched(shape=(10,)))
        run()
    return Learnt(images, [float(step.images) for step in rates], [step.images for step in labels])


def ordered(experts: Sequence[int], count: int) -> Any:
    """A shuffle that puts the numbers of experts into the order in which decoct drew them, ``count`` at a time."""
    waiting = iter([*experts, *[0] * count])

    def shuffle(numbers: list[int]) -> None:
        if len(numbers) == count:  # the other list, of files, has one
            numbers[:] = [next(waiting) for _ in numbers]

    return shuffle


def within(turns: Sequence[tuple[tuple[int, int], int]]) -> Any:
    """A ``randint`` that gives one number after the other, if it is asked for one within the bounds beside it."""
    waiting = in_turn(turns)

    def randint(low: int, high: int) -> int:
        bounds, number = waiting()
        if (low, high) != bounds:
            raise RuntimeError(f"the authors' program draws from {low} to {high}, decoct from {bounds}")
        return int(number)

    return randint


@contextmanager
def augmented(module: Any, draws: Sequence[dsa.Drawn]) -> Iterator[None]:
    """In the block the program's augmentation draws these."""
    transform, waiting = module.DiffAugment, in_turn(draws)

    def transformed(x: Tensor, strategy: str, param: Any) -> Tensor:
        numbers = in_turn(uniform(waiting()))

        def number(*args: Any, size: Any = None, **_: Any) -> Tensor:
            shape = size or (args[0] if isinstance(args[0], Sequence) else args)
            return numbers().reshape(tuple(shape)).clone()

        with replaced(torch, rand=number, randint=number):
            return transform(x, strategy, param=param)

    with replaced(module, DiffAugment=transformed):
        yield


def apart(a: Learnt, b: Learnt, at: Sequence[At]) -> dict[str, float]:
    """How far the learnt rates are apart, relative, and the logits, behind the iterations that images are compared."""
    said = {"rate at first": b.rates[0], "rate at last": b.rates[at[-1].after]}
    said |= {f"rate after {row.after}": abs(a.rates[row.after] / b.rates[row.after] - 1) for row in at}
    if b.logits:
        said |= {
            f"logits after {row.after}": float((a.logits[row.after] - b.logits[row.after]).abs().max()) for row in at
        }
    return said


def evaluated(
    file: Path, tree: Path, protocol: DC, rate: float, logits: Tensor | None = None, **stubs: ModuleType
) -> dict[str, float]:
    """How far a student of twenty real images is from theirs on the same draws: weights of its first layer, gradients.

    Args:
        file: the program.
        tree: its repository.
        protocol: of decoct, with few epochs.
        rate: that was learnt.
        logits: [20, classes] that were learnt; None for classes.
        stubs: modules that the program imports.
    """
    data = fashion()
    rows = np.concatenate([np.flatnonzero(data.train.labels == c)[:2] for c in range(10)])
    images, labels = (torch.from_numpy(np.array(of[rows])) for of in (data.train.images, data.train.labels))
    task = Task(len(rows), 10, data.size, data.flip, soft_labels=logits is not None, rate=rate, batch_norm=False)
    recipe = protocol.recipe(task)
    with in_double(), launched(file, tree, None, {}, [], **stubs) as (_, module):
        student, other = (zoo.build(NET, data.shape[0], 10, data.size, 0) for _ in range(2))
        known = module.get_network()
        with torch.no_grad():
            for mine, weights in zip(known.parameters(), other.parameters(), strict=True):
                mine.copy_(weights)
        own = None if logits is None else OwnLabels(logits.softmax(1))
        watch = tuple(next(student.parameters()).shape)
        with watched(shape=watch) as mine, recorded(torch, "randperm") as orders, recorded(dsa, "draw") as draws:
            train(student, TrainingSet(images, labels, data.mean, data.std), recipe, seed=0, labels=own)
        how = Namespace(lr_net=rate, epoch_eval_train=protocol.epochs, batch_train=protocol.batch, device="cpu")
        how.dsa, how.dsa_strategy, how.dsa_param = True, STRATEGY, module.ParamDiffAug()
        how.dataset, how.parall_eva = "FashionMNIST", True
        scale = Pixels.of(data, "cpu")
        seen, test = scale.normalise(scale.load(images.numpy())), labels
        soft = (
            {}
            if logits is None
            else {"train_criterion": lambda z, y: -(y.softmax(1) * z.log_softmax(1)).sum() / len(z)}
        )
        place = sys.modules[module.evaluate_synset.__module__]
        drawn = replaced(torch, randperm=in_turn([order for order in orders for _ in range(2)]))  # a loader draws twice
        with augmented(place, draws), drawn, watched(shape=watch) as their:
            module.evaluate_synset(0, known, seen, labels if logits is None else logits, [(seen, test)], how, **soft)
    if len(mine) != len(their):
        raise RuntimeError(f"decoct's student takes {len(mine)} steps, the authors' {len(their)}")
    last = compare(mine, their, [len(mine) - 1])[0]
    return {"student's steps": len(mine), "student's weights": last.images, "student's gradient": last.gradient}


def made(
    file: Path, tree: Path, spec: TrajectoryMatching, ipc: int, seed: int, **more: Any
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images in the data's scale, not clipped, and labels by the program with draws of its own."""
    data, stubs = fashion(), more.pop("stubs", {})
    scale = Pixels.seen(data, "cpu")
    seen = scale.normalise(scale.load(np.array(data.train.images)))
    pairs, last = list(zip(seen, data.train.labels.tolist(), strict=True)), dict[str, Tensor]()

    def note(optimiser: torch.optim.Optimizer, *_: Any) -> None:
        (p,) = optimiser.param_groups[0]["params"]
        last.update({"images": p} if p.shape[-3:] == data.shape else {})

    handle = register_optimizer_step_pre_hook(note)
    experts, how = given(spec, ipc).trajectories[spec.need], settings(spec, ipc) | more
    try:
        with launched(file, tree, experts, how, pairs, **stubs) as (run, module):
            manual = {"manual_seed": lambda: None} if hasattr(module, "manual_seed") else {}
            with replaced(module, **manual):
                random.seed(seed)
                np.random.seed(seed)
                torch.manual_seed(seed)
                run()
    finally:
        handle.remove()
    return in_data_scale(last["images"].detach(), scale), np.repeat(np.arange(10), ipc)
