"""What decoupled methods share, on the smallest method there can be."""

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Inputs, Kept
from decoct.data.pixels import Pixels
from decoct.methods._shared.presets import Preset
from decoct.methods._shared.starts import Block, in_order
from decoct.methods.decoupled._shared import recovery
from decoct.methods.decoupled._shared.invert import Views
from decoct.methods.decoupled._shared.recovery import FromPatches, Recovery, Workpiece, same_classes, teachers
from decoct.needs.teacher import Teacher


class Plain(Recovery):
    """SRe2L by another name."""

    presets: ClassVar[dict[str, Preset]] = {
        "imagenet1k": {"lr": 0.25, "iterations": 9, "r": 0.01, "jitter": 32, "scale": (0.08, 1.0), "block": 100},
        "small": {"lr": 0.5, "iterations": 6, "r": 0.02, "jitter": 4, "scale": (0.5, 1.0), "block": 10},
    }


class Turns(Plain):
    """One net an iteration."""

    in_turn: ClassVar[bool] = True


class Hollow(Plain):
    """A penalty by name alone."""

    penalty: ClassVar[str | None] = "sparsity"


class Whole(Plain):
    """Class after class."""

    def blocks(self, classes: Any, ipc: int) -> list[Block]:
        """In order."""
        return in_order(classes, ipc, self.block or 1)


def net(classes: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    head = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, classes))
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), *head).eval()


def inputs(ipc: int = 2, classes: int = 3, size: int = 8, nets: Any = None, **rest: Any) -> Inputs:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(classes), 10)
    images = rng.integers(0, 256, (len(labels), 1, size, size), dtype=np.uint8)
    data = SimpleNamespace(
        train=SimpleNamespace(images=images, labels=labels),
        class_names=tuple("abcdefghij"[:classes]),
        mean=(0.5,),
        std=(0.25,),
        flip=False,
        shape=(1, size, size),
        size=size,
    )
    return Inputs(data=data, budget=Budget(ipc=ipc), teachers=nets or {"teacher": net(classes)}, **rest)


@pytest.fixture
def drawn(monkeypatch):
    """Every call of ``Views.draw``: how many blocks ran side by side, and the views."""
    calls: list[tuple[int, Views, dict[str, Any]]] = []
    draw = Views.draw.__func__

    def spy(cls, generators, iterations, size, **rest):
        calls.append((len(generators), draw(cls, generators, iterations, size, **rest), rest))
        return calls[-1][1]

    monkeypatch.setattr(Views, "draw", classmethod(spy))
    return calls


@pytest.mark.parametrize(
    ("size", "name", "jitter"), [(8, "small", 1), (28, "small", 4), (64, "small", 4), (65, "imagenet1k", 32)]
)
def test_the_preset_of_a_resolution_fills_in_what_is_none(size, name, jitter):
    spec = Plain(r=3.0).at(size)
    assert (spec.preset, spec.jitter, spec.r, spec.nets) == (name, jitter, 3.0, ("teacher",))
    assert spec.lr == Plain.presets[name]["lr"] and spec.at(size) == spec


def test_a_named_preset_goes_before_that_of_the_resolution_and_a_wrong_one_gets_the_nearest():
    assert Plain(preset="small").at(224).block == 10
    with pytest.raises(UsageError, match=r"test_recovery has no preset 'smal'\. Did you mean 'small'"):
        Plain(preset="smal").at(8)
    with pytest.raises(UsageError, match="Known: imagenet1k, small"):
        Plain(preset="x").at(8)


@pytest.mark.parametrize(
    "fields", [{"lr": 0}, {"iterations": -1}, {"r": -1}, {"jitter": -1}, {"nets": ()}, {"block": 0}, {"scale": (0, 1)}]
)
def test_fields_that_cannot_be_meant_are_refused(fields):
    with pytest.raises(ValidationError):
        Plain(**fields)


def test_every_net_is_needed_once():
    assert teachers("a", "b", "a") == (Teacher(net="a"), Teacher(net="b"))
    assert Plain().needs() == (Teacher(),) and Plain(nets=("a", "a")).needs() == (Teacher(net="a"),)
    assert FromPatches(nets=("a",)).needs() == (Teacher(net="a"), Teacher())


@pytest.mark.parametrize(
    ("block", "batch", "runs"),
    [
        (10, 100, [2]),  # both images of the three classes side by side
        (10, 3, [1, 1]),  # one image a class at a time
        (10, 1, [1, 1]),  # a block is never cut
        (2, 4, [2, 2]),  # two classes a block, two blocks a run; then the last class
        (1, 100, [2, 2, 2]),  # blocks of different classes do not mix
    ],
)
def test_a_block_is_matched_together_and_a_batch_runs_together(block, batch, runs, drawn):
    draft = Plain(block=block, batch=batch)(inputs(2))
    assert [groups for groups, *_ in drawn] == runs
    assert draft.steps == 6 * len(runs)


@pytest.mark.parametrize(("block", "batch", "runs"), [(1, 100, [6]), (1, 4, [4, 2])])
def test_on_other_devices_blocks_of_any_classes_run_together_and_are_those_made_alone(block, batch, runs, drawn):
    method, nets = Plain(block=block, batch=batch), {"teacher": net().double()}
    torch.set_default_dtype(torch.float64)
    try:
        made = method(inputs(2, nets=nets, device="cpu:0"))
        assert [groups for groups, *_ in drawn] == runs
        alone = method(inputs(2, nets=nets))
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(drawn) == len(runs) + 3 and np.array_equal(made.images, alone.images)
    assert np.array_equal(made.initial, alone.initial)


def one_block(spec: Recovery, given: Inputs, blocks: int = 1) -> Workpiece:
    """So many blocks of one image."""
    few = [Block((c,), (0,)) for c in range(blocks)]
    return Workpiece(spec.at(8), given, Pixels.of(given.data, "cpu"), lambda _: None, few, 0, 1)


@pytest.mark.parametrize(("images", "runs"), [(4.5, [4, 2]), (100, [6]), (0.1, [1] * 6)])
def test_where_nobody_says_a_batch_half_of_the_free_memory_does(images, runs, drawn, monkeypatch):
    given, spec = inputs(2, device="cpu:0"), Plain(block=1)
    monkeypatch.setattr(recovery.room, "free", lambda device: 2 * images * one_block(spec, given).held())
    made = spec(given)
    assert [groups for groups, *_ in drawn] == runs
    monkeypatch.undo()
    assert np.abs(made.images - spec(inputs(2)).images.astype(int)).max() <= 1  # batches round otherwise


def test_what_an_iteration_holds_grows_with_its_images_and_is_that_of_the_largest_net_in_turn():
    small, large = (
        net(),
        nn.Sequential(nn.Conv2d(1, 40, 3), nn.BatchNorm2d(40), nn.Flatten(), nn.Linear(1440, 3)).eval(),
    )
    held = {}
    for name, judge in {"small": small, "large": large}.items():
        given = inputs(nets={"teacher": judge})
        one, two, three = (one_block(Plain(block=1), given, blocks).held() for blocks in (1, 2, 3))
        assert three - two == pytest.approx(two - one, rel=0.02) and two == pytest.approx(2 * one, rel=0.15)
        assert one > 4 * judge[0](torch.zeros(1, 1, 8, 8)).numel()  # what goes into the norm at least
        held[name] = one
    both = inputs(nets={"small": small, "large": large})
    assert one_block(Turns(block=1, nets=("small", "large")), both).held() == pytest.approx(held["large"], rel=0.02)
    assert one_block(Plain(block=1, nets=("small", "large")), both).held() > held["large"] + 0.5 * held["small"]


def test_keys_are_those_of_the_batch_that_was_the_default():
    asked, usual = Plain(batch=100).identity(), Plain().identity()
    assert asked == usual and usual["fields"]["batch"] == 100 != Plain(batch=50).identity()["fields"]["batch"]


def test_blocks_share_a_view_and_the_size_of_a_batch_changes_none(drawn):
    Plain(batch=100)(inputs(2))
    Plain(batch=3)(inputs(2))
    (_, both, _), (_, first, _), (_, second, _) = drawn
    for name in ("boxes", "mirrored", "rolls"):
        one, two = getattr(first, name), getattr(second, name)
        assert torch.equal(getattr(both, name), torch.cat([one, two], 1))
    assert not both.mirrored.any() and both.rolls.max() == 1


def test_the_classes_of_a_block_belong_together():
    assert Plain(block=4).together(5) == 4
    whole = Whole(block=4)
    assert [whole.together(ipc) for ipc in (1, 2, 3, 4, 9)] == [4, 2, 1, 1, 1]


def test_notes_are_of_the_images_as_they_are_stored():
    given = inputs(3)
    draft = Plain(iterations=100)(given)
    x = (torch.from_numpy(draft.images).float() / 255 - 0.5) / 0.25
    with torch.no_grad():
        right = (given.teachers["teacher"](x).argmax(1).numpy() == draft.labels).mean()
    assert draft.notes["teacher_agreement"] == pytest.approx(right)
    ends = {f"{name}_{end}" for name in ("ce", "bn_loss") for end in ("first", "last")}
    assert draft.notes.keys() == {"teacher_agreement"} | ends


def test_nets_in_turn_are_on_record_together():
    nets = {"a": net(seed=0), "b": net(seed=1)}
    still: dict[str, Any] = {"iterations": 2, "lr": 1e-9, "scale": (1, 1), "jitter": 0}
    at_once = {name: Plain(nets=(name,), **still)(inputs(nets=nets)) for name in nets}
    turns = Turns(nets=("a", "b"), **still)(inputs(nets=nets))
    expected = (at_once["a"].notes["bn_loss_first"] + at_once["b"].notes["bn_loss_last"]) / 2
    assert turns.notes["bn_loss_first"] == pytest.approx(expected, rel=1e-4)
    assert turns.notes["bn_loss_last"] == pytest.approx(expected, rel=1e-4)


def test_nets_that_judge_at_once_add_up():
    nets = {"a": net(seed=0), "b": net(seed=1)}
    still = {"iterations": 1, "scale": (1, 1), "jitter": 0}
    alone = [Plain(nets=(name,), **still)(inputs(nets=nets)).notes["ce_first"] for name in nets]
    assert Plain(nets=("a", "b"), **still)(inputs(nets=nets)).notes["ce_first"] == pytest.approx(sum(alone), rel=1e-5)


def test_progress_counts_every_iteration_of_every_run():
    calls: list[tuple[int, int]] = []
    Plain(iterations=20, batch=3)(inputs(2, progress=lambda *a: calls.append(a)))
    assert calls == [(done, 40) for done in range(1, 41)]


def test_iterations_that_differ_in_turn_are_told_by_the_turn():
    """A probe that stops after the first net of a jury would take its iterations for those of all."""
    calls: list[int] = []
    nets = {name: net(seed=seed) for seed, name in enumerate("abc")}
    Turns(nets=tuple(nets), iterations=13)(inputs(1, nets=nets, progress=lambda done, _: calls.append(done)))
    assert calls == [3, 6, 9, 12, 13]


class Staged(Plain):
    """Three stages; the second image of each block joins within the second, the third within the last."""

    def optimise(self, work: Any, images: Any) -> Any:
        """Stage after stage."""
        for first, last in ((0, 7), (7, 7), (7, 24), (24, 30)):
            images = work.stage(images, first, last, since=torch.tensor([0, 12, 26]))
        return images


class Everything(Kept):
    """Keeps at every chance, or what must be kept alone."""

    def __init__(self, always: bool) -> None:
        self.always, self.arrays, self.dropped = always, {}, set()

    def load(self, name: str) -> Any:
        """A copy."""
        return None if name not in self.arrays else {key: value.copy() for key, value in self.arrays[name].items()}

    def save(self, name: str, arrays: Any) -> None:
        """A copy."""
        self.arrays[name] = {key: np.array(value) for key, value in arrays.items()}

    def due(self) -> bool:
        """Always, or never."""
        return self.always

    def drop(self, name: str) -> None:
        """Forget it."""
        self.dropped.add(name)
        self.arrays.pop(name, None)


@pytest.mark.parametrize("always", [True, False])
def test_killed_at_any_iteration_and_resumed_is_never_killed_bit_for_bit(always):
    method, last = Staged(iterations=30), {}
    steady = method(inputs(1))
    for killed in (1, 7, 8, 20, 24, 25, 29):
        kept, seen = Everything(always), []

        def kill(done, _, killed=killed):
            if done == killed:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            method(inputs(1, kept=kept, progress=kill))
        resumed = method(inputs(1, kept=kept, progress=lambda done, _, seen=seen: seen.append(done)))
        assert (resumed.images == steady.images).all() and resumed.notes == steady.notes
        finished = max(end for end in (0, 7, 24) if end < killed)
        last[killed] = seen[0]
        assert seen[0] == (max(killed, 1) if always else finished + 1)  # what was kept is not done again
        assert kept.arrays.keys() == {"run-0-0-1"}
        assert kept.dropped == {f"stage-0-0-1-{first}" for first in (0, 7, 24)}
    assert len(set(last.values())) == (7 if always else 3)


def test_the_iteration_of_a_later_stage_that_breaks_down_is_told():
    judge = net()

    def spoil(module, args, out):
        spoil.calls += torch.is_grad_enabled()
        return out * torch.nan if spoil.calls > 9 else out

    spoil.calls = 0
    judge.register_forward_hook(spoil)
    with pytest.raises(DecoctError, match="from iteration 8 on: the loss is not finite at step 3 of 17"):
        Staged(iterations=30)(inputs(1, nets={"teacher": judge}))


def test_nets_of_other_classes_are_named():
    with pytest.raises(DecoctError, match=r"the data have 3 classes, but of the nets' outputs b has 4, c has 2: take"):
        same_classes(inputs(nets={"a": net(), "b": net(4), "c": net(2)}))
    same_classes(inputs(nets={"a": net()}))


def test_nets_are_left_as_they_were_found():
    given = inputs()
    judge = given.teachers["teacher"].train()
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    Plain()(given)
    assert judge.training and all(torch.equal(value, before[name]) for name, value in judge.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in judge.parameters())
    assert not any(module._forward_pre_hooks for module in judge.modules())


def test_a_penalty_that_nobody_defines_is_an_error_that_says_what_to_define():
    with pytest.raises(DecoctError, match="has the penalty 'sparsity' and does not say what it is: define extra"):
        Hollow()(inputs())


@pytest.mark.parametrize("kind", [pytest.param(torch.float64, marks=pytest.mark.slow), torch.float32], ids=str)
def test_the_gradient_of_what_is_compiled_is_that_of_what_is_not(kind):
    given, spec = inputs(2), Plain(r=0.3).at(8)
    judge = given.teachers["teacher"].to(kind).requires_grad_(False)
    views = Views.draw([torch.Generator()] * 2, 3, 8, scale=(0.5, 1), flip=True, jitter=1, device="cpu")

    def gradients(compiled: bool) -> torch.Tensor:
        blocks, found = spec.blocks(range(3), 2), []
        work = Workpiece(spec, given, Pixels.of(given.data, "cpu"), lambda c: None, blocks, 0, 1, compiled)
        with work.alignments["teacher"].watching():
            for t in range(3):
                rng = torch.Generator().manual_seed(t)
                images = torch.randn(2, 3, 1, 8, 8, generator=rng, dtype=kind, requires_grad=True)
                terms = work.terms(images, views.at(t), work.labels.flatten(), t)
                (terms["ce"] + 0.3 * terms["bn_loss"]).sum().backward()
                found.append(images.grad)
        return torch.stack(found)

    assert not any(p.requires_grad for p in judge.parameters())
    plain = gradients(False)
    apart = float((gradients(True) - plain).norm() / plain.norm())
    assert apart < 1e-6, apart
