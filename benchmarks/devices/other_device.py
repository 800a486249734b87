"""Jobs of decoct on another device that computes, beside the CPU: how far are the numbers apart?

    python3.11 -m venv .venv-xla && . .venv-xla/bin/activate
    pip install torch==2.9.1 torchvision==0.24.1 torch_xla==2.9.0 --editable '.[diffusion]'
    python benchmarks/devices/other_device.py xla

The device "xla" is torch_xla's CPU: XLA compiles each operation by itself, with arithmetic of its own, and its tensors
lie on a device of their own. "meta" is the stand-in of ``elsewhere.py``, which computes with the CPU's kernels. Every
job of ``jobs.py`` at 16 px gets the inputs that the CPU made. It goes on after a failure, writes a section of
``docs/results/devices.md``, and leaves with 1 if any failed. What was done in a folder is not
done again.
"""

import argparse
import datetime
import json
import os
import platform
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

SIZE = 16
FIRST = (  # jobs that are done before the others: each family, each protocol, each need
    r"method (sre2l|edc|fadrm|rded|dm|dc|mtt|mgd3|d4m_class|craig|cal) ",
    r"^train ",
    r"^(teacher|statistics|features|generator|dynamics|trajectory|labels|measure|reference) ",
)
REPLACED = {
    "`torch.inference_mode`": "XLA's tensors cannot be of it: `torch.no_grad`",
    "fused steps of SGD and AdamW": "XLA has none: those of torch in single operations",
    "average pooling of one pixel": "in ceil mode torch_xla leaves no pixel, torch that pixel: it stays",
    "whole graphs": "torch_xla's eager mode, an operation at a time, since each new graph would be compiled anew",
}


def start_xla() -> str:
    """Make the device "xla" that of torch_xla's CPU, before decoct is imported.

    Returns:
        Its version.
    """
    os.environ["PJRT_DEVICE"] = "CPU"
    import torch_xla  # type: ignore[import-not-found]

    torch_xla.experimental.eager_mode(True)
    torch_xla.device()  # before the autograd engine counts the devices there are
    torch.inference_mode = lambda mode=True: torch.no_grad() if mode else nullcontext()  # type: ignore[assignment]
    pool = torch.nn.functional.avg_pool2d
    torch.nn.functional.avg_pool2d = lambda x, *given: x if x.shape[-2:] == (1, 1) else pool(x, *given)
    for kind in (torch.optim.SGD, torch.optim.AdamW):

        def plain(self: Any, *given: Any, usual: Any = kind.__init__, fused: Any = None, **named: Any) -> None:
            usual(self, *given, **named)

        kind.__init__ = plain  # type: ignore[method-assign]
    return f"torch_xla {torch_xla.__version__}"


def numbers(folder: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """The numbers of a cell by file and name."""
    from devices.jobs import MEASURED, content

    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in MEASURED]
    kinds = (".safetensors", ".npy", ".json")
    return {path.relative_to(folder).as_posix(): content(path) for path in files if path.suffix in kinds}


def apart(expected: Path, found: Path) -> dict[str, float]:
    """How far two cells are apart: of images, picks, facts (numbers in JSON) and arrays, what there is.

    Images: the largest and the mean distance, of 255. Picks: how many differ. Facts and arrays: the largest distance,
    relative to the number, or to the largest of the array.
    """
    far: dict[str, float] = {}
    want, got = numbers(expected), numbers(found)
    if {file: set(each) for file, each in want.items()} != {file: set(each) for file, each in got.items()}:
        raise ValueError("the cell has other files or names than the CPU's")
    for file, each in want.items():
        for name, a in each.items():
            x, y = np.asarray(a, np.float64), np.asarray(got[file][name], np.float64)
            if x.shape != y.shape or not np.array_equal(np.isnan(x), np.isnan(y)):
                raise ValueError(f"{file} has other shapes, or other numbers that are none, in '{name}'")
            by = np.nan_to_num(np.abs(x - y))
            if file == "condensed.safetensors" and name == "images":
                scale = 1 if np.asarray(a).dtype == np.uint8 else 255
                far |= {"largest": float(by.max() * scale), "mean": float(by.mean() * scale)}
            elif file == "condensed.safetensors" and name == "indices":
                far["picks"] = float((x != y).sum())
            elif x.size:
                kind = "facts" if file.endswith(".json") else "arrays"
                relative = float(by.max() / max(1e-12, np.nanmax(np.abs(x)))) if by.any() else 0.0
                far[kind] = max(far.get(kind, 0.0), relative)
    return far


def cells_of(job: str, far: Mapping[str, Any]) -> list[str]:
    """A row of the table."""

    def said(name: str, form: str = ".1e") -> str:
        return "" if name not in far else "0" if far[name] == 0 else format(far[name], form)

    if "failed" in far:
        return [job, far["failed"].replace("|", "/"), *[""] * 4]
    images = f"{said('largest', '.3g')}, {said('mean', '.2g')}" if "largest" in far else ""
    picks = ("equal" if not far["picks"] else f"{far['picks']:.0f} differ") if "picks" in far else ""
    return [job, "ok", images, picks, said("facts"), said("arrays")]


def section(rows: Mapping[str, Mapping[str, Any]], device: str, what: str, left: int) -> str:
    """The text of the page."""
    from yardstick import table

    head = ["job", device, "images: largest, mean, of 255", "picks", "facts", "arrays"]
    failed = sum("failed" in far for far in rows.values())
    text = (
        f"`python benchmarks/devices/other_device.py {device}`: torch {torch.__version__}, {what}, Python "
        f"{platform.python_version()}, {datetime.date.today()}, at {SIZE} px, in float32. Each job gets the inputs "
        f"that the CPU made. Of {len(rows)} jobs {failed} failed{f'; {left} were not tried' if left else ''}. Facts "
        "are losses, accuracies and readings: their largest distance, relative to the number. That of arrays, such as "
        "weights and labels, is relative to the largest number of the array. Teachers' largest are biases ahead of a "
        "batch norm, whose gradient is rounding alone, of which AdamW makes whole steps, and what follows from them in "
        "the norms. A loss on soft labels of 10⁻⁴ is a difference of logarithms: rounding of 10⁻⁷ shows as 10⁻³ there."
    )
    replaced = "What is replaced:\n\n" + "\n".join(f"- {name}: {how}." for name, how in REPLACED.items())
    same = [name for name, far in rows.items() if "failed" not in far and not any(far.values())]
    equal = f"Equal in every number, {len(same)} jobs: {', '.join(map(short, same))}."
    others = [cells_of(short(name), far) for name, far in rows.items() if name not in same]
    parts = [text, *([replaced] if device == "xla" else []), equal, table(head, others)]
    return "\n\n".join(parts)


def short(name: str) -> str:
    """A job's name without what is the same in all."""
    return re.sub(r" · (budget ipc.2|condense 0|train 0)|^condense · method |(?<=train · )method random · ", "", name)


def main() -> None:
    """Do the jobs, print, write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("device", nargs="?", default="xla", choices=("xla", "meta"))
    parser.add_argument("--folder", type=Path, help="of the stores; a temporary one if left out")
    parser.add_argument("--only", default="", help="a regular expression that is found in the names of jobs to do")
    parser.add_argument("--minutes", type=float, default=600.0, help="no job is begun after so many")
    given, start = parser.parse_args(), time.monotonic()
    what = start_xla() if given.device == "xla" else "the stand-in with the CPU's kernels"
    from devices.elsewhere import elsewhere
    from devices.jobs import Trial, pictures, plan
    from devices.page import put

    with ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        jobs = list(plan(pictures(folder, SIZE)).jobs.values())
        trial = Trial(jobs, folder)
        trial.expected()
        kept = folder / f"{given.device}.json"
        rows = json.loads(kept.read_text("utf-8")) if kept.is_file() else {}
        for job in sorted(jobs, key=lambda job: next((i for i, at in enumerate(FIRST) if re.search(at, str(job))), 9)):
            done = str(job) in rows and "failed" not in rows[str(job)]
            if done or not re.search(given.only, str(job)) or time.monotonic() - start > 60 * given.minutes:
                continue
            before = time.monotonic()
            try:
                with warnings.catch_warnings(), elsewhere() if given.device == "meta" else nullcontext():
                    warnings.simplefilter("ignore")
                    found, _ = trial.make(job, given.device)
                rows[str(job)] = apart(trial.store("cpu").path(job.kind, job.key), found)
            except Exception as error:
                rows[str(job)] = {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
                if given.only:
                    traceback.print_exc()
            print(f"{time.monotonic() - before:6.1f} s  {job}  {rows[str(job)]}", flush=True)
            kept.write_text(json.dumps(rows, indent=1), "utf-8")
        if not given.only:
            known = {str(job): rows[str(job)] for job in jobs if str(job) in rows}
            put("Another device that computes", section(known, given.device, what, len(jobs) - len(known)))
    sys.exit(any("failed" in far for far in rows.values()))


if __name__ == "__main__":
    main()
