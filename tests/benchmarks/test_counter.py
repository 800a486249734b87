"""Counts of whole jobs: chunks of batches with their teachers, stages of inversions, and what stands for a GPU."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.interfaces import Inputs, Machine
from decoct.core.record import Provenance
from decoct.data.dataset import Dataset, Split
from decoct.methods.decoupled._shared.recovery import Workpiece
from decoct.methods.decoupled.delt import DELT
from decoct.methods.decoupled.fadrm import FADRM
from decoct.methods.decoupled.sre2l import SRe2L
from decoct.nets import zoo
from decoct.nets.layout import laid_out
from decoct.nets.moments import GroupMoments, Sums
from decoct.training.batches import AHEAD
from decoct.training.learn import learn as usual
from decoct.training.loop import TrainingSet, train
from decoct.training.recipe import Recipe

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from counter import counted, in_part, without_pixels
from roofline import Gpu, Roofline
from shapes import DEVICE, no_values

SLOW = Gpu("slow", half=4e9, rounded=2e9, single=1e9, double=5e8, bandwidth=1e9)
CLASSES, SIZE = 4, 16


def there(name):
    return laid_out(zoo.build(name, 3, CLASSES, SIZE, seed=0).to(DEVICE)).eval()


def operations(call):
    with no_values(), Roofline(SLOW, DEVICE) as roof:
        call()
    return roof.operations


@pytest.fixture(scope="module")
def data():
    def split(n):
        return Split(np.zeros((n, 3, SIZE, SIZE), np.uint8), np.sort(np.arange(n) % CLASSES))

    names = tuple("abcd")
    return Dataset("grey", names, "none", split(80), split(20), split(20), (0.5,) * 3, (0.25,) * 3, True, Path())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_counts_its_steps_and_whole_chunks_of_its_teachers(precision):
    student, teacher = there("convnet2"), there("convnet2_bn")
    batch, steps, seen = 64, 8, []
    recipe = Recipe(steps, batch, "adamw", 1e-3, 0.01, "cosine", loss="kl", temperature=4.0)
    images = TrainingSet(
        torch.zeros(batch * steps, 3, SIZE, SIZE, dtype=torch.uint8),
        torch.zeros(batch * steps, dtype=torch.int64),
        (0.5,) * 3,
        (0.25,) * 3,
    )
    x = torch.empty(batch, 3, SIZE, SIZE, device=DEVICE)
    step = operations(
        lambda: F.cross_entropy(student(x), torch.zeros(batch, dtype=torch.int64, device=DEVICE)).backward()
    )
    label = operations(lambda: teacher(x))
    handle = teacher.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    with counted(SLOW) as roof:
        machine = Machine(DEVICE, precision)
        done = train(student, images, recipe, seed=0, machine=machine, teachers=[teacher.requires_grad_(False)])
    handle.remove()
    assert done.steps == steps and seen == [AHEAD] * (batch * steps // AHEAD)
    assert roof.operations == steps * (step + label)


@pytest.mark.parametrize(
    "spec",
    [
        SRe2L(nets=("convnet2_bn",), iterations=12, block=4),
        DELT(nets=("convnet2_bn",), ranker="convnet2_bn", iterations=24, block=4, rounds=2),
        FADRM(nets=("resnet10t", "test_resnet"), ranker="resnet10t", iterations=24, shrink=0.5, stages=2),
    ],
    ids=lambda spec: spec.name,
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_shortened_inversion_takes_what_the_whole_one_takes(data, spec, precision):
    spec = spec.model_copy(update={"precision": precision})
    inputs = Inputs(data, Budget(ipc=4), device=DEVICE, teachers={net: there(net) for net in spec.committee})
    with counted(SLOW) as short:
        spec(inputs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("counter.Known.stages", lambda self, roof: (Workpiece.stage, usual))
        patch.setattr("counter.Known.once", lambda self, roof, function, likeness: function)
        with counted(SLOW) as whole:
            spec(inputs)
    assert short.launched < 0.6 * whole.launched
    assert short.seconds == pytest.approx(whole.seconds, rel=0.01)


def test_bfloat16_is_counted_as_such():
    x, net = torch.empty(8, 3, SIZE, SIZE, device=DEVICE), there("resnet10t")
    with no_values(), torch.autocast(DEVICE, torch.bfloat16):
        made = net(x)
        norm = F.layer_norm(made, made.shape[1:])
    assert made.dtype == torch.bfloat16 and norm.dtype == torch.float32


def test_the_host_reads_zeros_and_truth():
    x = torch.empty(3, 4, device=DEVICE)
    with no_values():
        assert x.sum().item() == 0.0 and bool(x.isfinite().all()) and not (x > 0).any() and x.argmax().item() == 0
        assert torch.equal(x.cpu(), torch.zeros(3, 4)) and x[0].tolist() == [0.0] * 4
        here = torch.ones(3, 4)
        here.copy_(x)
    assert not here.any()
    with no_values():  # what is on the host has its own values, though its shape was seen before
        assert [torch.tensor(value).item() for value in (1.0, 2.0)] == [1.0, 2.0]
        assert [bool(torch.zeros(()).fill_(value)) for value in (0, 1)] == [False, True]
        rows = torch.arange(4)
        assert [int((rows + value).sum()) for value in (1, 2)] == [10, 14] and x[:, rows[:2]].shape == (3, 2)
        assert [x[:, rows < value].shape[1] for value in (1, 3)] == [1, 3]
    with pytest.raises(RuntimeError):
        x.sum().item()  # outside it cannot be read


def test_statistics_take_the_pieces_of_a_gpu():
    x = torch.empty(64, 64, 56, 56, device=DEVICE)  # 13 million numbers: one piece there, 13 on a CPU
    with counted(SLOW) as roof:
        GroupMoments.apply(x, 1, torch.zeros(64, device=DEVICE))
        sums = Sums(2)
        sums.add("layer", x, torch.zeros(64, dtype=torch.int64))
    few = roof.launched
    with counted(SLOW) as roof:
        for part in x.split(32):
            GroupMoments.apply(part, 1, torch.zeros(64, device=DEVICE))
            sums.add("layer", part, torch.zeros(32, dtype=torch.int64))
    assert roof.launched > 1.8 * few


def test_an_evaluation_by_a_part_takes_what_the_whole_takes(data):
    net = there("convnet2")
    split = Split(np.zeros((640, 3, SIZE, SIZE), np.uint8), np.zeros(640, np.int64))
    with no_values(), Roofline(SLOW, DEVICE) as roof:
        right = in_part(roof, net, split, data, DEVICE)
    assert right.shape == (640,)
    assert roof.operations * 10 == operations(lambda: net(torch.empty(640, 3, SIZE, SIZE, device=DEVICE)))


def test_a_set_without_pixels_has_their_shape():
    train = np.ones((5, 3, SIZE, SIZE), np.uint8)
    provenance = Provenance(method="m", spec={}, data="d", data_digest="x", budget="ipc=1", seed=0, inputs={}, key="k")
    picks = Condensed(np.array([0, 1]), ("a", "b"), provenance, indices=np.array([3, 4]))
    assert without_pixels(picks, train).pixels().shape == (2, 3, SIZE, SIZE)
