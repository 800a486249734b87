"""The sets themselves: replicate 0 of every method and budget, and the images it started from."""

import base64
import io
import struct
from pathlib import Path

from PIL import Image

from decoct.report import wording
from decoct.report.grouped import grouped
from decoct.report.page import facets
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import block, content, note
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import Job, Manifest

PNG = b"\x89PNG\r\n\x1a\n"
REAL = "real.png"  # in the run's folder, where the run left one
WIDEST = 1200  # pixels of a picture on the page: ten large images per row would weigh tens of megabytes
LARGEST = 112  # pixels of one image in a picture of a set


def show(view: View, run: Manifest) -> Markup:
    """A block for each budget, real images first where the run left some."""
    first = (job for job in run.finished("condense") if job.labels["condense_replicate"] == 0)
    budgets, methods, blocks = grouped(first, lambda job: str(job.labels["budget"])), list(view.methods), []
    for budget in sorted(budgets, key=run.budget_order):
        jobs = sorted(budgets[budget], key=lambda job: methods.index(job.labels["method"]))
        cards = [card for job in jobs if (card := _card(run, job, view.method(job.labels["method"])))]
        if cards:
            blocks.append(block(tag("h4", facets.budget(budget)), tag("div", *cards, class_="pictures")))
    real = _png((run.pooled.runs[0] if run.pooled else run).folder / REAL)
    if not blocks and not real:
        return Markup()
    if real:
        caption = tag("figcaption", "real training images, the first of each class")
        shown = tag("figure", caption, _picture(real, run.data["shape"][-1], "real"))
        blocks.insert(0, tag("div", shown, class_="pictures"))
    names = run.data["class_names"][:10]
    rest = f" and {len(run.data['class_names']) - 10} more classes" if len(run.data["class_names"]) > 10 else ""
    classes = note("Up to ten images of each class, one class per row: ", join(map(name, names), ", "), rest, ".")
    return content(classes, *blocks)


def _card(run: Manifest, job: Job, caption: Markup) -> Markup:
    images = [
        (_picture(data, run.data["shape"][-1], what), tag("small", what))
        for file, what in (("initial.png", "started from"), ("preview.png", "the set"))
        if (data := _png(run.file(job, file)))
    ]
    if not images:
        return Markup()
    shown = [tag("div", picture, what if len(images) > 1 else "") for picture, what in images]
    notes = run.load(job, "facts.json").get("notes", {})
    said = ", ".join(f"{key.replace('_', ' ')} {wording.reading(value)}" for key, value in notes.items())
    caption = tag("figcaption", caption, tag("small", " ", name(said)) if said else "")
    return tag("figure", caption, tag("div", *shown, class_="pair"))


def _picture(data: bytes, side: int, what: str) -> Markup:
    """The grid, enlarged so that one small image is about 32 pixels wide, or reduced where images are large."""
    width, height = struct.unpack(">II", data[16:24])
    if width > WIDEST or side > LARGEST:
        return _smaller(data, min(WIDEST, width, width * LARGEST // side), what)
    scale = max(1, round(32 / side))
    return _embedded("png", data, width * scale, height * scale, what, "pixelated" if scale > 1 else None)


def _smaller(data: bytes, width: int, what: str) -> Markup:
    """The grid in another width, as JPEG: to look at, not to measure."""
    with Image.open(io.BytesIO(data)) as picture:
        height = round(picture.height * width / picture.width)
        shrunk = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    shrunk.save(buffer, "jpeg", quality=85)
    return _embedded("jpeg", buffer.getvalue(), width, height, what, None)


def _embedded(kind: str, data: bytes, width: int, height: int, what: str, look: str | None) -> Markup:
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return tag("img", src=source, width=width, height=height, alt=what, class_=look, loading="lazy")


def _png(path: Path) -> bytes | None:
    data = path.read_bytes() if path.is_file() else b""
    return data if data.startswith(PNG) and len(data) > 24 else None


SECTION = Section("Sets, class by class", 10, lambda s: show(s, s.run))
