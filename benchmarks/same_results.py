"""Whether two checkouts give the same results, byte for byte: minutes, and exit status 1 where they do not.

    python benchmarks/same_results.py ../before                  # beside this checkout
    python benchmarks/same_results.py ../before ../after --only 'mtt' --only 'dat*' --json differences.json

Each checkout runs, at the same time and with one worker and one thread: ``builtin``, the study that needs no file;
``digits``, a set of every method, cut down, with a student under every protocol and every metric; ``colours``, the
same on pictures of three uneven classes, with stored labels and an external set; ``bfloat16``, a student;
and ``commands``, one after the other. ``--only`` takes names of these and of methods.

Cells are found by what ``run.json`` says of them, not by their keys, which may change. Arrays, readings and all other
files are compared but for what was measured (seconds, memory), keys and digests. Where the fields of a method changed
that ``condensed.json`` repeats, or only the new checkout has a method, that is told as a note and is no difference.
Only commands and files are used, so the two may be laid out differently. Both run on the CPU, with the libraries of
the Python that runs this file.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from safetensors.numpy import load_file

from same_studies import write_studies

HERE = Path(__file__).resolve().parent
PARTS = ("builtin", "digits", "colours", "bfloat16", "commands")
SMALL = ("digits", "colours")  # those of every method
MEASURED = re.compile(r"(.+_)?seconds|around|energy|peak_memory|device|hardware|host|versions")
COLUMNS = ("equal", "differ", "only old", "only new", "neither", "other key")  # of the table: how many cells
CPU = ("--device", "cpu")
MOST = 40  # lines that are printed of each
WRITTEN = ("cell.json", "measured.json")  # of each cell, what says what it is and what it took
KNOWN = ("methods", "protocols", "metrics")
HEX = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{32})\b")  # keys of cells, and digests
NOTE = ".provenance.spec"  # which fields a method has is not what it gives
COMMANDS = {
    "condense": "condense dm --ipc 2 --set net=convnet2_w8 --set iterations=3 --set batch=9 --out commands/set",
    "train": "train commands/set --protocol dc --set steps=5 --student convnet2_w8 --seeds 1,2",
    "teach": "teach convnet2_w8 --set epochs=1 --out commands/teacher",
    "measure": "measure commands/set --metric prdc --metric kid --extractor convnet2_bn --draws 2 --resamples 2",
    "relabel": "relabel commands/set --protocol single_teacher --out commands/labels",
}


class Checkout:
    """One side: runs commands of its decoct, with a store of its own, and keeps what came out in a folder."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.source, self.folder = root.resolve() / "src", folder
        folder.mkdir()

    def decoct(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the checkout, and of no other decoct that is installed."""
        own = {"PYTHONPATH": str(self.source), "OMP_NUM_THREADS": "1", "DECOCT_STORE": str(self.folder / "cache")}
        start = "import sys, decoct, decoct.cli as c; assert decoct.__file__.startswith(sys.argv.pop(1)); c.main()"
        line = [sys.executable, "-c", start, str(self.source), *words]
        return subprocess.run(line, cwd=self.folder, env=os.environ | own, capture_output=True, text=True)

    def told(self, *words: str) -> Any:
        """The JSON that a command prints."""
        done = self.decoct(*words, "--json")
        if done.returncode:
            sys.exit(f"decoct {' '.join(words)} of {self.source} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout)

    def known(self) -> dict[str, list[str]]:
        """The methods, protocols and metrics that it lists."""
        return {what: list(self.told("ls", what)[what]) for what in KNOWN}

    def run(self, part: str) -> None:
        """One part, into a folder of its name."""
        (self.folder / part).mkdir()
        if part != "commands":
            study = [] if part == "builtin" else [str(self.folder.parent / f"{part}.toml")]
            done = self.decoct("run", *study, "--out", part, "--workers", "1", *CPU)
            if done.returncode:  # what is there is compared all the same, if anything is
                print(f"decoct run of {part} in {self.source} failed:\n{done.stderr[-3000:]}", file=sys.stderr)
            return
        for name, words in COMMANDS.items():
            said = self.told(*words.split(), *CPU)
            (self.folder / part / f"{name}.json").write_text(json.dumps(said), "utf-8")

    def cells(self, part: str) -> dict[str, tuple[str, dict[str, Path]]]:
        """Key and files of what a part made, by what it is; no files where a job left no cell."""
        run = self.folder / part
        if part == "commands":
            return {f"command {path.name}": ("", files(path)) for path in sorted(run.iterdir())}
        folders = {path.parent.name: path.parent for path in run.rglob("cell.json")}
        made = {"tables": ("", {path.name: path for path in run.glob("*.parquet")})}
        manifest = run / "run.json"
        for job in json.loads(manifest.read_text("utf-8"))["jobs"] if manifest.is_file() else ():
            name = " ".join([job["kind"], *(str(job["labels"][label]) for label in sorted(job["labels"]))])
            while name in made:
                name += " again"
            made[name] = job["key"], files(folders.get(job["key"]))
            cell = json.loads((folders[job["key"]] / "cell.json").read_text("utf-8")) if made[name][1] else {}
            shards = {role: key for role, key in cell.get("inputs", {}).items() if role.startswith("shard:")}
            made |= {f"shard of {name}, {role}": (key, files(folders.get(key))) for role, key in shards.items()}
        return made

    def content(self, path: Path | None, names: dict[str, str]) -> dict[str, Any]:
        """What a file holds, by place, but for what was measured; ``names`` says what cells are called, by key."""
        if path is None:
            return {}
        match path.suffix:
            case ".npy":
                return {"array": np.load(path)}
            case ".safetensors":
                return dict(load_file(path))
            case ".json":
                text = path.read_text("utf-8").replace(str(self.folder), "")
                return dict(leaves(json.loads(HEX.sub(lambda key: names.get(key[0], "#"), text))))
            case ".parquet":
                rows = [row for row in pq.read_table(path).to_pylist() if not measured(row)]
                return dict(leaves([{name: each for name, each in row.items() if name != "key"} for row in rows]))
        return {"bytes": path.read_bytes()}


def measured(value: Any) -> bool:
    """Whether it is a row of a reading that a clock or the system gave."""
    return isinstance(value, dict) and bool(MEASURED.fullmatch(str(value.get("metric", ""))))


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """What JSON holds, by place, without what was measured."""
    if isinstance(value, dict):
        for name, each in value.items():
            if not MEASURED.fullmatch(name):
                yield from leaves(each, f"{at}.{name}")
    elif isinstance(value, list):
        for i, each in enumerate(each for each in value if not measured(each)):
            yield from leaves(each, f"{at}[{i}]")
    else:
        yield at, value


def difference(old: Any, new: Any) -> tuple[float, str] | None:
    """How far two values are apart, and in words; None where they are the same to the bit."""
    a, b = np.asarray(old), np.asarray(new)
    alike = (a.dtype, a.shape) == (b.dtype, b.shape)
    if (alike and a.dtype != object and a.tobytes() == b.tobytes()) or (a.dtype == object and repr(old) == repr(new)):
        return None
    if not alike or a.dtype.kind not in "biuf":
        return np.inf, f"{shown(old)} is now {shown(new)}"
    with np.errstate(invalid="ignore"):
        far = np.nan_to_num(np.abs(a.astype(np.float64) - b.astype(np.float64)), nan=np.inf)
    far = np.where((a == b) | ((a != a) & (b != b)), 0, far)
    number = f"{np.count_nonzero(far)} of {a.size} numbers" if a.ndim else f"{shown(old)} is now {shown(new)}"
    return float(np.max(far)), f"{number}, by up to {np.max(far):.3g}"


def shown(value: Any) -> str:
    """A value in a line: of an array its shape, of bytes how many."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return f"{len(value)} bytes" if isinstance(value, bytes) else repr(value)[:60]


def compared(old: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where the contents of two files are farthest apart, and how: among the notes, and in all else."""
    nothing = "nothing"
    apart = [(at, *far) for at in {**old, **new} if (far := difference(old.get(at, nothing), new.get(at, nothing)))]
    for some in ([each for each in apart if (NOTE in each[0]) == note] for note in (True, False)):
        if some:
            at, _, words = max(some, key=lambda each: each[1])
            yield at, words + f", and {len(some) - 1} more" * (len(some) > 1)


def files(folder: Path | None) -> dict[str, Path]:
    """Those of a cell or a set that hold results, by path; of a file itself; none of None."""
    if folder is None or folder.is_file():
        return {folder.name: folder} if folder else {}
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths if path.name not in WRITTEN}


def compare(part: str, old: Checkout, new: Checkout) -> tuple[dict[str, Counter[str]], list[str], list[str]]:
    """What became of the cells of a part: counts by kind, what differs, and what is but a note."""
    (before, after), faults, notes = (side.cells(part) for side in (old, new)), [], []
    names = [{key: name for name, (key, _) in side.items()} for side in (before, after)]
    counts: dict[str, Counter[str]] = {}
    for name in {**before, **after}:
        (key, olds), (new_key, news) = before.get(name, ("", {})), after.get(name, ("", {}))
        count, wrong = counts.setdefault(name.split()[0], Counter()), []
        count["other key"] += bool(key and new_key and key != new_key)
        if not olds or not news:
            which = "only old" if olds else "only new" if news else "neither"
            count[which] += 1
            faults.append(f"{part}: {name}: {which}")
            continue
        for file in {**olds, **news}:
            contents = old.content(olds.get(file), names[0]), new.content(news.get(file), names[1])
            for at, words in compared(*contents):
                (notes if NOTE in at else wrong).append(f"{part}: {name}: {file} {at}: {words}")
        count["differ" if wrong else "equal"] += 1
        faults += wrong
    return counts, faults, notes


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("old", type=Path, metavar="OLD_CHECKOUT")
    arguments.add_argument("new", type=Path, metavar="NEW_CHECKOUT", nargs="?", default=HERE.parent)
    arguments.add_argument("--only", action="append", metavar="GLOB", default=[], help="parts and methods")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="where to write all that was found")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="same-results-") as place, ThreadPoolExecutor(2) as pool:
        old, new = sides = [Checkout(getattr(options, name), Path(place, name)) for name in ("old", "new")]
        (known, also), faults, notes = pool.map(Checkout.known, sides), [], []
        for what in KNOWN:
            faults += [f"{what}: {name}: only old" for name in known[what] if name not in also[what]]
            notes += [f"{what}: {name}: only new" for name in also[what] if name not in known[what]]
            known[what] = [name for name in known[what] if name in also[what]]
        globs = options.only or ["*"]
        wanted = {name for name in (*PARTS, *known["methods"]) if any(fnmatch(name, glob) for glob in globs)}
        if not wanted:
            sys.exit(f"--only {' '.join(globs)}: neither a part ({', '.join(PARTS)}) nor a method")
        methods = [name for name in known["methods"] if name in wanted]
        parts = [part for part in PARTS if part in wanted or (methods and part in SMALL)]
        known["methods"] = methods or known["methods"]
        write_studies(Path(place), known)
        rows = []
        for part in parts:
            print(part, file=sys.stderr)
            list(pool.map(Checkout.run, sides, [part, part]))
            counts, wrong, told = compare(part, old, new)
            rows += [[part, kind, *(count[column] for column in COLUMNS)] for kind, count in counts.items()]
            faults, notes = faults + wrong, notes + told
    for row in (["part", "cells", *COLUMNS], *rows):
        print("".join(f"{each!s:>11}" for each in row))
    for title, lines in (("differences", faults), ("notes, which are no differences of results", notes)):
        print(f"\n{len(lines)} {title}", *lines[:MOST], *["…"] * (len(lines) > MOST), sep="\n- ")
    if options.json:
        found = {"cells": [dict(zip(("part", "kind", *COLUMNS), row, strict=True)) for row in rows]}
        options.json.write_text(json.dumps(found | {"differences": faults, "notes": notes}, indent=1) + "\n", "utf-8")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
