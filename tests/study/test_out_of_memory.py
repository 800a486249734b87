"""A device out of memory in a job: halved once where that changes no result, else one line and nothing stored."""

import gc
import json
import weakref
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from decoct import api
from decoct.api import Compute
from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.spec import parse
from decoct.needs.dynamics import Dynamics
from decoct.needs.features import Features
from decoct.needs.statistics import LayerStatistics
from decoct.needs.teacher import Teach, Teacher
from decoct.nets.room import Halved
from decoct.study.drive import Driver
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.store.store import Store
from decoct.study.workers.executors import Inline
from decoct.training.recipe import Storing

SOFT = parse("protocol", {"name": "single_teacher", "steps": 6, "batch": 40, "cutmix": 0.0})
HARD = parse("protocol", {"name": "erm", "steps": 2, "batch": 40})


@contextmanager
def memory_for(images):
    """A device with room for the maps of so many images: torch raises in a convolution of more, as CUDA would."""

    def allocate(module, args):
        if isinstance(module, nn.Conv2d) and len(args[0]) > images:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has 1.00 GiB.")

    handle = register_module_forward_pre_hook(allocate)
    try:
        yield
    finally:
        handle.remove()


def condensed(planner, name, ipc=1, **fields):
    made = planner.condense(name, parse("condenser", {"name": name, **fields}), Budget(ipc=ipc), 0)
    return planner.jobs[made.key]


def student(planner, protocol=SOFT):
    made = planner.condense("random", parse("condenser", {"name": "random"}), Budget(ipc=20), 0)
    return planner.train((protocol.name, protocol), "convnet1_w8", made)


def labels(planner, **storing):
    made = planner.condense("random", parse("condenser", {"name": "random"}), Budget(ipc=20), 0)
    protocol = SOFT.stored(Storing(**storing))
    return planner.relabel((protocol.name, protocol), made)


def measured(planner):
    made = planner.condense("rded", parse("condenser", {"name": "rded", "candidates": 10}), Budget(ipc=20), 0)
    return planner.measure(made, {"prdc": parse("metric", {"name": "prdc"})}, ["teacher"], 0)


HALVED = {  # what a job is, images that there is room for, and what is halved
    "features": (lambda p: p.job(Features()), 256, "a forward pass, 512"),
    "statistics": (lambda p: p.job(LayerStatistics()), 50, "layer statistics, 100"),
    "dynamics": (lambda p: p.job(Dynamics(epochs=1)), 256, "looking at every image, 512"),
    "a teacher": (lambda p: p.job(Teacher(net="convnet2_bn")), 128, "a forward pass, 1"),
    "labels of views": (labels, 120, "labelling, 240"),
    "labels of images": (lambda p: labels(p, per="image"), 100, "labelling, 200"),
    "a student with its teacher": (lambda p: student(p), 180, "labelling, 240"),
    "a student's test": (lambda p: student(p, HARD), 100, "evaluation, 128"),
    "measuring": (measured, 100, "a forward pass, 200"),
    "rded": (lambda p: condensed(p, "rded", candidates=45), 100, "ranking crops, 200"),
    "sre2l": (lambda p: condensed(p, "sre2l", 3, iterations=4, block=5, batch=15), 10, "sre2l, 15"),
    "edc": (lambda p: condensed(p, "edc", 12, nets=["convnet2_bn"], iterations=4, block=4, batch=12), 8, "edc, 12"),
    "fadrm": (
        lambda p: condensed(p, "fadrm", 20, nets=["convnet2_bn"], iterations=8, block=10, batch=200),
        100,
        "fadrm",
    ),
}


def arrays(folder):
    found = {}
    for file in sorted(folder.iterdir()):
        if file.suffix == ".safetensors":
            found |= {f"{file.name}/{name}": value for name, value in load_file(file).items()}
        elif file.suffix == ".npy":
            found[file.name] = np.load(file)
    return found


@pytest.fixture(scope="module")
def made(digits, tmp_path_factory):
    """``made(MAKE)``: the job that MAKE(planner) plans, in a store with all that it needs, and what it gives there."""
    store = Store(tmp_path_factory.mktemp("store"))
    quick = {net: Teach(net=net, epochs=1) for net in ("teacher", "convnet2_bn", "test_efficientnet")}

    def make(plan):
        planner = Planner(digits, teachings=quick)
        made = plan(planner)
        job = planner.jobs[made.key]
        for each in planner.jobs.values():
            execute(store.root, each)
        before = arrays(store.path(job.kind, job.key))
        store.remove(job.kind, job.key)
        return store, job, before

    return make


def left(store, job):
    """Files of a job in the store, whole or half-written."""
    files = [path for path in store.root.rglob("*") if path.is_file()]
    return [file for file in files if job.key in str(file) or ".tmp-" in str(file)]


@pytest.mark.parametrize("case", HALVED)
def test_work_on_images_by_themselves_is_halved_once_and_gives_what_it_gave(made, case):
    plan, room, what = HALVED[case]
    store, job, before = made(plan)
    with memory_for(room), pytest.warns(Halved) as told:
        execute(store.root, job)
    said = {str(warning.message) for warning in told}
    assert any(line.startswith(f"cpu ran out of memory at {what}") for line in said)
    assert len(said) <= 2  # once of each thing that is done, such as the labelling for a student and its test
    after = arrays(store.path(job.kind, job.key))
    assert before.keys() == after.keys() and before
    for name, value in before.items():
        if value.dtype == np.uint8:
            assert np.abs(value.astype(int) - after[name]).mean() < 0.01, name  # a level, by rounding
        else:
            np.testing.assert_allclose(after[name], value, rtol=2e-3, atol=2e-4, err_msg=name)


@pytest.mark.parametrize(
    ("case", "advice"),
    [
        ("features", "128 images at a time|256 images at a time; cpu has .* GiB\ntake a smaller net"),
        ("rded", "ranking crops, 100 images at a time; cpu has .* GiB\nbatch = 50 may fit"),
        ("sre2l", "sre2l, 10 images at a time; cpu has .* GiB\nbatch = 5 may fit"),
        ("labels of views", "labelling, 120 images at a time; cpu has .* GiB\ntake a smaller net, or a device"),
    ],
)
def test_half_is_too_much_as_well(made, case, advice):
    plan, *_ = HALVED[case]
    store, job, _ = made(plan)
    with memory_for(4), pytest.warns(Halved), pytest.raises(DecoctError, match=advice) as failed:
        execute(store.root, job)
    assert len(str(failed.value).splitlines()) == 2
    assert left(store, job) == [] and not store.has(job.kind, job.key)


@pytest.mark.parametrize(
    ("plan", "advice"),
    [
        (
            lambda p: p.job(Teacher(net="convnet2_bn")),
            r"cpu has .* GiB\nlower batch \(\d+ now\), take a smaller net, or",
        ),
        (lambda p: student(p, HARD), r"GiB\nlower batch \(40 now\), take a smaller net, or a device with more memory"),
        (
            lambda p: condensed(p, "cim", 10, iterations=2, batch=3),
            r"GiB\nlower batch \(3 now\), take a smaller budget",
        ),
        (
            lambda p: condensed(p, "dm", 2, net="convnet2_w8", iterations=2, batch=30),
            r"dm of 10 classes × 2 images of 1 × 8 × 8 is estimated to take .* GiB\nlower batch \(30 now\), take a sm",
        ),
    ],
    ids=["teacher", "student", "cim", "dm"],
)
def test_a_batch_that_decides_what_is_computed_is_not_halved(made, plan, advice):
    store, job, _ = made(plan)
    with memory_for(4), pytest.raises(DecoctError, match=advice) as failed:
        execute(store.root, job)
    assert str(failed.value).startswith("cpu ran out of memory; cpu has ")
    assert left(store, job) == [] and not store.has(job.kind, job.key)


def test_a_block_that_is_matched_as_a_whole_is_not_halved(made):
    store, job, _ = made(lambda p: condensed(p, "sre2l", iterations=4, block=5, batch=20))
    with memory_for(4), pytest.raises(DecoctError, match=r"sre2l, 5 images at a time; .*\nthe 5 images of a block are"):
        execute(store.root, job)
    assert left(store, job) == []


def test_a_student_of_the_callers_own_says_its_batch(digits, tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.LazyLinear(10))
    compute = Compute(store=tmp_path)
    made = api.condense("random", digits, ipc=5, compute=compute)
    with memory_for(3), pytest.raises(DecoctError, match=r"of Sequential in batches of 7; cpu has .* GiB\nlower"):
        net(torch.zeros(1, 1, 8, 8))
        api.train(made, digits, student=net, compute=compute, protocol="erm", steps=2, batch=7)


def test_a_halved_construction_that_is_killed_goes_on_with_its_halves(made):
    """Which it finds again though it tries the whole first."""
    store, job, before = made(HALVED["sre2l"][0])
    steps = []

    def kill(done, total):
        steps.append(done)
        if len(steps) == 15:  # of 2 runs with 2 halves of 4 iterations, in the fourth half
            raise KeyboardInterrupt

    with memory_for(10), pytest.warns(Halved), pytest.raises(KeyboardInterrupt):
        execute(store.root, job, progress=kill)
    with memory_for(10), pytest.warns(Halved):
        execute(store.root, job, progress=lambda done, total: steps.append(done))
    assert len(steps) < 15 + 8 * 4  # some of the work was kept
    after = arrays(store.path(job.kind, job.key))
    assert all(np.array_equal(value, after[name]) for name, value in before.items() if name.endswith("labels"))


def test_one_job_without_memory_fails_alone_and_lets_go_of_what_it_held(made):
    """Else a job after it in the same process would find the device full."""
    store, job, _ = made(lambda p: student(p, HARD))
    held = []

    def hold(module, args):
        if isinstance(module, nn.Conv2d) and module.training:
            held.append(weakref.ref(args[0]))

    watch = register_module_forward_pre_hook(hold)
    done = []
    try:
        with memory_for(30):
            driver = Driver(store, lambda workers: Inline(), on_done=lambda job, error: done.append(error))
            failed = driver.run([job])
    finally:
        watch.remove()
    gc.disable()
    try:
        assert list(failed) == [job.key] and "cpu ran out of memory" in str(failed[job.key])
        assert held and all(each() is None for each in held)
    finally:
        gc.enable()
    assert left(store, job) == []
    assert json.dumps(str(failed[job.key])).count("\\n") == 0
