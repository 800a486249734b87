"""A study that is repeatedly killed and restarted ends like one that never was.

python benchmarks/kills.py --kills 50 --seed 0 [--on ray] [--jumps]

Each time either the driver with all its workers is killed, the driver alone, or one worker, at a random moment; the
moments are drawn so that some fall while a cell or a checkpoint is being written. Then the same command goes on; a run
that comes to its end between two kills is followed by another one. Before a third of the kills everything stands still
for a while (SIGSTOP, SIGCONT); with ``--jumps`` the wall clock jumps all the time (clock_jumps.py). At the end each
store must be that of an unkilled run byte for byte, ``measured.json`` aside, with nothing half-written in it, and the
report must say the same numbers.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from clock_jumps import jumping
from decoct.core.record import CELL
from yardstick import table

STUDY = """
name = "kills"
students = ["convnet1_w8"]
budgets = [{ipc = 1}, {ipc = 10}]
replicates = {condense = 3}
condensers = [
  "random",
  "herding",
  {name = "el2n", net = "convnet1_w8", epochs = 2, runs = 2},
  {name = "confident", net = "convnet1_w8", epochs = 2},
  {name = "rded", candidates = 10},
  {name = "sre2l", iterations = 20},
  {name = "dm", iterations = 10, batch = 32},
]
protocols = [{name = "erm", steps = 20}, {name = "multi_teacher", steps = 20}]
teachers = [
  {net = "convnet2_bn", epochs = 2},
  {net = "resnet10t", epochs = 2},
  {net = "test_resnet", epochs = 2},
  {net = "test_efficientnet", epochs = 2},
]
"""
MEASURED = "measured.json"
WORKER = re.compile(r"spawn_main|^ray::(?!IDLE)")  # of a pool, or of Ray at work
STILL = 5.0  # seconds that everything stands still, at most
VICTIMS = ("driver and workers", "driver", "worker")
PATIENCE = 600.0  # seconds that a run may go on without a new cell


@dataclass
class Seen:
    """What the kills met.

    Attributes:
        victims: how many of each.
        halves: kills of a run whose workers had something half-written.
        going: kills of a run that had begun to work.
        stops: kills of what had stood still before.
        starts: of the command.
    """

    victims: Counter[str] = field(default_factory=Counter)
    halves: int = 0
    going: int = 0
    stops: int = 0
    starts: int = 0


def start(study: Path, out: Path, workers: int, on: str) -> subprocess.Popen[bytes]:
    """``decoct run`` in a session of its own."""
    command = [
        sys.executable,
        "-m",
        "decoct",
        "run",
        str(study),
        "--out",
        str(out),
        "--workers",
        str(workers),
        "--on",
        on,
        "--json",
    ]
    log = out.with_suffix(".log").open("ab")
    with log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def workers_of(driver: int) -> list[psutil.Process]:
    """The driver's children that compute."""
    try:
        children = psutil.Process(driver).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if WORKER.search(" ".join(_command(child)))]


def family(driver: int) -> list[psutil.Process]:
    """The driver and all that it has started, such as Ray's own processes, which have sessions of their own."""
    try:
        return [psutil.Process(driver), *psutil.Process(driver).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def stand_still(driver: int, seconds: float) -> None:
    """Stop everything, and let it go on."""
    everything = family(driver)
    for each in everything:
        _send(each, signal.SIGSTOP)
    time.sleep(seconds)
    for each in everything:
        _send(each, signal.SIGCONT)


def _send(process: psutil.Process, word: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(word)


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def cells(out: Path) -> int:
    """Complete cells of a run."""
    return len(list((out / "store").glob(f"[!.]*/*/*/{CELL}")))


def half_written(out: Path, by: set[int] | None = None) -> list[Path]:
    """What somebody is or was writing; of some processes alone, if they are given."""
    store = out / "store"
    found = [*store.glob(".tmp-*"), *(store / "unfinished").glob("*/**/.tmp-*")]
    return [path for path in found if by is None or path.name.split("-")[1] in map(str, by)]


def writing(process: subprocess.Popen[bytes], out: Path) -> list[Path]:
    """What the workers of a run are writing now."""
    return half_written(out, {worker.pid for worker in workers_of(process.pid)})


def kill(process: subprocess.Popen[bytes], victim: str, draw: random.Random) -> str | None:
    """Kill, and wait until whoever must go with the victim is gone.

    Returns:
        Who was killed; None if the run had ended.
    """
    workers = workers_of(process.pid)
    if process.poll() is not None:
        return None
    if victim == "worker" and workers:
        draw.choice(workers).send_signal(signal.SIGKILL)
        return "worker"
    if victim == "driver and workers":
        for each in family(process.pid):
            _send(each, signal.SIGKILL)
    else:
        victim = "driver"
        os.kill(process.pid, signal.SIGKILL)  # its workers must notice
    process.wait()
    psutil.wait_procs(workers, timeout=60)
    return victim


def torment(
    study: Path, folder: Path, kills: int, seed: int, workers: int, span: float, on: str
) -> tuple[Seen, list[Path]]:
    """Start, kill at a random moment within ``span`` seconds of its work, start again, until it ends by itself.

    Args:
        study: TOML.
        folder: where runs go.
        kills: how often.
        seed: of the moments and the victims.
        workers: of the pool.
        span: seconds of work between two kills, at most.
        on: "pool" or "ray".

    Returns:
        What the kills met, and the folders of the runs, all of which have ended.
    """
    draw, seen, outs, process = random.Random(seed), Seen(), [folder / "killed-0"], None
    while sum(seen.victims.values()) < kills:
        if process is not None and process.poll() == 0:
            outs.append(folder / f"killed-{len(outs)}")
        out = outs[-1]
        if process is None or process.poll() is not None:
            process, seen.starts = start(study, out, workers, on), seen.starts + 1
            if draw.random() < 0.8:  # mostly once it works, sometimes while it starts
                _wait_for_work(process, out)
        if draw.random() < 0.5:
            time.sleep(draw.random() * span)
        else:
            _wait_for_a_write(process, out, span)
        if still := draw.random() < 1 / 3:
            stand_still(process.pid, STILL * draw.random())
        working = {worker.pid for worker in workers_of(process.pid)}
        done = kill(process, draw.choice(VICTIMS), draw)
        if done:
            seen.victims[done] += 1
            seen.going += bool(working)
            seen.stops += still
            seen.halves += bool(half_written(out, working))
    for _ in range(5):  # the first one may be without the worker that was killed last, and fail a job for it
        if process is None or process.poll() is not None:
            process, seen.starts = start(study, outs[-1], workers, on), seen.starts + 1
        _finish(process, outs[-1])
        if process.returncode == 0:
            return seen, outs
    raise SystemExit(f"the run does not end:\n{outs[-1].with_suffix('.log').read_text('utf-8')[-2000:]}")


def _wait_for_work(process: subprocess.Popen[bytes], out: Path) -> None:
    """Until a worker writes something or a cell is new."""
    before, end = cells(out), time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        if cells(out) > before or writing(process, out):
            return
        time.sleep(0.005)


def _wait_for_a_write(process: subprocess.Popen[bytes], out: Path, span: float) -> None:
    """Until a cell is half-written, or ``span`` seconds."""
    end = time.monotonic() + span
    while process.poll() is None and time.monotonic() < end and not writing(process, out):
        time.sleep(0.0005)


def _finish(process: subprocess.Popen[bytes], out: Path) -> None:
    """Wait as long as there is a new cell now and then."""
    known, end = cells(out), time.monotonic() + PATIENCE
    while process.poll() is None:
        if (now := cells(out)) > known:
            known, end = now, time.monotonic() + PATIENCE
        if time.monotonic() > end:
            os.killpg(process.pid, signal.SIGKILL)
            raise SystemExit(f"no new cell in {PATIENCE:.0f} s: see {out.with_suffix('.log')}")
        time.sleep(0.05)


def contents(store: Path) -> dict[str, bytes]:
    """Every file of a store by its path, but for what was measured rather than computed."""
    files = (file for file in store.rglob("*") if file.is_file() and file.name != MEASURED)
    return {str(file.relative_to(store)): file.read_bytes() for file in files}


def differences(killed: Path, whole: Path) -> list[str]:
    """What a run that was killed has otherwise than one that was not; empty where all is well."""
    ours, theirs = contents(killed / "store"), contents(whole / "store")
    found = [f"half-written: {path}" for path in half_written(killed)]
    found += [f"lost: {name}" for name in sorted(theirs.keys() - ours.keys())]
    found += [f"left over: {name}" for name in sorted(ours.keys() - theirs.keys())]
    found += [f"other bytes: {name}" for name in sorted(ours.keys() & theirs.keys()) if ours[name] != theirs[name]]
    tables = ("results.csv",)
    return found + [
        f"other numbers: {name}" for name in tables if (killed / name).read_bytes() != (whole / name).read_bytes()
    ]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--on", choices=("pool", "ray"), default="pool")
    arguments.add_argument("--jumps", action="store_true", help="the wall clock jumps by up to ten years")
    arguments.add_argument("--span", type=float, default=2.0, help="seconds of work between two kills, at most")
    options = arguments.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        study, whole = Path(folder, "study.toml"), Path(folder, "whole")
        study.write_text(STUDY, "utf-8")
        unkilled = start(study, whole, options.workers, "pool")
        _finish(unkilled, whole)
        if unkilled.returncode:
            sys.exit(whole.with_suffix(".log").read_text("utf-8"))
        begin = time.perf_counter()
        with jumping(Path(folder), options.seed) if options.jumps else contextlib.nullcontext() as clock:
            seen, outs = torment(
                study, Path(folder), options.kills, options.seed, options.workers, options.span, options.on
            )
        minutes = (time.perf_counter() - begin) / 60
        found = [line for out in outs for line in differences(out, whole)]
        total = len(contents(whole / "store"))
        if found:
            sys.exit("\n".join(["a killed run differs from the unkilled one:", *found[:20]]))
        count = cells(whole)
    rows = [[victim, str(seen.victims[victim])] for victim in VICTIMS]
    rows += [
        ["of all these, while workers ran", str(seen.going)],
        ["of all these, with something half-written", str(seen.halves)],
        ["of all these, after standing still", str(seen.stops)],
        ["jumps of the clock", str(clock.jumps if clock else 0)],
        ["starts of the command", str(seen.starts)],
        ["runs that came to their end", str(len(outs))],
        ["minutes", f"{minutes:.1f}"],
    ]
    print(f"Seed {options.seed}, {options.workers} workers, a study of {count} jobs.\n")
    print(table(["SIGKILL to", "times"], rows))
    print(
        f"\nAll {total:,} files but {MEASURED} are equal byte for byte, as is `results.csv`; nothing is half-written."
    )


if __name__ == "__main__":
    main()
