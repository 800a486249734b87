"""How long a user waits before anything happens: ``decoct --help``, ``decoct ls``, a finished study run again.

python benchmarks/startup.py --runs 9
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from yardstick import table

STUDY = """
name = "startup"
budgets = [{ipc = 1}, {ipc = 10}]
condensers = ["random", "herding"]
teachers = [{net = "convnet2_bn", epochs = 1}]
replicates = {condense = 2}
protocols = [{name = "erm", steps = 5}]
metrics = {names = []}
"""


def decoct(*words: str, store: Path) -> float:
    """Seconds of a ``decoct`` command."""
    environment = os.environ | {"DECOCT_STORE": str(store)}
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "decoct", *words], env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"decoct {' '.join(words)} failed:\n{done.stderr}")
    return seconds


def cells(out: Path) -> dict[Path, int]:
    """Every file of a run's store, with the time it was written."""
    return {path: path.stat().st_mtime_ns for path in (out / "store").rglob("*") if path.is_file()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=9)
    options = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        study, out, store = Path(folder, "study.toml"), Path(folder, "out"), Path(folder, "store")
        study.write_text(STUDY, "utf-8")
        again = ("run", str(study), "--out", str(out), "--workers", "1")
        decoct(*again, store=store)
        before = cells(out)
        for words, target in ((("--help",), 0.5), (("ls",), 0.5), (again, 3.0)):
            seconds = [decoct(*words, store=store) for _ in range(options.runs)]
            name = "decoct run, finished study" if words == again else f"decoct {words[0]}"
            rows.append([f"`{name}`", f"{median(seconds):.2f}", f"{max(seconds):.2f}", f"< {target:g}"])
        if cells(out) != before:
            sys.exit("a finished study, run again, wrote to its store")
    print(f"Medians of {options.runs} runs; the study's store stayed as it was.\n")
    print(table(["command", "median, s", "slowest, s", "target, s"], rows))


if __name__ == "__main__":
    main()
