"""Run benchmarks and put their tables into ``docs/results/bench.md``; tables that are not remade stay.

python benchmarks train loader startup page
"""

import argparse
import datetime
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE.parent / "docs" / "results" / "bench.md"
SCRATCH = HERE.parent / "runs" / "bench"  # what long ones leave to resume from
NAMES = [
    "train",
    "loader",
    "startup",
    "page",
    "roofline",
    "demo",
    "sre2l",
    "decoupled",
    "graphs",
    "labels",
    "layers",
    "products",
    "selection",
    "metrics",
    "matching",
    "modes",
    "memory",
    "scheduling",
    "kills",
    "plan",
]
HEAD = (
    "# Benchmarks\n\n`make bench` makes the sections train, loader, startup, page and roofline, `make bench-long` the "
    "others as well but memory, which needs 45 GB of disk: `python benchmarks memory`. What a GPU makes of decoct is "
    "[a page of its own](gpu.md), by `make gpu-check`.\n"
)


def measure(name: str) -> str:
    """A benchmark's section: what was run, where, and its table."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([sys.executable, HERE / f"{name}.py"], cwd=SCRATCH, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"benchmark {name} failed")
    return f"## {name}\n\n`python benchmarks/{name}.py` on {machine()}.\n\n{done.stdout.strip()}\n"


def machine() -> str:
    """Processor, cores, torch, day."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (
        f"{models[0] if models else 'CPU'}, {os.cpu_count()} cores, torch {version('torch')}, {datetime.date.today()}"
    )


def sections(text: str) -> dict[str, str]:
    """Sections by name."""
    return {part.split()[1]: part for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="+", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    for name in arguments.parse_args().names:
        section = measure(name)
        print(section, flush=True)
        known = sections(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
        known[name] = section
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        kept = [known[each].strip() + "\n" for each in NAMES if each in known]
        RESULTS.write_text("\n".join([HEAD, *kept]), "utf-8")


if __name__ == "__main__":
    main()
