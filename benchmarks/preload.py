"""Libraries that stand before the C library of a program, made of the C files here."""

import shutil
import subprocess
from pathlib import Path


def made(name: str, folder: Path) -> Path:
    """The library of ``NAME.c``, made in a folder."""
    compiler, library = shutil.which("cc"), folder / f"{name}.so"
    if compiler is None:
        raise SystemExit("a C compiler is needed: apt-get install gcc libc6-dev")
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
