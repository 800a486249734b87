"""How far control goes: frames and files of decoct behind the first step of a training, and what one set runs through.

    PYTHONPATH=src python benchmarks/hops.py

It drives the command line alone, so that it counts any checkout: put another one's ``src`` into PYTHONPATH.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch

import decoct
from decoct import cli
from decoct.core.spec import find

HOME = str(Path(decoct.__file__).parent)
STUDY = """
    name = "hops"
    data = {name = "digits"}
    students = ["convnet1_w8"]
    budgets = [{ipc = 1}]
    replicates = {condense = 1, train = 1}
    condensers = ["random"]
    protocols = [{name = "erm", steps = 2}]
    metrics = {extractors = ["teacher"], names = ["cost"], draws = 0}
"""


def command(*words: Any) -> None:
    """Run a command of decoct's in this process."""
    sys.argv = ["decoct", *map(str, words)]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise


def stack_at_first_step(act: Callable[[], None]) -> list[str]:
    """Files of decoct's frames when an optimiser takes its first step, the innermost first."""
    seen: list[str] = []
    steps = {cls: cls.step for cls in (torch.optim.AdamW, torch.optim.SGD)}

    def watched(step: Any) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            frame: FrameType | None = sys._getframe(1)
            while frame is not None and not stop:
                if (name := frame.f_code.co_filename).startswith(HOME):
                    seen.append(name)
                frame = frame.f_back
            stop.append(True)
            return step(self, *args, **kwargs)

        return call

    stop: list[bool] = []
    for cls, step in steps.items():
        cls.step = watched(step)  # type: ignore[method-assign]
    act()
    for cls, step in steps.items():
        cls.step = step  # type: ignore[method-assign]
    return seen


def run_through(method: str, act: Callable[[], None]) -> set[Any]:
    """Code of decoct that one construction runs through, generators and comprehensions left out."""
    codes: set[Any] = set()
    cls = find("condenser", method)
    call = next(base for base in cls.__mro__ if "__call__" in vars(base))
    own = call.__call__

    def profiled(self: Any, inputs: Any) -> Any:
        def look(frame: FrameType, event: str, _: Any) -> None:
            if event == "call" and frame.f_code.co_filename.startswith(HOME) and "<" not in frame.f_code.co_name:
                codes.add(frame.f_code)

        sys.setprofile(look)
        try:
            return own(self, inputs)
        finally:
            sys.setprofile(None)

    call.__call__ = profiled
    act()
    return codes


def main() -> None:
    """Count, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        command("condense", "random", "--data", "digits", "--ipc", 1, "--out", home / "set")
        (home / "hops.toml").write_text(STUDY)
        train = stack_at_first_step(lambda: command("train", home / "set", "--protocol", "erm", "--set", "steps=2"))
        run = stack_at_first_step(lambda: command("run", home / "hops.toml", "--workers", 1, "--out", home / "run"))
        one = ("condense", "sre2l", "--data", "digits", "--ipc", 1, "--set", "iterations=20", "--out", home / "sre2l")
        codes = run_through("sre2l", lambda: command(*one))
    print("| | frames or functions | files |\n|---|---|---|")
    print(f"| `decoct train`, frames behind the first step | {len(train)} | {len(set(train))} |")
    print(f"| `decoct run`, frames behind the first step | {len(run)} | {len(set(run))} |")
    print(f"| one set of `sre2l`, functions | {len(codes)} | {len({code.co_filename for code in codes})} |")


if __name__ == "__main__":
    main()
