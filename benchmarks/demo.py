"""How long the built-in study takes, as ``make demo`` runs it, and until its first accuracy: from nothing, and again.

python benchmarks/demo.py
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from yardstick import table


def timed(out: Path, store: Path) -> tuple[float, float | None]:
    """Seconds of a run, and until its first accuracy was told, which a run with nothing to do has none of."""
    start, first = time.perf_counter(), None
    words = [sys.executable, "-m", "decoct", "run", "--out", str(out)]
    environment = os.environ | {"DECOCT_STORE": str(store)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if first is None and "the first of" in line:
                first = time.perf_counter() - start
    if run.returncode:
        sys.exit("decoct run failed")
    return time.perf_counter() - start, first


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        out, store = Path(folder, "out"), Path(folder, "store")
        for name, target in (("from nothing", "≤ 180"), ("again", "< 3")):
            seconds, first = timed(out, store)
            rows += [[name, f"{seconds:.1f}", target]]
            rows += [["from nothing, to its first accuracy", f"{first:.1f}", "≤ 20"]] if first is not None else []
    load = os.getloadavg()
    print(f"Load average after it, over 1, 5 and 15 minutes: {', '.join(f'{x:.1f}' for x in load)}.\n")
    print(table(["`decoct run`, the built-in study", "seconds", "target, s"], rows))


if __name__ == "__main__":
    main()
