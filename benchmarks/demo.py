"""How long the built-in study takes, as ``make demo`` runs it: from nothing, and again. Minutes.

python benchmarks/demo.py
"""

import tempfile
from pathlib import Path

from startup import decoct
from yardstick import table


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        words = ("run", "--out", str(Path(folder, "out")))
        rows = [
            ["from nothing", f"{decoct(*words, store=Path(folder, 'store')):.1f}", "≤ 300"],
            ["again", f"{decoct(*words, store=Path(folder, 'store')):.1f}", "< 3"],
        ]
    print(table(["`decoct run`, the built-in study", "seconds", "target, s"], rows))


if __name__ == "__main__":
    main()
