"""Lay out Debian's openclipart-png as class folders of links: each picture once, each in one class.

    apt-get install openclipart-png
    python examples/clipart.py runs/openclipart
    decoct run examples/clipart.toml --out runs/clipart

The package holds 8,121 files in 22 folders, many of them copies of one picture, within a folder and across folders. The
class of a picture is its top folder. Of byte-identical files in one folder the first name stays; a picture that lies in
two folders has no single class and is left out; so is a class with fewer than 100 pictures.
"""

import hashlib
import sys
from collections import defaultdict
from pathlib import Path

SOURCE = Path("/usr/share/openclipart/png")
FEWEST = 100  # pictures of a class


def distinct(source: Path) -> dict[str, list[Path]]:
    """The pictures of each class, sorted: each content once, and only what lies in one class alone."""
    places: dict[str, dict[str, Path]] = defaultdict(dict)  # class and first file, by content
    for path in sorted(source.rglob("*.png")):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        places[content].setdefault(path.relative_to(source).parts[0], path)
    found: dict[str, list[Path]] = defaultdict(list)
    for classes in places.values():
        if len(classes) == 1:
            ((name, path),) = classes.items()
            found[name].append(path)
    return {name: sorted(found[name]) for name in sorted(found)}


def lay_out(source: Path, target: Path, fewest: int = FEWEST) -> dict[str, int]:
    """Make ``target/CLASS/NAME.png``, links to the pictures of every class that has enough, and count them."""
    chosen = {name: paths for name, paths in distinct(source).items() if len(paths) >= fewest}
    for name, paths in chosen.items():
        for path in paths:
            link = target / name / "-".join(path.relative_to(source / name).parts)  # folders below become one name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
    return {name: len(paths) for name, paths in chosen.items()}


def main() -> None:
    """python examples/clipart.py FOLDER."""
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/clipart.py FOLDER")
    target = Path(sys.argv[1])
    if not SOURCE.is_dir():
        sys.exit(f"no {SOURCE}: apt-get install openclipart-png")
    if target.exists():
        sys.exit(f"{target} exists: remove it, or name another folder")
    counts = lay_out(SOURCE, target)
    for name, count in counts.items():
        print(f"{count:6,}  {name}")
    print(f"{sum(counts.values()):6,}  pictures in {len(counts)} classes: {target}")


if __name__ == "__main__":
    main()
