"""What only a GPU has, and what may go wrong there: copies, compilation, autocast, memory, rounding, kills."""

import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from safetensors.numpy import load_file

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine, Task
from decoct.core.record import MEASURED
from decoct.core.spec import parse
from decoct.needs.features import Features
from decoct.nets import zoo
from decoct.protocols.erm import ERM
from decoct.study.graph import Planner
from decoct.study.jobs import Job
from decoct.study.store.store import KeptOnDisk
from decoct.training import images, loop
from decoct.training.loop import TrainingSet, train
from devices.agreement import EXACT, HEAD, ROUNDED, apart
from devices.jobs import IPC, SMALL, Trial, pictures, plan
from devices.rows import Rows, Wrong
from devices.scale import Bench
from devices.speed import NET, random_set
from devices.trials import extractor
from yardstick import clock

DROPS = "squeezenet1_1"  # a net with dropout, whose draws are the device's
STUDENT, CONSTRUCTION = 200, 40  # steps of what is killed: several chunks of batches, several looks at the loss


def luck(rows: Rows, bench: Bench) -> None:
    """One table, whose rows say what they found in their own words."""
    rows.table("One by one", ["", "found"])
    for name, make in TRIED.items():
        rows.row(name, lambda make=make: [make(bench)])


def on_the_host(bench: Bench) -> str:
    """A student whose images do not fit on the device, beside one whose do: on CUDA copies are pinned and overlap."""
    data = random_set(bench)
    data = replace(data, images=data.images.cpu(), labels=data.labels.cpu())
    steps = max(20, bench.scale.warm)
    there, one = _student(bench, data, steps)
    with mock.patch.object(images, "SHARE", 0.0), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        here, other = _student(bench, data, steps)
    if bench.device != "cpu" and not any(issubclass(each.category, images.HostImages) for each in said):
        raise Wrong(["the images went to the device in any case"], "nothing was kept on the host")
    far = max(float((a - b).detach().abs().max()) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    found = f"{there:,.0f} images/s from the device's memory, {here:,.0f} from the host's; weights {far:.1e} apart"
    if far > 0.01:
        raise Wrong([found], "weights are not the same")
    return found


def _student(bench: Bench, data: TrainingSet, steps: int) -> tuple[float, torch.nn.Module]:
    """Images a second of a training in bfloat16, and its net."""
    classes, _, size = bench.scale.race
    recipe = replace(ERM().recipe(Task(len(data.labels), classes, size, flip=True)), steps=steps)
    machine = Machine(bench.device, "bfloat16")
    nets = [zoo.build(NET, 3, classes, size, seed=0) for _ in range(2)]
    few = replace(recipe, steps=min(steps, bench.scale.warm))
    train(nets[0], data, few, seed=0, machine=machine)  # the first steps choose kernels
    seconds = clock(lambda _: train(nets[1], data, recipe, seed=0, machine=machine), steps)
    return steps * recipe.batch / seconds, nets[1].cpu()


def compiled(bench: Bench) -> str:
    """A student through torch.compile, beside the CPU's that is not."""
    trial, job = _training(bench, steps=bench.scale.steps)
    fields = job.model_dump()
    fields["keyed"]["compute"]["compile"] = True
    start = time.perf_counter()
    found, _ = trial.make(Job(**fields), bench.device, name="compiled")
    took = time.perf_counter() - start
    return f"{took:.0f} s with compilation; {judged(trial.store('cpu').path(job.kind, job.key), found, ROUNDED)}"


def autocast(bench: Bench) -> str:
    """In which types a student computes when its study asks for bfloat16."""
    seen: set[str] = set()
    data = random_set(bench)
    classes, _, size = bench.scale.race
    net = zoo.build(NET, 3, classes, size, seed=0)
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _, __, made: seen.add(str(made.dtype).removeprefix("torch.")))
    recipe = replace(ERM().recipe(Task(len(data.labels), classes, size, flip=True)), steps=2)
    train(net, data, recipe, seed=0, machine=Machine(bench.device, "bfloat16"))
    kept = {str(p.dtype).removeprefix("torch.") for p in net.parameters()}
    found = f"convolutions give {', '.join(seen)}; weights stay {', '.join(kept)}"
    if seen != {"bfloat16"} or kept != {"float32"}:
        raise Wrong([found], "not as it should be")
    return found


def out_of_memory(bench: Bench) -> str:
    """Features of pictures where the memory does not suffice for a batch: it is halved, or one line says what to do."""
    data = pictures(bench.folder / "large", 224, bench.scale.classes, bench.scale.each)
    planner = Planner(data)
    job = planner.job(Features(extractor=extractor(bench.folder)))
    trial = Trial(list(planner.jobs.values()), bench.folder / "memory")
    bench.fresh_peak()
    expected, _ = trial.make(job, bench.device, name="enough")
    most = torch.cuda.max_memory_allocated(bench.device) if bench.cuda else 0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found, _ = trial.make(job, bench.device, short(bench, most), "short")
        except DecoctError as error:
            return f"one line: {error}" + _left(trial.store(f"short/{job.key}").root)
    told = [str(each.message) for each in said if "memory" in str(each.message)]
    return f"{'; '.join(told) or 'it was enough'}; {judged(expected, found, EXACT)}"


@contextmanager
def short(bench: Bench, most: int) -> Iterator[None]:
    """A block in which memory does not suffice for what took so much of it.

    Elsewhere than on CUDA it is played: nets take no batch as large as the first that they are shown.
    """
    if bench.cuda:
        total = torch.cuda.get_device_properties(bench.device).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(0.75 * most / total, bench.device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, bench.device)
        return
    largest: list[int] = []

    def refuse(module: torch.nn.Module, given: tuple[Any, ...]) -> None:
        if given and isinstance(given[0], torch.Tensor) and given[0].ndim == 4 and len(given[0]) > 1:
            largest.append(len(given[0]))
            if len(given[0]) >= largest[0]:
                raise torch.OutOfMemoryError("CUDA out of memory (played)")

    hook = torch.nn.modules.module.register_module_forward_pre_hook(refuse)
    try:
        yield
    finally:
        hook.remove()


def _left(root: Path) -> str:
    """Raise Wrong if a failed job left something in its store."""
    left = [path.name for path in root.rglob(".tmp-*")]
    if left:
        raise Wrong([f"left behind: {', '.join(left)}"], "half-written")
    return "; nothing is left behind"


def twice(kind: str) -> Callable[[Bench], str]:
    """The same job twice on the device: which bytes are equal. On a GPU sums may differ; on a CPU that is wrong."""

    def make(bench: Bench) -> str:
        trial, job = _training(bench, steps=20) if kind == "train" else _construction(bench)
        one, two = (trial.make(job, bench.device, name=name)[0] for name in ("once", "twice"))
        names = [path.name for path in sorted(one.iterdir()) if path.name not in (MEASURED, "cell.json")]
        other = [name for name in names if (one / name).read_bytes() != (two / name).read_bytes()]
        if not other:
            return f"all {len(names)} files are equal byte for byte"
        found = f"{', '.join(other)} of {len(names)} files differ; {judged(one, two, EXACT)}"
        if bench.device == "cpu":
            raise Wrong([found], "bytes differ on a CPU")
        return found

    return make


class Killed(BaseException):
    """The end of a process, played: no work of decoct's catches it."""


def resumed(kind: str) -> Callable[[Bench], str]:
    """A job that is killed halfway and started again, beside one that was not; dropout draws from the device."""

    def make(bench: Bench) -> str:
        trial, job = _training(bench, STUDENT, DROPS) if kind == "train" else _construction(bench, CONSTRUCTION)
        whole, _ = trial.make(job, bench.device, name="whole")

        def kill(done: int, total: int) -> None:
            if done > 0.7 * total:
                raise Killed

        with mock.patch.object(KeptOnDisk, "due", lambda self: True), mock.patch.object(loop, "LOOK", 1):
            try:
                trial.make(job, bench.device, name="killed", progress=kill)
            except Killed:
                step = _kept(trial.store(f"killed/{job.key}").unfinished(job.kind, job.key))
                found, _ = trial.make(job, bench.device, name="killed")
                return f"gone on from step {step}; {judged(whole, found, EXACT)}"
        raise Wrong(["it came to its end"], "it was not killed")

    return make


def _kept(folder: Path) -> int:
    """Steps that a killed job had kept.

    Raises:
        Wrong: it had kept none.
    """
    states = [load_file(file) for file in folder.glob("*.safetensors")]
    steps = [int(state["done"]) if "done" in state else len(state.get("trace", ())) for state in states]
    if not max(steps, default=0):
        raise Wrong(["nothing was kept"], "it would begin anew")
    return max(steps)


def no_such_device(bench: Bench) -> str:
    """What decoct says of a device that is not there."""
    done = subprocess.run(
        [sys.executable, "-m", "decoct", "run", "--device", "cuda:99", "--out", str(bench.folder / "none")],
        capture_output=True,
        text=True,
    )
    found = done.stderr.strip()
    if done.returncode == 0 or len(found.splitlines()) > 3 or (bench.folder / "none").exists():
        raise Wrong([found], f"ended with {done.returncode}")
    return found


def another_gpu(bench: Bench) -> str:
    """A student on the last GPU, where there are several: nothing may lie on the first."""
    last = f"cuda:{torch.cuda.device_count() - 1}" if bench.cuda else bench.device
    trial, job = _training(bench, steps=bench.scale.steps)
    found, _ = trial.make(job, last, name="last")
    return f"on `{last}`: {judged(trial.store('cpu').path(job.kind, job.key), found, ROUNDED)}"


def judged(expected: Path, found: Path, limits: dict[str, float]) -> str:
    """How far two cells are apart, in words.

    Raises:
        Wrong: further than the limits.
    """
    far = apart(expected, found)
    said = ", ".join(f"{name} {cell}" for name, cell in zip(HEAD, far.cells(), strict=True) if cell)
    if why := far.why_not(limits):
        raise Wrong([f"apart: {said}"], f"too far apart: {why}")
    return f"apart: {said}"


def _training(bench: Bench, steps: int, net: str = "") -> tuple[Trial, Job]:
    """A student on a random set of 64 px; what lies behind it, and it, are made on the CPU."""
    planner = plan(pictures(bench.folder / "small", 64))
    random = planner.condense("random", parse("condenser", {"name": "random"}), Budget(ipc=IPC), 0)
    protocol = parse("protocol", {"name": "erm", "steps": steps})
    job = planner.train(("erm", protocol), net or zoo.student(64, 8), random)
    trial = Trial(list(planner.jobs.values()), bench.folder / "small")
    trial.expected([job])
    return trial, job


def _construction(bench: Bench, iterations: int = 8) -> tuple[Trial, Job]:
    """SRe2L at 64 px; what lies behind it is made on the CPU."""
    planner = plan(pictures(bench.folder / "small", 64))
    fields = {key: value for key, value in SMALL["sre2l"].items() if key != "shards"}
    method = parse("condenser", {"name": "sre2l", **fields, "iterations": iterations})
    job = planner.jobs[planner.condense("sre2l", method, Budget(ipc=IPC), 0).key]
    trial = Trial(list(planner.jobs.values()), bench.folder / "small")
    trial.expected([job])
    return trial, job


TRIED: dict[str, Callable[[Bench], str]] = {
    "images that stay on the host": on_the_host,
    "a student through torch.compile": compiled,
    "autocast to bfloat16": autocast,
    "memory that does not suffice": out_of_memory,
    "a student twice": twice("train"),
    "a construction twice": twice("condense"),
    "a student with dropout, killed and resumed": resumed("train"),
    "a construction, killed and resumed": resumed("condense"),
    "the last GPU of several": another_gpu,
    "a device that is not there": no_such_device,
}
