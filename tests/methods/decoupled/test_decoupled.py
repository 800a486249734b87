"""What every decoupled method keeps: presets, needs, seeds, shards, kills, and errors that say what to do."""

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.core.spec import parse
from decoct.methods.decoupled import g_vbsm
from decoct.methods.decoupled._shared import invert
from decoct.methods.decoupled._shared.invert import distance
from decoct.methods.decoupled.cda import CDA
from decoct.methods.decoupled.cim import CIM
from decoct.methods.decoupled.cv_dd import CVDD
from decoct.methods.decoupled.delt import DELT
from decoct.methods.decoupled.edc import EDC
from decoct.methods.decoupled.fadrm import FADRM
from decoct.methods.decoupled.g_vbsm import GVBSM
from decoct.methods.decoupled.rded import RDED
from decoct.methods.decoupled.sre2l import SRe2L
from decoct.needs.statistics import LayerStatistics
from decoct.needs.teacher import Teacher
from decoct.nets import compiled, zoo

PAIR = ("teacher", "other")
TRIO = (*PAIR, "third")
RECOVERIES = (
    SRe2L(iterations=12),
    CDA(iterations=12),
    GVBSM(iterations=12, nets=PAIR),
    EDC(iterations=12, nets=PAIR),
    CVDD(iterations=12, nets=TRIO, priors=(40, 42, 44)),
    FADRM(iterations=12, nets=PAIR),
    DELT(iterations=12, rounds=3),
)
METHODS = (*RECOVERIES, RDED(candidates=20, crops=2), CIM(iterations=12), CIM(iterations=12, layer=-3))

every_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
every_recovery = pytest.mark.parametrize("method", RECOVERIES, ids=lambda m: m.name)


@pytest.fixture
def box(toy):
    return toy(others=TRIO[1:])


@every_method
def test_images_come_class_after_class_with_facts_that_are_finite(method, box):
    draft = method(box.supplied(method, 2))
    assert draft.images.shape == (6, 1, 8, 8) and draft.images.dtype == np.uint8
    assert draft.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert draft.notes and all(math.isfinite(value) for value in draft.notes.values())
    if not isinstance(method, RDED):
        assert draft.steps > 0 and draft.initial.shape == draft.images.shape and (draft.initial != draft.images).any()


@every_method
def test_in_bfloat16_images_start_alike_and_end_close_and_so_do_losses(method, box, in_both):
    plain, half = in_both(method, lambda spec: box.supplied(spec, 2))
    assert half.images.dtype == np.uint8 and plain.notes.keys() == half.notes.keys()
    if isinstance(method, RDED):
        return  # which crops are the easiest may be the same
    assert (plain.initial == half.initial).all() and (plain.images != half.images).any()
    assert np.abs(plain.images.astype(float) - half.images).mean() < 8
    for name in (name for name in plain.notes if "loss" in name or name.startswith("ce")):
        assert half.notes[name] == pytest.approx(plain.notes[name], rel=0.05), name


def test_statistics_and_penalties_are_float32_and_exact_in_a_pass_in_bfloat16(box, monkeypatch):
    taken, method = [], GVBSM(iterations=2, nets=PAIR, precision="bfloat16")
    monkeypatch.setattr(g_vbsm, "densify", lambda x, tau: taken.append((x.dtype, (x @ x.mT).dtype)) or x.sum() * 0)
    monkeypatch.setattr(invert, "distance", lambda s, t: taken.append(tuple(p.dtype for p in s)) or distance(s, t))
    method(box.supplied(method, 2))
    assert {dtype for dtypes in taken for dtype in dtypes} == {torch.float32} and len(taken) > 4


@every_method
def test_same_seed_same_images_and_another_seed_others(method, box):
    first, again, other = (method(box.supplied(method, 2, seed=seed)).images for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


@every_method
@pytest.mark.parametrize(("ipc", "block"), [(2, 4), (2, 3), (3, 2), (1, 2)])
def test_a_shard_is_its_part_of_the_whole_bit_for_bit(method, ipc, block, toy):
    box = toy(classes=5, others=TRIO[1:])
    if "iterations" in type(method).model_fields:
        method = method.model_copy(update={"iterations": 6})
    if "block" in type(method).model_fields:
        method = method.model_copy(update={"block": block, "batch": 6})
    given = box.supplied(method, ipc)
    whole, together = method(given), method.at(8).together(ipc)
    assert together is not None and together <= 5
    for classes in (tuple(range(together)), tuple(range(together, 5))):
        if not classes:
            continue
        part = method(box.inputs(ipc, statistics=given.statistics, classes=classes))
        mine = np.isin(whole.labels, classes)
        assert part.labels.tolist() == whole.labels[mine].tolist()
        assert (part.images == whole.images[mine]).all()
        assert part.initial is None or (part.initial == whole.initial[mine]).all()
        assert part.notes.keys() == whole.notes.keys()


@every_recovery
@pytest.mark.parametrize("kill_at", [11, 20, 24])
def test_killed_and_resumed_it_gives_what_it_would_have_given(method, kill_at, box, kept):
    method = method.model_copy(update={"block": 2, "batch": 2})
    steady = method(box.supplied(method, 2))

    def progress(done, total):
        if done >= kill_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method(box.supplied(method, 2, kept=kept, progress=progress))
    assert kept.found
    resumed = method(box.supplied(method, 2, kept=kept))
    assert (resumed.images == steady.images).all() and (resumed.initial == steady.initial).all()
    assert (resumed.notes, resumed.steps) == (steady.notes, steady.steps)


def test_a_killed_cim_goes_on_behind_the_classes_that_are_done(box, kept):
    method = CIM(iterations=12)
    steady, calls = method(box.inputs(2)), []

    def progress(done, total):
        calls.append(done)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method(box.inputs(2, kept=kept, progress=progress))
    assert set(kept.found) == {"class-0", "class-1"}
    resumed = method(box.inputs(2, kept=kept))
    assert (resumed.images == steady.images).all() and resumed.notes == steady.notes


@every_recovery
def test_a_loss_that_is_not_finite_in_the_midst_is_told_and_what_was_kept_stays(method, box, kept):
    method = method.model_copy(update={"iterations": 30, "nets": ("teacher",), "priors": None, "rounds": 1})
    calls = []

    def spoil(module, args, out):
        calls.append(len(args[0]))
        return out * torch.nan if torch.is_grad_enabled() and sum(c == calls[-1] for c in calls) > 25 else out

    inputs = box.supplied(method, 2, kept=kept)
    box.teacher.register_forward_hook(spoil)
    with pytest.raises(DecoctError, match=r"not finite at step \d+ of \d+ \(it was [\d.]+ the step before\)"):
        method(inputs)
    state = next(value for name, value in kept.found.items() if name.startswith("stage"))
    assert np.isfinite(state["images"]).all() and 7 <= len(state["trace"]) <= 29


@every_recovery
def test_a_net_of_other_classes_is_named(method, box):
    given = box.supplied(method, 2)
    box.others["third"][-1] = nn.Linear(box.others["third"][-1].in_features, 5)
    with pytest.raises(DecoctError, match=r"the data have 3 classes.* third has 5: take nets"):
        method(given)


@pytest.mark.parametrize("method", [m for m in RECOVERIES if m.name not in ("g_vbsm", "edc")], ids=lambda m: m.name)
def test_a_net_without_batch_norm_is_refused_with_those_that_have_it(method, box):
    box.teacher[1] = nn.GroupNorm(1, 6)
    with pytest.raises(DecoctError, match="no batch norm to invert: take a teacher that has, such as convnet3_bn"):
        method(box.supplied(method, 2))


@pytest.mark.parametrize("size", [8, 28, 64, 224])
@every_method
def test_a_resolution_decides_every_field_and_asks_for_nets_that_exist(method, size):
    spec = type(method)().at(size)
    open_ = ("priors", "first", "pictures", "at_once", "batch")
    assert all(value is not None for name, value in spec if name not in open_)
    assert spec.at(size) == spec == parse("condenser", spec.config())
    assert spec.needs() and all(isinstance(need, Teacher | LayerStatistics) for need in spec.needs())
    assert len(set(spec.needs())) == len(spec.needs())
    for need in spec.needs():
        zoo.check_name(zoo.resolve(need.net, size))


@pytest.mark.parametrize("size", [8, 28])
def test_the_usual_nets_of_a_small_resolution_can_take_its_images(size):
    nets = {zoo.resolve(need.net, size) for method in METHODS for need in type(method)().at(size).needs()}
    for net in nets:
        assert isinstance(zoo.build(net, 1, 3, size, 0), nn.Module)


@every_recovery
def test_every_preset_can_be_taken_at_every_resolution(method):
    for name in type(method).presets:
        for size in (8, 28, 64, 224):
            spec = type(method)(preset=name).at(size)
            assert spec.preset == name and spec.jitter is not None and (size > 8 or spec.jitter <= 1)
            for net in spec.nets:
                zoo.check_name(zoo.resolve(net, size))


@every_recovery
def test_fields_win_over_the_preset_and_a_wrong_name_gets_the_nearest(method):
    spec = type(method)(lr=7.0, jitter=3).at(8)
    assert (spec.lr, spec.jitter) == (7.0, 3)
    with pytest.raises(UsageError, match=rf"{method.name} has no preset 'imagenet1'\. Did you mean 'imagenet1k'"):
        type(method)(preset="imagenet1").at(8)


@every_recovery
def test_the_docstring_names_every_preset(method):
    assert all(f"``{name}``" in inspect.getdoc(type(method)) for name in type(method).presets)


@pytest.mark.parametrize("method", (*RECOVERIES, SRe2L(iterations=12, precision="bfloat16")), ids=lambda m: m.name)
def test_an_iteration_is_one_graph_and_gives_the_same_images(method, box, monkeypatch):
    """With the graph's operations one by one, so that norms alone are rounded otherwise."""
    graphs = []

    def eagerly(module, inputs):
        graphs.append(module)
        return module.forward

    monkeypatch.setattr(compiled, "BACKEND", eagerly)
    plain = method(box.supplied(method, 2))
    torch.compiler.reset()
    made = method(replace(box.supplied(method, 2), compiled=True))
    kinds = len(graphs)
    assert kinds and np.array_equal(made.images, plain.images)
    assert made.notes == pytest.approx(plain.notes, rel=1e-6)
    method(replace(box.supplied(method, 2), compiled=True))
    assert len(graphs) == kinds  # the next run needs no graph of its own
