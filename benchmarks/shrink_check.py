"""What `decoct shrink --check` finds of faults that were planted, what else it flags, and how long it takes.

    python benchmarks/shrink_check.py copies --clip FOLDER --sheet flagged.png
    python benchmarks/shrink_check.py outliers --clip FOLDER
    python benchmarks/shrink_check.py times

FOLDER has the pictures in folders by class, such as Debian's openclipart-png. Copies of 400 pictures of clip art and of
1,000 of Fashion-MNIST are added to 3,000 and 10,000, one kind of change at a time; found is the share that is put into
the group of its original. Perceptual hashes (64 bits of the discrete cosine transform) are written anew as imagehash
computes them: tools that clean collections take equal ones, or those that differ in a few bits, for near-duplicates.
Flagged are images that could go where nothing was added; the sheet shows them, to be judged by eye.

Outliers are two foreign pictures per class, or none. Times are of generated pools: 90 % are unlike, 2 % equal to
another, 2 % nearly, 2 % empty, 4 % nearly one picture; one process each, which says its memory at most,
with the pages of the thumbnails' file that it has read.
"""

import argparse
import io
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from decoct.api import load_data
from decoct.data.reading.decode import DecodeError, decode
from decoct.shrinking.faults import alike
from decoct.shrinking.faults.looks import Looks
from decoct.shrinking.faults.outliers import FAR, LEAST, NEIGHBOUR, kth_nearest, unusual
from decoct.shrinking.faults.problems import check
from decoct.shrinking.faults.twins import nearly_equal
from decoct.shrinking.pool import Pool, keep_pool, open_pool
from yardstick import table

Images = NDArray[np.uint8]
SIDE, GREY = 64, 28
SIZES = {3_000: 64, 100_000: 64, 1_000_000: 32}


def jpeg(picture: Image.Image, rng: np.random.Generator) -> bytes:
    return _saved(picture, "JPEG", quality=70)


def smaller(picture: Image.Image, rng: np.random.Generator) -> bytes:
    size = [max(1, round(0.7 * side)) for side in picture.size]
    return _saved(picture.resize((size[0], size[1]), Image.Resampling.BICUBIC))


def cropped(share: float) -> Callable[[Image.Image, np.random.Generator], bytes]:
    def crop(picture: Image.Image, rng: np.random.Generator) -> bytes:
        width, height = (min(side - 1, round((1 - share) * side)) for side in picture.size)
        left, top = (int(rng.integers(0, a - b + 1)) for a, b in zip(picture.size, (width, height), strict=True))
        return _saved(picture.crop((left, top, left + width, top + height)))

    return crop


def lit(by: float) -> Callable[[Image.Image, np.random.Generator], bytes]:
    return lambda picture, rng: _saved(ImageEnhance.Brightness(picture).enhance(by))


CHANGES = {
    "JPEG of quality 70": jpeg,
    "resized to 70 %": smaller,
    "cropped by 2 %": cropped(0.02),
    "cropped by 3 %": cropped(0.03),
    "cropped by 5 %": cropped(0.05),
    "brightness × 0.92": lit(0.92),
    "brightness × 1.08": lit(1.08),
}


def hashes(images: Images) -> NDArray[np.uint64]:
    """[N] perceptual hashes: which of 8 × 8 low frequencies of 32 × 32 grey pixels are above their median."""
    found = []
    for image in images:
        grey = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).convert("L")
        pixels = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS), np.float64)
        waves = np.cos(np.pi * np.outer(np.arange(8), np.arange(32) + 0.5) / 32)
        low = waves @ pixels @ waves.T
        found.append(np.packbits(low > np.median(low)).view(">u8")[0])
    return np.array(found, np.uint64)


def by_hash(images: Images, bits: int) -> list[NDArray[np.int64]]:
    """Groups: each image joins the first that stays and differs in no more bits."""
    code, leader = hashes(images), np.arange(len(images))
    for row in range(len(images)):
        if leader[row] == row:
            near = np.bitwise_count(code[row + 1 :] ^ code[row]) <= bits
            later = row + 1 + np.flatnonzero(near)
            leader[later[leader[later] == later]] = row
    return [np.flatnonzero(leader == row) for row in np.flatnonzero(np.bincount(leader) > 1)]


RULES: dict[str, Callable[[Images], list[NDArray[np.int64]]]] = {
    "equal hashes": lambda images: by_hash(images, 0),
    "hashes within 4 bits": lambda images: by_hash(images, 4),
    "decoct": lambda images: [group.rows for group in nearly_equal(Looks(images), np.arange(len(images)))],
}


def copies(clip: Path | None, sheet: Path | None) -> Iterator[list[str]]:
    """Rows: data, change, share that is found by each rule."""
    for name, images, originals, side in sources(clip):
        empty = ~Looks(images[: len(originals)]).full
        for change, make in CHANGES.items():
            rng = np.random.default_rng(1)
            added = np.stack([decode(make(each, rng), side, images.shape[1]) for each in originals])
            shares = []
            for rule in RULES.values():
                groups = rule(np.concatenate([images, added]))
                home = np.full(len(images) + len(added), -1)
                for number, rows in enumerate(groups):
                    home[rows] = number
                own, other = home[: len(added)], home[len(images) :]
                shares.append(float(((own == other) & (own >= 0))[~empty].mean()))
            yield [name, change, *(f"{share:.0%}" for share in shares)]
        gone = {rule: make(images) for rule, make in RULES.items()}
        yield [
            name,
            f"nothing: flagged of {len(images):,}",
            *(f"{sum(len(g) - 1 for g in x):,}" for x in gone.values()),
        ]
        if sheet is not None:
            picture(images, gone["decoct"]).save(sheet.with_stem(f"{sheet.stem}_{name.split()[0].lower()}"))


def sources(clip: Path | None) -> Iterator[tuple[str, Images, list[Image.Image], int]]:
    """Name, images, the pictures of the first of them, and the side of a thumbnail."""
    if clip is not None:
        images, originals, _ = clip_art(clip, 3000, 400)
        yield "clip art", images, originals, SIDE
    fashion = np.asarray(load_data("fashion_mnist").train.images[:10_000])
    yield "Fashion-MNIST", fashion, [Image.fromarray(image[0]) for image in fashion[:1000]], GREY


def clip_art(folder: Path, n: int, opened: int = 0) -> tuple[Images, list[Image.Image], list[str]]:
    """Some pictures in a random order as thumbnails, the first of them as they are, and the classes of all."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    images, originals, classes = [], [], []
    for at in np.random.default_rng(0).permutation(len(files)):
        data = files[at].read_bytes()
        try:
            image = decode(data, SIDE, 3)
        except DecodeError:
            continue
        if len(originals) < opened:
            with Image.open(io.BytesIO(data)) as picture:
                if picture.width * picture.height > 2_000_000:  # takes seconds, and is decoded to the same
                    continue
                layer = picture.convert("RGBA")
            originals.append(Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB"))
        images.append(image)
        classes.append(files[at].relative_to(folder).parts[0])
        if len(images) == n:
            break
    return np.stack(images), originals, classes


def picture(images: Images, groups: list[NDArray[np.int64]], columns: int = 10, most: int = 200) -> Image.Image:
    """A contact sheet of pairs: the image that stays and the last that goes."""
    pairs = [(rows[0], rows[-1]) for rows in groups[:most]]
    whole = Image.new("RGB", (columns * 140, -(-max(1, len(pairs)) // columns) * 70), "pink")
    for number, pair in enumerate(pairs):
        for k, row in enumerate(pair):
            image = np.repeat(images[row], 3 // len(images[row]), 0).transpose(1, 2, 0)
            at = (number % columns * 140 + 66 * k, number // columns * 70)
            whole.paste(Image.fromarray(image).resize((64, 64)), at)
    return whole


def foreign(clip: Path | None) -> Iterator[list[str]]:
    """Rows: data, what was added, how many of it are found, and how many others are flagged."""
    rng, data = np.random.default_rng(0), load_data("fashion_mnist").train
    fashion, labels = np.asarray(data.images[:5000]), np.asarray(data.labels[:5000])
    shirts = np.stack([_as(image, SIDE, 3) for image in fashion[labels == 6][:60]])
    sets = []
    if clip is not None:
        art, _, classes = clip_art(clip, 3000)
        sets.append(("clip art", art, np.unique(classes, return_inverse=True)[1], {"shirts": shirts}))
        alien = {"clip art": np.stack([_as(image, GREY, 1) for image in art[:60]])}
    else:
        alien = {}
    sets.append(("Fashion-MNIST", fashion, labels, alien))
    for name, images, of, others in sets:
        shape = (60, *images.shape[1:])
        noise = rng.integers(0, 256, shape, dtype=np.uint8)
        dark = rng.integers(0, 12, shape, dtype=np.uint8)
        for kind, added in {"nothing": noise[:0], **others, "noise": noise, "nearly black": dark}.items():
            found = flagged = there = judged = 0
            for number, label in enumerate(np.unique(of)):
                own, more = images[of == label], added[2 * number : 2 * number + 2]
                if len(own) >= LEAST:
                    look = alike.standard(alike.blocks(np.concatenate([own, more])))
                    far = unusual(kth_nearest(look, NEIGHBOUR, rng)) > FAR
                    flagged, judged = flagged + int(far[: len(own)].sum()), judged + len(own)
                    found, there = found + int(far[len(own) :].sum()), there + len(more)
            yield [name, kind, f"{found} of {there}", f"{flagged} of {judged:,}"]


def times() -> Iterator[list[str]]:
    """Rows: images, seconds, memory, what was found of what was planted."""
    for n, side in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            generated(Path(folder), n, side)
            said = subprocess.run(
                [sys.executable, __file__, "timed", "--pool", folder], check=True, capture_output=True, text=True
            )
        yield [f"{n:,}", f"{side} × {side}", *said.stdout.strip().split("|")]


def timed(folder: Path) -> str:
    """Seconds of a check, memory, images that could go."""
    pool = open_pool(folder)
    before, start, cpu = _memory(), time.perf_counter(), time.process_time()
    found = check(pool)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    gone = {
        kind: sum(len(p.rows) - 1 for p in found if p.kind == kind) for kind in ("exact_duplicates", "near_duplicates")
    }
    planted = pool.facts["planted"]
    shown = (f"{gone[kind]:,} of {planted[kind]:,}" for kind in gone)
    return "|".join([f"{seconds:.1f}", f"{cpu:.1f}", f"{_memory() - before:,.0f} MiB", *shown])


def generated(folder: Path, n: int, side: int) -> Pool:
    """A pool of smooth random pictures, with copies; 1,000 at a time."""
    rng = np.random.default_rng(0)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (n, 3, side, side))
    waves = np.cos(np.pi * np.outer(np.arange(6), np.arange(side) + 0.5) / side).astype(np.float32)
    weight = (1 / (1 + np.add.outer(np.arange(6), np.arange(6)))).astype(np.float32)
    planted = {"exact_duplicates": 0, "near_duplicates": -1}  # of the mass one stays
    mass = None
    for start in range(0, n, 1000):
        pictures = waves.T @ (rng.standard_normal((1000, 3, 6, 6), dtype=np.float32) * weight) @ waves
        low, high = (f(pictures, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
        part = (20 + 215 * (pictures - low) / (high - low)).astype(np.uint8)
        mass = part[0].copy() if mass is None else mass
        noise = rng.integers(-3, 4, (60, 3, side, side))
        part[900:920] = part[:20]
        part[920:940] = np.clip(part[20:40] + noise[:20], 0, 255)
        part[940:960] = np.arange(start // 1000 * 20, start // 1000 * 20 + 20).reshape(-1, 1, 1, 1) % 250
        part[960:] = np.clip(mass + noise[20:], 0, 255)
        images[start : start + 1000] = part
        planted["exact_duplicates"] += 20
        planted["near_duplicates"] += 60
    planted["near_duplicates"] += 1  # the first picture is what the mass is of
    images.flush()
    table = {
        "labels": np.arange(n) % 10,
        "split": np.zeros(n, np.int8),
        "groups": np.arange(n),
        "width": np.full(n, 300, np.int32),
        "height": np.full(n, 200, np.int32),
        "bytes": np.full(n, 9000),
        "content": np.arange(n).astype(np.uint64),
        "paths": [f"class {i % 10}/{i:07}.jpg" for i in range(n)],
        "class_names": [f"class {c}" for c in range(10)],
        "unreadable": (),
    }
    keep_pool(folder, "generated", table, {"digest": "0", "planted": planted})
    return open_pool(folder)


def _as(image: Images, side: int, channels: int) -> Images:
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    return decode(_saved(picture), side, channels)


def _saved(picture: Image.Image, kind: str = "PNG", **how: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **how)
    return file.getvalue()


def _memory() -> float:
    """MiB that the process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["copies", "outliers", "times", "timed"])
    parser.add_argument("--clip", type=Path, help="folder of clip art; without it Fashion-MNIST alone")
    parser.add_argument("--sheet", type=Path, help="pictures of the pairs that are flagged where nothing was added")
    parser.add_argument("--pool", type=Path, help="of what is timed")
    args = parser.parse_args()
    match args.part:
        case "copies":
            print(table(["data", "changed", *RULES], list(copies(args.clip, args.sheet))))
        case "outliers":
            print(table(["data", "added, two per class", "found", "others flagged"], list(foreign(args.clip))))
        case "times":
            head = [
                "images",
                "thumbnails",
                "seconds",
                "of the processor",
                "memory more",
                "exact, could go",
                "near, could go",
            ]
            print(table(head, list(times())))
        case _:
            print(timed(args.pool))


if __name__ == "__main__":
    main()
