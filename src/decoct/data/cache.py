"""The data cache on disk: one folder per data set, named after its content, written completely or not at all."""

import fcntl
import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decoct.core.cells import default_store as default_store
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Progress, silent
from decoct.core.machine import blame
from decoct.core.record import read_json, write_json
from decoct.core.scratch import replace, sync
from decoct.core.spec import digest
from decoct.data.source import Part, Source, Survey
from decoct.data.whitening import Whitening
from decoct.data.whitening import check as check_whitening

FACTS, FILES, FORMAT = "data.json", "files.json", 1
LISTED = "{}.pictures.parquet"  # which pictures the images of a split are, where it holds none
SPLITS = ("train", "val", "test")


def link_file(root: Path, source: Source, manifest: Any) -> Path:
    """The small file that says which data set a source with this raw content became."""
    key = digest({"format": FORMAT, "title": source.title, "source": source.keyed(), "manifest": manifest})
    return root / "links" / f"{key}.json"


def read_link(link: Path, root: Path) -> tuple[Path, str] | None:
    """The folder that a link leads to, and what the source reported when it was read; None if either is gone."""
    try:
        facts = read_json(link)
        folder, said = root / str(facts["digest"]), str(facts.get("said", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        blame(error)  # or the data would be decoded again
        return None
    return (folder, said) if folder.is_dir() else None


def write_link(link: Path, key: str, said: str = "") -> None:
    """Replace the link in one step."""
    link.parent.mkdir(parents=True, exist_ok=True)
    replace(link, lambda aside: write_json(aside, {"digest": key} | ({"said": said} if said else {})))


@contextmanager
def unfinished(root: Path, key: str) -> Iterator[Path]:
    """The folder ``root/unfinished/KEY``, which stays when work in it is killed or fails, and goes when it is done.

    One process at a time has it, and others wait; the lock goes with its process.
    """
    place = root / "unfinished"
    place.mkdir(parents=True, exist_ok=True)
    lock = place / f"{key}.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        folder = place / key
        folder.mkdir(exist_ok=True)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink(missing_ok=True)  # whoever waits with it open finds the work done


def write(
    folder: Path,
    parts: Mapping[str, Part],
    facts: dict[str, Any],
    progress: Progress = silent,
    survey: Survey | None = None,
) -> str:
    """Write splits and facts into an empty folder, and return the digest of their content.

    Args:
        folder: of ``decoct.core.scratch.working``.
        parts: all of ``SPLITS``.
        facts: title, class names, flip, skipped, "zca" if train is to have a whitening; digest, shape, counts, mean and
            std are added.
        survey: where images are not to be written; the digest is of their content then, not of pixels.

    Raises:
        DecoctError: the images or labels do not make a data set.
    """
    for name in SPLITS:
        check(name, parts[name], facts["class_names"])
    files = {name: parts[name].files for name in SPLITS}
    said: dict[str, Any] = {
        key: facts[key] for key in ("name", "class_names", "flip", "skipped", "zca") if key in facts
    }
    if "zca" in facts:
        if survey:
            raise DecoctError(
                "zca is for images in the cache, and these stay where they are: leave zca or cache = false out"
            )
        check_whitening(parts["train"].images.shape[1:])
    said |= {"content": survey.content} if survey else {}
    sha = hashlib.sha256(digest({"format": FORMAT, "files": files, **said}).encode())
    histograms, total, done = {}, sum(len(parts[name]) for name in SPLITS), 0

    def written(count: int) -> None:
        progress(done + count, total)

    for name in SPLITS:
        if survey:
            write_labels(folder, name, parts[name], sha)
            parts[name].images.save(folder / LISTED.format(name))  # type: ignore[attr-defined]
        else:
            histograms[name] = write_split(folder, name, parts[name], sha, written)
            done += len(parts[name])
    mean, std = moments(survey.histogram if survey else histograms["train"])
    counts = {name: np.bincount(parts[name].labels, minlength=len(facts["class_names"])).tolist() for name in SPLITS}
    key = sha.hexdigest()[:32]
    shape = list(parts["train"].images.shape[1:])
    more = {"format": FORMAT, "digest": key, "shape": shape, "counts": counts, "mean": mean, "std": std}
    more |= {"uncached": dict(survey.source)} if survey else {}
    if "zca" in facts:
        Whitening.fit(parts["train"].blocks(), parts["train"].images.shape[1:]).save(folder, key)
    write_json(folder / FILES, files)
    write_json(folder / FACTS, {**facts, **more})
    for path in (*folder.iterdir(), folder):
        sync(path)
    return key


def check(name: str, part: Part, class_names: list[str]) -> None:
    """Refuse what cannot be trained on."""
    shape, kind = part.images.shape, part.images.dtype
    if len(shape) != 4 or kind != np.uint8 or shape[1] not in (1, 3) or shape[2] != shape[3]:
        raise DecoctError(f"{name} images must be square [N, 1 or 3, S, S] uint8, not {list(shape)} {kind}")
    if len(class_names) < 2:
        raise DecoctError(f"data needs at least two classes; there is only {class_names}")
    if len(part) == 0 or part.labels.min() < 0 or part.labels.max() >= len(class_names):
        raise DecoctError(f"{name} labels must be 0 to {len(class_names) - 1}, and some")
    empty = np.flatnonzero(np.bincount(part.labels, minlength=len(class_names)) == 0)
    if name == "train" and len(empty):
        raise DecoctError(f"class '{class_names[empty[0]]}' has no training images")


def write_split(
    folder: Path, name: str, part: Part, sha: "hashlib._Hash", written: Callable[[int], None] = lambda count: None
) -> NDArray[np.int64]:
    """Write one split block by block, feed its bytes to the digest, and return the histogram [C, 256] of its pixels.

    Plain writes, not a writable memory map: on a full disk a map would kill the process instead of raising. A part that
    is in a file of its own gets a second name here instead, so that it takes no room twice and stays where it was.
    """
    write_labels(folder, name, part, sha)
    shape = (len(part), *part.images.shape[1:])
    values, images, count = np.zeros((shape[1], 256), dtype=np.int64), folder / f"{name}.images.npy", 0
    if part.npy is not None:
        try:
            images.hardlink_to(part.npy)
        except OSError:  # a file system without hard links
            part.npy.rename(images)
    with (Path(os.devnull) if part.npy is not None else images).open("wb") as file:
        file.write(header(shape))
        for block in part.blocks():
            file.write(block.data)
            sha.update(block.data)
            values += histogram(block)
            written(count := count + len(block))
    return values


def write_labels(folder: Path, name: str, part: Part, sha: "hashlib._Hash") -> None:
    """Write the labels of one split, and feed them to the digest."""
    labels = np.ascontiguousarray(part.labels, dtype="<i8")
    np.save(folder / f"{name}.labels.npy", labels, allow_pickle=False)
    sha.update(labels.tobytes())


def header(shape: tuple[int, ...], dtype: Any = np.uint8) -> bytes:
    """The header of a NumPy file, of pixels unless said otherwise; equally long for any number of images."""
    made, descr = io.BytesIO(), np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(made, {"descr": descr, "fortran_order": False, "shape": shape})
    return made.getvalue()


def histogram(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each channel of images [N, C, H, W] has each value, [C, 256]."""
    rows = images.swapaxes(0, 1).reshape(images.shape[1], -1, images.shape[3])
    return np.array([Image.fromarray(one).histogram() for one in rows])  # twenty times as fast as np.bincount


def moments(histogram: NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel on the scale 0 to 1; a constant channel gets std 1, so it divides."""
    values = np.arange(256) / 255
    weights = histogram / histogram.sum(1, keepdims=True)
    mean = weights @ values
    std = np.sqrt((weights * (values - mean[:, None]) ** 2).sum(1))
    constant = (histogram > 0).sum(1) == 1
    return mean.tolist(), np.where(constant, 1.0, std).tolist()
