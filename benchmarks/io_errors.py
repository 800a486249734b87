"""A study whose n-th write fails, for every n: it is told in a line, and the next run ends as if it never had.

    python benchmarks/io_errors.py                  # every n; or --every 40, and fewer --methods
    python benchmarks/io_errors.py --every 2 & python benchmarks/io_errors.py --every 2 --start 2    # on two cores

A library before the C library (io_errors.c, made by ``cc``) counts the calls that write below the run's folder (open to
create, write, fsync, rename, link, mkdir and their kin), of Python, NumPy, Arrow and safetensors alike. *Once*: call n
fails with EIO. *Full*: from call n on all fail with ENOSPC, as on a disk that is full, and is emptied later. Then the
same study goes on. A run that says that all is well must have everything at once. All files but ``measured.json`` are
held against those of a run without a failure, byte for byte.
"""

import argparse
import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from decoct.core.errors import DecoctError
from decoct.report.write import write_report
from decoct.study.run import run
from decoct.study.study import Study
from kills import differences
from preload import made
from yardstick import table

METHODS = [
    "random",
    {"name": "el2n", "net": "convnet1_w8", "epochs": 3, "runs": 1},
    {"name": "k_center", "extractor": "convnet2_bn"},
    {"name": "sre2l", "iterations": 2},
]
STUDY = {
    "name": "io_errors",
    "data": {"name": "digits", "val_fraction": 0.9},
    "students": ["convnet1_w8"],
    "budgets": [{"ipc": 1}],
    "replicates": {"condense": 1},
    "ceiling": False,
    "metrics": {"names": ["prdc", "cost"], "extractors": ["teacher"], "draws": 2, "resamples": 0},
    "protocols": [{"name": "erm", "steps": 2}, {"name": "single_teacher", "steps": 2}],
    "teachers": [{"net": "convnet2_bn", "epochs": 1}],
}
SHIM, ENDLESS = "DECOCT_IO_ERRORS", 2**62
MODES = {"once": (errno.EIO, False), "full": (errno.ENOSPC, True)}


@dataclass
class Calls:
    """The library that counts and fails."""

    library: ctypes.CDLL = field(default_factory=lambda: ctypes.CDLL(os.environ[SHIM]))

    def set(self, folder: Path, n: int = 0, mode: str = "once") -> None:
        """Count from now on; call n fails, or all from n on; 0 for none."""
        code, on = MODES[mode]
        last = ENDLESS if on else n
        self.library.io_errors_set(os.fsencode(folder), ctypes.c_long(n), ctypes.c_long(last), ctypes.c_int(code))

    def seen(self) -> int:
        """Calls since then."""
        self.library.io_errors_seen.restype = ctypes.c_long
        return int(self.library.io_errors_seen())


def attempt(study: Study, out: Path) -> str:
    """Run and report: "" where it says that all is well, or what it says in one line.

    Raises:
        Exception: what no user should meet.
    """
    try:
        failures = run(study, out)
        if not failures:
            write_report(out)
    except (DecoctError, OSError) as error:
        return str(error) or repr(error)
    return "; ".join(failures.values())


def tried(calls: Calls, study: Study, folder: Path, whole: Path, n: int, mode: str) -> tuple[str, list[str]]:
    """What is said of a failing n-th call, and what is wrong with it."""
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    calls.set(out, n, mode)
    wrong = []
    try:
        said = attempt(study, out)
    except BaseException:
        said = "unforeseen"
        wrong.append(f"unforeseen: {traceback.format_exc(limit=-4)}")
    finally:
        calls.set(Path("/nowhere"))
    if not said:
        wrong += [f"it said that all is well, but {line}" for line in differences(out, whole)]
    if again := attempt(study, out):
        wrong.append(f"the next run fails: {again}")
    else:
        wrong += differences(out, whole)
    return said, [f"{mode}, call {n}: {line}" for line in wrong]


def preloaded(arguments: list[str]) -> int:
    """Make the library, and run this program anew behind it."""
    with tempfile.TemporaryDirectory() as folder:
        library = str(made("io_errors", Path(folder)))
        environment = os.environ | {"LD_PRELOAD": library, SHIM: library, "OMP_NUM_THREADS": "1"}
        return subprocess.run([sys.executable, __file__, *arguments], env=environment).returncode


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--every", type=int, default=1, help="only every so many-th call")
    asked.add_argument("--start", type=int, default=1, help="the first of these")
    asked.add_argument("--methods", type=int, default=len(METHODS), help="only the first so many")
    given = asked.parse_args()
    if SHIM not in os.environ:
        sys.exit(preloaded(sys.argv[1:]))
    calls, start, found = Calls(), time.monotonic(), []
    counted: dict[str, Counter[str]] = {mode: Counter() for mode in MODES}
    with tempfile.TemporaryDirectory() as scratch:
        folder, whole = Path(scratch), Path(scratch, "whole")
        calls.set(whole)
        study = Study.from_dict(STUDY | {"condensers": METHODS[: given.methods]})
        if said := attempt(study, whole):
            sys.exit(said)
        total = calls.seen()
        for mode in MODES:
            for n in range(given.start, total + 1, given.every):
                said, wrong = tried(calls, study, folder, whole, n, mode)
                found += wrong
                kind = "unforeseen" if said == "unforeseen" else "told" if said else "did without"
                counted[mode][kind] += 1
                for line in wrong:
                    print(line, file=sys.stderr, flush=True)
    kinds = ("told", "did without", "unforeseen")
    minutes = (time.monotonic() - start) / 60
    print(f"{total:,} calls that write; every {given.every} from {given.start}; {minutes:.0f} min\n")
    print(table(["", *kinds], [[mode, *(str(each[kind]) for kind in kinds)] for mode, each in counted.items()]))
    sys.exit(f"\n{len(found)} wrong" if found else 0)


if __name__ == "__main__":
    main()
