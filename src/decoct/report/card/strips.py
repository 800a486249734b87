"""Up to ten small pictures of a set, one for each class where the classes are ten or more."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.read.manifest import REFERENCE, Job, Manifest

METHODS, PICTURES = 6, 10
LARGEST = 64  # pixels of one picture; larger ones are reduced, to keep cards of ImageNet pictures small
GAP, GROUND = 1, 128  # of the sheet of a set: pixels between pictures, and the grey where there is none


@dataclass(frozen=True)
class Strip:
    """Pictures of a method's set.

    Attributes:
        method: its label.
        pictures: ``data:`` URIs of square pictures.
        side: pixels of each.
    """

    method: str
    pictures: tuple[str, ...]
    side: int


@dataclass(frozen=True)
class Shown:
    """Strips, and what they show in a few words."""

    strips: tuple[Strip, ...] = ()
    said: str = ""


def strips(run: Manifest, ranked: Sequence[str]) -> Shown:
    """One strip per method, for all methods or for random and the best five.

    Pictures come from the first set of the smallest budget that has ten, or otherwise the most, pictures.

    Args:
        run: whose sets left pictures.
        ranked: methods, the best first.
    """
    first = [job for job in run.finished("condense") if job.labels["condense_replicate"] == 0]
    by_method = grouped(first, lambda job: str(job.labels["method"]))
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for method in sorted(ranked, key=lambda m: m != REFERENCE):
        jobs = sorted(by_method.get(method, []), key=lambda job: run.budget_order(job.labels["budget"]))
        for job in jobs:
            pictures = _pictures(run, job)
            if len(pictures) > len(found.get(method, ("", ()))[1]):
                found[method] = str(job.labels["budget"]), pictures
            if len(pictures) == PICTURES:
                break
        if len(found) == METHODS:
            break
    side = min(int(run.data["shape"][-1]), LARGEST)
    own = tuple(Strip(m, found[m][1], side) for m in run.methods if m in found)
    budgets = sorted({budget for budget, _ in found.values()}, key=run.budget_order)
    classes = len(run.data["class_names"])
    each = ", one per class" if classes == PICTURES else ", one from each of ten classes" if classes > PICTURES else ""
    return Shown(own, f"{wording.span(*(wording.budget(b) for b in (budgets[0], budgets[-1])))}{each}" if own else "")


def _pictures(run: Manifest, job: Job) -> tuple[str, ...]:
    path = run.file(job, "preview.png")
    try:
        with Image.open(path, formats=("PNG",)) as sheet:
            return tuple(map(_uri, cut(np.asarray(sheet.convert("RGB")), int(run.data["shape"][-1]))))
    except (OSError, UnidentifiedImageError):  # not there, or none
        return ()


def cut(sheet: NDArray[np.uint8], side: int) -> list[NDArray[np.uint8]]:
    """The first ten pictures of a sheet, down the rows, which are classes, then across.

    Args:
        sheet: [H, W, 3], pictures with gaps between and around them.
        side: pixels of a picture.
    """
    pitch = side + GAP
    rows, columns = ((length - GAP) // pitch for length in sheet.shape[:2])
    found: list[NDArray[np.uint8]] = []
    for column in range(columns):
        for row in range(rows):
            top, left = GAP + row * pitch, GAP + column * pitch
            own = sheet[top : top + side, left : left + side]
            if (own != GROUND).any():  # a class may have fewer pictures than others
                found.append(own)
            if len(found) == PICTURES:
                return found
    return found


def _uri(pixels: NDArray[np.uint8]) -> str:
    """A picture for HTML and SVG: PNG as it is, or JPEG where it has to be reduced."""
    picture, buffer = Image.fromarray(pixels), io.BytesIO()
    if (pixels == pixels[..., :1]).all():
        picture = picture.convert("L")
    kind, options = "png", dict[str, Any](optimize=True)
    if len(pixels) > LARGEST:
        picture = picture.resize((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        kind, options = "jpeg", {"quality": 82}
    elif len(pixels) > LARGEST // 2:
        kind, options = "jpeg", {"quality": 90}
    picture.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
