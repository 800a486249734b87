"""All of decoct on a GPU, in one call: whether it is right, what it takes, and what failed. Ten minutes.

Every need, method, protocol, metric and executor runs on a stand-in for data at 64 px and, with the nets and presets of
ImageNet-1K, on a few classes of 224 px; their losses, picks and images stand beside the CPU's. Then loops are raced
against bare ones, waits are counted, and what only a GPU has is tried. A section is a process of its own and a row that
fails is a row, so all of it is run in any case; the page is written after each section, and ends with what failed.

    python benchmarks/gpu_check.py                      on a machine with a GPU: docs/results/gpu.md
    python benchmarks/gpu_check.py --device mps --out mps.md
    python benchmarks/gpu_check.py --device cpu         a dry run of the same code on smaller numbers
"""

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from devices.rows import Broken, Rows, begun, failures, markdown, read

PAGE = Path(__file__).parents[1] / "docs" / "results" / "gpu.md"
PATIENCE = 900.0  # seconds without a new row after which a section's process is ended
STARTS = 10  # of a section whose process dies
SECTIONS = {  # by the word for each: its heading, its module and function
    "where": ("Where", "devices.places", "where"),
    "small": ("Every job at 64 px", "devices.trials", "small"),
    "large": ("At 224 px", "devices.trials", "large"),
    "executors": ("Executors", "devices.places", "executors"),
    "speed": ("Speed", "devices.speed", "speed"),
    "waits": ("Waits", "devices.waits", "waits"),
    "alone": ("What only a GPU has, and bad luck", "devices.luck", "luck"),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--device", default="cuda", help="cuda, cuda:1, mps, or cpu for a dry run")
    arguments.add_argument("--out", type=Path, default=PAGE, help="the page, in Markdown")
    arguments.add_argument("--minutes", type=float, default=10.0, help="a guide: turns of the races are as long")
    arguments.add_argument("--full", action="store_true", help="the numbers of a GPU on a CPU too: hours")
    arguments.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION")
    arguments.add_argument("--keep", type=Path, help="folder of pictures and cells; a second start goes on")
    arguments.add_argument("--section", help=argparse.SUPPRESS)  # of a process that does one
    options = arguments.parse_args()
    check_device(options.device) if options.section is None else None
    if options.section:
        sys.exit(one(options))
    with tempfile.TemporaryDirectory() as folder:
        options.keep = (options.keep or Path(folder)).absolute()
        options.keep.mkdir(parents=True, exist_ok=True)
        sys.exit(every(options))


def check_device(device: str) -> None:
    """End with what to do if the device is not there."""
    code = f"import torch; (torch.ones(1, device={device!r}) + 1).cpu()"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if tried.returncode:
        said = (tried.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        sys.exit(f"no device '{device}' here: {said}\ntry the script itself with --device cpu")


def one(options: argparse.Namespace) -> int:
    """Do a section, in a process of its own; 0 if it came to its end."""
    import torch

    from decoct.study.memory import keep_memory
    from devices.scale import Bench, scale_of

    keep_memory()
    torch.set_num_threads(1)
    bench = Bench(options.device, scale_of(options.device, options.full, options.minutes), options.keep)
    rows = Rows(options.keep / f"{options.section}.jsonl", bench.alive)
    _, module, function = SECTIONS[options.section]
    try:
        getattr(importlib.import_module(module), function)(rows, bench)
    except Broken:
        return 3
    except Exception as error:
        rows.table(SECTIONS[options.section][0], [""])

        def fail(error: Exception = error) -> list[object]:
            raise error

        rows.row("the section itself", fail)
    return 0


def every(options: argparse.Namespace) -> int:
    """Do all sections, each in as many processes as it takes; 1 if anything failed."""
    start = time.monotonic()
    took: dict[str, float] = {}
    for name in options.only:
        begin = time.monotonic()
        command = [sys.executable, __file__, "--section", name, "--device", options.device, "--keep", str(options.keep)]
        command += ["--minutes", str(options.minutes)] + ["--full"] * options.full
        finish(command, options.keep / f"{name}.jsonl", SECTIONS[name][0])
        took[name] = time.monotonic() - begin
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(page(options, took, time.monotonic() - start), "utf-8")
    failed = {name: failures(read(options.keep / f"{name}.jsonl")) for name in options.only}
    for name, rows in failed.items():
        for table, row, why in rows:
            print(f"{name}: {table} · {row}: {why}")
    total = sum(map(len, failed.values()))
    print(f"{total} failed; {(time.monotonic() - start) / 60:.1f} minutes; {options.out}")
    return int(total > 0)


def finish(command: Sequence[str], file: Path, heading: str, patience: float = PATIENCE) -> None:
    """Run a section's process until it comes to its end: one that dies or stands still goes on behind that row."""
    for _ in range(STARTS):
        before = len(read(file))
        why = attend(command, file, patience)
        if not why:
            return
        rows = Rows(file)
        lost = begun(rows.known)
        if lost is not None:
            rows.note(row=lost[0], of=lost[1], cells=[], failed=why)
        elif len(rows.known) == before:  # it died before its first row, and would again
            break
    rows.table(heading, [""])
    rows.note(row="the section itself", of=heading, cells=[], failed=f"not done to its end: {why}")


def attend(command: Sequence[str], file: Path, patience: float, look: float = 0.2) -> str:
    """Run a process until it ends, or until its file has not grown for so many seconds; why it failed, if it did.

    Data sets that it decodes stay out of the user's cache.
    """
    process = subprocess.Popen(command, env=os.environ | {"DECOCT_STORE": str(file.parent / "store")})
    size, since = -1, time.monotonic()
    while process.poll() is None:
        time.sleep(look)
        if (now := file.stat().st_size if file.is_file() else 0) != size:
            size, since = now, time.monotonic()
        if time.monotonic() - since > patience:
            process.kill()
            process.wait()
            return f"it was ended after {patience / 60:.0f} minutes without a word"
    code = process.returncode
    return "" if code == 0 else f"its process died of signal {-code}" if code < 0 else f"its process ended with {code}"


def page(options: argparse.Namespace, took: dict[str, float], seconds: float) -> str:
    """The page, of the sections that are done."""
    dry = options.device == "cpu"
    parts = ["# GPU check\n"]
    if dry:
        parts.append(
            "**This was a dry run on a CPU: it shows that the script works, and no figure on this page is a GPU's.** "
            "Streams, pinned copies, autocast on CUDA, TF32 and the memory of a GPU are not to be seen here: "
            "`make gpu-check` on a machine with a GPU replaces this page. Where float32 is said to be without TF32, "
            "the second device was the same CPU without oneDNN's kernels, so that rounding differs.\n"
        )
    failed = [(name, *each) for name in took for each in failures(read(options.keep / f"{name}.jsonl"))]
    words = "`make gpu-check`" if options.device == "cuda" else f'`make gpu-check ARGS="--device {options.device}"`'
    left = [SECTIONS[name][0] for name in options.only if name not in took]
    missing = f" It has not come to: {', '.join(left)}." if left else ""
    parts.append(
        f"Made by {words} in {seconds / 60:.1f} minutes (guide: {options.minutes:g} on an H100). "
        f"{len(failed)} of {sum(count(options, name) for name in took)} rows failed: see [the end](#what-failed)."
        f"{missing}\n"
    )
    for name, span in took.items():
        parts.append(f"## {SECTIONS[name][0]}\n\n{markdown(read(options.keep / f'{name}.jsonl'))}\n{span:.0f} s.\n")
    lines = [f"- {SECTIONS[name][0]}. {table}: {row}: {why}" for name, table, row, why in failed]
    parts.append("## What failed\n\n" + ("\n".join(lines) if lines else "Nothing.") + "\n")
    return "\n".join(parts)


def count(options: argparse.Namespace, name: str) -> int:
    """Rows of a section."""
    return sum("row" in entry for entry in read(options.keep / f"{name}.jsonl"))


if __name__ == "__main__":
    main()
