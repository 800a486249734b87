"""What DC, DSA and DM share: one repository, whose programs and evaluation run on decoct's data, nets and draws."""

import io
import sys
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decoct.core.interfaces import Condenser, Task
from decoct.data.augment import dsa
from decoct.data.pixels import Pixels
from decoct.methods.matching._shared import gradients, synthetic
from decoct.nets import zoo
from decoct.protocols import dc as evaluation
from decoct.training.images import Images
from decoct.training.loop import TrainingSet, train
from originals.beside import Agreement, Step, compare, doubled, in_turn, watched
from originals.data import fashion, inputs
from originals.siamese import STRATEGY, uniform
from originals.trees import on_cpu, program, recorded, replaced

REPOSITORY = "VICO-UoE/DatasetCondensation"
IPC = 10
WIDTH, NET = 8, "convnet3_w8"  # of what is compared step by step
MADE = 32, "convnet3_w32"  # of sets
EPOCHS = 20  # of the students


@contextmanager
def all_doubled() -> Iterator[None]:
    """As ``doubled``, and tensors that say they are float32 are float64 too."""
    double = torch.float64
    with doubled(), replaced(torch, float=double, float32=double), replaced(Tensor, float=Tensor.double):
        yield


@contextmanager
def arguments(of: type, name: str, number: int = 1) -> Iterator[list[Any]]:
    """One argument of each call of a method of a class in the block, in order."""
    seen: list[Any] = []
    method = getattr(of, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        seen.append(args[number])
        return method(*args, **kwargs)

    with replaced(of, **{name: noted}):
        yield seen


@dataclass(frozen=True)
class Draws:
    """All that a construction of decoct drew, in order, for the authors' program to draw again.

    Attributes:
        rows: of the train split: where the images of each class start, then a batch of each class an update.
        nets: with random weights.
        augmentations: of the matching and of the net's training.
        orders: of the learnt images in the net's epochs.
        noise: where the images start; None for real ones.
    """

    rows: Sequence[NDArray[np.int64]]
    nets: Sequence[nn.Module]
    augmentations: Sequence[dsa.Drawn]
    orders: Sequence[Tensor]
    noise: Tensor | None


def ours(spec: Condenser, module: ModuleType) -> tuple[list[Step], Draws]:
    """What the method does, in float64, and what it drew; ``module`` is where its loop is."""
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(all_doubled())
        starts, rows = enter(recorded(synthetic, "random_rows")), enter(arguments(Images, "rows"))
        nets, augmentations = enter(recorded(module, "fresh_net")), enter(recorded(dsa, "draw"))
        orders, losses = enter(recorded(torch, "randperm")), enter(recorded(module, "learn"))
        steps = enter(watched(shape=fashion().shape))
        spec(inputs({}, IPC))
    steps = [replace(step, loss=loss) for step, loss in zip(steps, losses[0].tolist(), strict=True)]
    nets = nets[1:] if module is gradients else nets  # the first only gives the parameters a place
    asked = [*starts, *(each.numpy() for each in rows)]
    return steps, Draws(asked, nets, augmentations, orders, None if starts else steps[0].images)


def theirs(path: Path, argv: Sequence[Any], draws: Draws, loops: tuple[int, int] = (1, 1)) -> list[Step]:
    """What the authors' program does with the draws, in float64; ``loops`` are its outer and inner ones."""
    randn, rows, nets = torch.randn, in_turn(draws.rows), in_turn(draws.nets)

    def started(*args: Any, **kwargs: Any) -> Tensor:
        return randn(*args, **kwargs) if draws.noise is None else draws.noise.clone().requires_grad_()

    with all_doubled(), launched(path, argv) as module, watched(shape=fashion().shape) as steps:
        build = module.get_network
        with ExitStack() as stack:
            enter = stack.enter_context
            enter(replaced(module, get_network=lambda *args: alike(build(*args), nets()), get_loops=lambda _: loops))
            enter(augmented(module, draws.augmentations))
            enter(shuffled(draws.orders))
            enter(replaced(torch, randn=started))
            enter(replaced(np.random, permutation=rows))  # of a class, of which the program takes the first
            module.main()
    return steps


def shuffled(orders: Sequence[Tensor]) -> AbstractContextManager[None]:
    """In the block a data loader takes these orders; torch's sampler draws each epoch another one for what is left."""
    return replaced(torch, randperm=in_turn([order for order in orders for _ in range(2)]))


@contextmanager
def loaded(path: Path, width: int) -> Iterator[ModuleType]:
    """A program of the repository, whose ConvNet has some width."""
    with on_cpu(), program(path) as module, ExitStack() as stack:
        utils: Any = sys.modules["utils"]
        _, *others = utils.get_default_convnet_setting()
        stack.enter_context(replaced(utils, get_default_convnet_setting=lambda: (width, *others)))
        stack.enter_context(replaced(Tensor, view=Tensor.reshape))  # one grey channel now comes in channels-last order
        yield module


@contextmanager
def launched(path: Path, argv: Sequence[Any], width: int = WIDTH) -> Iterator[ModuleType]:
    """A program of the repository with a command line, on decoct's data; it trains no students."""
    with ExitStack() as stack:
        enter = stack.enter_context
        folder, module = enter(tempfile.TemporaryDirectory()), enter(loaded(path, width))
        line = ["--dataset", "FashionMNIST", "--model", "ConvNet", "--ipc", IPC, "--num_exp", 1, "--num_eval", 0]
        line += ["--eval_mode", "last", "--data_path", f"{folder}/data", "--save_path", folder, *argv]
        enter(replaced(sys, argv=[str(path), *map(str, line)]))
        enter(replaced(module, get_dataset=lambda *_: known()))
        enter(redirect_stdout(io.StringIO()))
        enter(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # of the mean accuracy of no students, and of old calls of torch
        yield module


def known() -> tuple[Any, ...]:
    """Fashion-MNIST as decoct normalises it, in the form in which their ``get_dataset`` gives it."""
    data = fashion()
    images = Images.of(torch.from_numpy(np.array(data.train.images)), data.mean, data.std, "cpu")
    seen = images.normalise(images.stored).to(torch.get_default_dtype())
    pairs = list(zip(seen, data.train.labels.tolist(), strict=True))
    names, size = data.class_names, (data.size, data.size)
    return data.shape[0], size, len(names), names, data.mean, data.std, pairs, pairs[:1], None


def alike(net: nn.Module, pattern: nn.Module) -> nn.Module:
    """The authors' net with the weights of decoct's; a classifier that was taken off stays as it is."""
    weights = list(pattern.parameters())
    with torch.no_grad():
        for mine, weight in zip(net.parameters(), weights, strict=False):
            mine.copy_(weight)
    return net


@contextmanager
def augmented(module: ModuleType, draws: Sequence[dsa.Drawn]) -> Iterator[None]:
    """In the block the program's augmentation draws these, one for both of two seeded calls."""
    utils: Any = sys.modules["utils"]
    transform, waiting, shared = utils.DiffAugment, in_turn(draws), list[dsa.Drawn]()

    def transformed(x: Tensor, strategy: str = "", seed: int = -1, param: Any = None) -> Tensor:
        again = seed != -1 and bool(shared)
        drawn = shared.pop() if again else waiting()
        if seed != -1 and not again:
            shared.append(drawn)
        numbers = in_turn(uniform(drawn))

        def number(*args: Any, size: Any = None, **kwargs: Any) -> Tensor:
            shape = size or (args[0] if isinstance(args[0], Sequence) else args)
            return numbers().expand(shape[0]).reshape(shape).clone()

        with replaced(torch, rand=number, randint=number):
            return transform(x, strategy, seed, param)

    with replaced(utils, DiffAugment=transformed), replaced(module, DiffAugment=transformed):
        yield


def row(path: Path, mine: Sequence[Step], their: Sequence[Step], with_dsa: bool) -> Agreement:
    """The row of a method, with what students of one set do in both evaluations, of ``EPOCHS`` passes."""
    ours, theirs = evaluated(path, with_dsa)
    last = compare(ours, theirs, [len(ours) - 1])[0]
    facts = {"student's steps": [len(ours), len(theirs)], "student's first layer at the last step": asdict(last)}
    return Agreement(compare(mine, their), facts=facts)


def evaluated(path: Path, with_dsa: bool) -> tuple[list[Step], list[Step]]:
    """Steps of a student of real images, ours and theirs, on the same draws: the weights of its first layer."""
    data = fashion()
    rows = np.concatenate([np.flatnonzero(data.train.labels == c)[:IPC] for c in range(10)])
    images, labels = (torch.from_numpy(np.array(of[rows])) for of in (data.train.images, data.train.labels))
    recipe = evaluation.DC(dsa=with_dsa, epochs=EPOCHS).recipe(Task(len(rows), 10, data.size, data.flip))
    with all_doubled(), loaded(path, WIDTH) as module:
        student, other = (zoo.build(NET, data.shape[0], 10, data.size, 0) for _ in range(2))
        shape = tuple(next(student.parameters()).shape)
        with watched(shape=shape) as mine, recorded(torch, "randperm") as orders, recorded(dsa, "draw") as draws:
            train(student, TrainingSet(images, labels, data.mean, data.std), recipe, seed=0)
        utils: Any = sys.modules["utils"]
        how = Namespace(lr_net=0.01, epoch_eval_train=EPOCHS, batch_train=256, device="cpu", dsa=with_dsa)
        how.dsa_strategy, how.dsa_param = STRATEGY, utils.ParamDiffAug()
        how.dc_aug_param = utils.get_daparam("FashionMNIST", "ConvNet", "ConvNet", IPC)
        scale = Images.of(images, data.mean, data.std, "cpu")
        net = utils.get_network("ConvNet", data.shape[0], 10, (data.size, data.size))
        seen = scale.normalise(images)
        with augmented(module, draws), shuffled(orders), watched(shape=shape) as their, redirect_stdout(io.StringIO()):
            utils.evaluate_synset(0, alike(net, other), seen, labels, [(seen, labels)], how)
    return mine, their


def made(path: Path, argv: Sequence[Any], seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images, float32 and not clipped, and labels by the program with draws of its own, as it evaluates them.

    Its draws hang on the clock, which starts with the seed here. It saves its images after one iteration more than
    those that it evaluates, so ``--Iteration`` must be one less.
    """
    ticks = count(7919 * seed, 17)
    clock = SimpleNamespace(time=lambda: next(ticks) / 1000, strftime=time.strftime, localtime=time.localtime)
    np.random.seed(seed)
    torch.manual_seed(seed)
    saved: list[Any] = []
    with launched(path, argv, MADE[0]) as module, ExitStack() as stack:
        for place in (module, sys.modules["utils"]):
            stack.enter_context(replaced(place, time=clock))
        stack.enter_context(replaced(torch, save=lambda what, _: saved.append(what)))
        module.main()
    images, labels = saved[0]["data"][0]
    scale = Pixels.of(fashion(), "cpu")
    return ((images * scale.std + scale.mean) / 255).numpy(), labels.numpy()
