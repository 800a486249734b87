"""Every reader on damaged and made-up files: each is read, or refused in a line, soon and in little memory.

python benchmarks/fuzz.py --cases 10000 --seed 0 [READER …]

Cases are drawn by hypothesis: a valid file with bytes changed, cut, doubled or moved, its JSON with values replaced, or
nonsense of the right form. They are read in a process of its own that gets at most ``MEMORY`` bytes and ``SECONDS`` for
each; one that dies is told, and the file that it died of is kept. Whatever is raised but a DecoctError is a finding.
What the libraries of a CUDA build map when they are loaded, gigabytes that nobody touches, comes on top.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

MEMORY, SECONDS = 4 * 2**30, 10
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**32 - 1, 2**63 - 1)
WORDS = st.sampled_from(
    ["", "random", "digits", "../..", "/etc/passwd", "a\0b", "~nobody/x", "=1", "\ud800", "9" * 5000]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


class HangError(BaseException):
    """A case that took longer than ``SECONDS``; no ``except Exception`` keeps it."""


@dataclass(frozen=True)
class Reader:
    """What is fed, and with what.

    Attributes:
        name: of the file that is written.
        valid: contents that are read without an error.
        read: the reader, called with the file's path.
        text: whether cases are also JSON with values replaced; "toml" writes them as such.
    """

    name: str
    valid: tuple[bytes, ...]
    read: Callable[[Path], Any]
    text: str = ""


@st.composite
def damaged(draw: st.DrawFn, valid: tuple[bytes, ...]) -> bytes:
    """A valid file after a few changes, or bytes that are none."""
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(0, min(64, len(data))))
        match draw(st.sampled_from(["flip", "cut", "end", "double", "number", "bytes", "move"])):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + length]
            case "end":
                del data[at:]
            case "double":
                data[at:at] = data[at : at + length]
            case "number":
                size = draw(st.sampled_from([1, 2, 4, 8]))
                number = draw(st.sampled_from(NUMBERS)) % 256**size
                data[at : at + size] = number.to_bytes(size, draw(st.sampled_from(["little", "big"])))
            case "bytes":
                data[at:at] = draw(st.binary(max_size=16))
            case _:
                data[at : at + length] = draw(st.sampled_from(valid))[at : at + length]
    return bytes(data)


def replaced(value: Any, draw: st.DrawFn) -> Any:
    """A JSON value with one of its parts replaced, left out or named otherwise."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        rest = {key: each for key, each in value.items() if key != name}
        return rest if not draw(st.integers(0, 5)) else rest | {name: replaced(value[name], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], replaced(value[at], draw), *value[at + 1 :]]
    return draw(ANYTHING)


@st.composite
def reworded(draw: st.DrawFn, reader: Reader) -> bytes:
    """A valid text with values replaced."""
    if reader.text == "toml":
        import tomllib

        value = replaced(tomllib.loads(draw(st.sampled_from(reader.valid)).decode()), draw)
        table = value if isinstance(value, dict) else {"name": value}
        return "\n".join(f"{json.dumps(key)} = {as_toml(each)}" for key, each in table.items()).encode(errors="replace")
    return json.dumps(replaced(json.loads(draw(st.sampled_from(reader.valid))), draw)).encode()


def as_toml(value: Any) -> str:
    """A JSON value in one line of TOML; null, which it lacks, as an empty text."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {as_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    if (isinstance(value, float) and value != value) or value in (float("inf"), -float("inf")):
        return str(value)
    return '""' if value is None else json.dumps(value)


def fuzz(reader: Reader, folder: Path, cases: int, root: int) -> dict[str, Any]:
    """Feed one reader; how many cases it took and refused, and what else it raised, by place."""
    from decoct.core.errors import DecoctError

    counts, found, path = Counter[str](), dict[str, str](), folder / reader.name
    how = damaged(reader.valid)

    @seed(root)
    @settings(
        max_examples=cases, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=[*HealthCheck]
    )
    @given(st.one_of(how, reworded(reader)) if reader.text else how)
    def feed(data: bytes) -> None:
        path.write_bytes(data)
        signal.alarm(SECONDS)
        try:
            reader.read(path)
            counts["read"] += 1
        except DecoctError as error:
            counts["refused"] += 1
            if not str(error).strip() or len(str(error).splitlines()) > 3:
                found.setdefault("a message of no line, or of more than three", str(error)[:2000])
        except (Exception, SystemExit, HangError) as error:
            own = [frame for frame in traceback.extract_tb(error.__traceback__) if "/decoct/" in frame.filename]
            where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
            what = f"{type(error).__name__} at {where}"
            if what not in found:
                found[what] = f"{str(error)[:300]}\n{''.join(traceback.format_exception(error)[-6:])[:3000]}"
                path.with_name(f"found-{len(found)}-{reader.name}").write_bytes(data)
        finally:
            signal.alarm(0)

    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for valid in reader.valid:  # or the fuzzing would not get far
            path.write_bytes(valid)
            reader.read(path)
        feed()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**counts, "found": found, "seconds": time.process_time() - begun, "peak": peak}


def inside(names: list[str], folder: Path, cases: int, root: int) -> None:
    """In the process of little memory: a line of JSON for each reader."""
    from fuzzed import readers

    def ring(*_: object) -> None:
        raise HangError

    known = readers(folder)
    signal.signal(signal.SIGALRM, ring)
    most = MEMORY if torch.version.cuda is None else MEMORY + psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for name in names or known:
        print(json.dumps({"reader": name, **fuzz(known[name], folder, cases, root)}), flush=True)


def run(names: list[str], cases: int, root: int, folder: Path) -> Iterator[dict[str, Any]]:
    """The result of each reader as it comes; where a process dies, what follows goes on in another one."""
    from fuzzed import NAMES

    left = names or list(NAMES)
    while left:
        words = [sys.executable, __file__, "--inside", str(folder), "--cases", str(cases), "--seed", str(root), *left]
        with (
            tempfile.TemporaryFile("w+") as said,
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said, text=True) as child,
        ):
            for line in child.stdout or ():
                left.pop(0)
                yield json.loads(line)
            if child.wait():
                said.seek(0)
                died = {"the process died": f"code {child.returncode}\n{said.read()[-3000:]}"}
                yield {"reader": left.pop(0), "found": died, "seconds": 0.0, "peak": 0.0}


def main() -> None:
    """Fuzz, and print the table; leave with 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        inside(asked.readers, asked.inside, asked.cases, asked.seed)
        return
    from yardstick import table

    folder = Path(tempfile.mkdtemp(prefix="decoct-fuzz-"))
    rows, results = [], []
    for each in run(asked.readers, asked.cases, asked.seed, folder):
        results.append(each)
        rows.append(
            [
                each["reader"],
                f"{each.get('read', 0) + each.get('refused', 0):,}",
                f"{each.get('read', 0):,}",
                f"{each.get('refused', 0):,}",
                str(len(each["found"])),
                f"{each['seconds']:.0f}",
                f"{each['peak']:,.0f}",
            ]
        )
        print(*rows[-1], sep="\t", file=sys.stderr, flush=True)  # of hours of work nothing is lost
    print(table(["reader", "cases", "read", "refused", "findings", "CPU seconds", "peak, MB"], rows))
    for each in results:
        for what, said in each["found"].items():
            print(f"\n{each['reader']}: {what}\n{said}\n(files in {folder})")
    sys.exit(any(each["found"] for each in results))


if __name__ == "__main__":
    main()
