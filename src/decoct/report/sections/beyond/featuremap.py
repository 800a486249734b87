"""A map of real and condensed images: features of the first extractor on two principal components of the real ones."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core import arrayfile
from decoct.core.errors import DecoctError
from decoct.core.machine import blame
from decoct.core.tensorfile import read
from decoct.report.page import facets, plot
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import block, chart, content, note
from decoct.report.page.plot import GREY, Figure
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import Job, Manifest

MAP, CLASSES, ABOUT = "map.npy", "map_classes.npy", "map.json"
MOST = 3000  # marks of all methods in one figure


@dataclass(frozen=True)
class Places:
    """Images on the plane, at [n, 2], and their classes [n]."""

    at: NDArray[np.float32]
    classes: NDArray[np.int64]

    def some(self, most: int) -> "Places":
        """At most so many, evenly through their order, so that all classes keep their share."""
        keep = np.unique(np.linspace(0, len(self.at) - 1, min(most, len(self.at))).round().astype(int))
        return Places(self.at[keep], self.classes[keep])


def show(view: View, run: Manifest) -> Markup:
    """A figure for each budget, replicate 0 of every method; nothing in a run without maps."""
    sets: dict[tuple[str, str], dict[str, Places]] = {}  # by budget and extractor, then by method
    real: dict[str, tuple[Places, dict[str, Any]]] = {}
    for job in run.finished("measure"):
        if job.labels["condense_replicate"] == 0 and (read_ := _of_set(run, job)):
            extractor, places, features = read_
            sets.setdefault((job.labels["budget"], extractor), {})[job.labels["method"]] = places
            if extractor not in real:
                real[extractor] = _of_real(run, features)
    if not sets:
        return Markup()
    extractors, blocks = list(real), []
    for budget, extractor in sorted(sets, key=lambda place: (run.budget_order(place[0]), extractors.index(place[1]))):
        there = sets[budget, extractor]
        own = {label: there[label] for label in view.methods if label in there}
        caption = join(["features of ", name(extractor), _left(view, own)])
        drawn = chart(figure(view, run, *real[extractor], own), caption, wide=True)
        blocks.append(block(tag("h4", facets.budget(budget)), tag("div", drawn, class_="charts")))
    options = [tag("option", each, value=i) for i, each in enumerate(run.data["class_names"])]
    select = tag("select", tag("option", "all classes", value=""), *options, data_class="")
    return content(_about(real), view.keys(), tag("label", "Class ", select, class_="chooser"), *blocks)


def figure(view: View, run: Manifest, real: Places, about: dict[str, Any], own: dict[str, Places]) -> Figure:
    """Real images in grey, under those of every method.

    Class names stand once in the layout; the page's script puts them where the numbers are.
    """
    most = max(MOST // len(own), 1)
    traces = [_dots("real", real, {"color": GREY, "size": 4, "opacity": 0.45}, {})]
    for label, places in own.items():
        look = view.marks[label].marker | {"size": 8, "line": {"width": 1.5, "color": view.marks[label].color}}
        traces.append(_dots(label, places.some(most), look, {"method": label}))
    titles = [
        {"title": {"text": f"component {i}, {100 * share:.0f} % of variance"}, "zeroline": False, "automargin": True}
        for i, share in enumerate(about["explained"], 1)
    ]
    layout = plot.layout(520, titles[0], titles[1])
    layout["meta"] = {"classes": [plot.label(each) for each in run.data["class_names"]]}
    return {"data": traces, "layout": layout}


def _dots(label: str, places: Places, look: Figure, of: dict[str, Any]) -> Figure:
    x, y = ([float(f"{v:.4g}") for v in column] for column in places.at.T)
    hover = f"<b>{plot.label(label)}</b> · %{{customdata}}<extra></extra>"
    classes = places.classes.tolist()
    return plot.trace("markers", label, x, y, {**of, "class": classes}, marker=look, hovertemplate=hover)


def _of_set(run: Manifest, job: Job) -> tuple[str, Places, Job] | None:
    """Extractor and places of a set's images, and the features that the plane was fitted to."""
    at = _array(run.file(job, MAP))
    condensed = run.by_key.get(job.inputs.get("condensed", ""))
    if at is None or condensed is None or not run.done(condensed):
        return None
    extractor = run.load(job, ABOUT)["extractor"]
    features = run.by_key.get(job.inputs.get(f"features:{extractor}", ""))
    if features is None or not run.file(features, ABOUT).is_file():
        return None
    labels = np.array(read(run.file(condensed, "condensed.safetensors"))["labels"], dtype=np.int64)
    return extractor, Places(at, labels), features


def _of_real(run: Manifest, features: Job) -> tuple[Places, dict[str, Any]]:
    at, classes = _array(run.file(features, MAP)), _array(run.file(features, CLASSES))
    assert at is not None and classes is not None  # present means complete
    return Places(at, classes), run.load(features, ABOUT)


def _array(path: Path) -> NDArray[Any] | None:
    try:
        return arrayfile.load(path) if path.is_file() else None
    except (OSError, ValueError) as error:
        blame(error)
        raise DecoctError(f"{path} is damaged ({error}); remove that folder and run the study again") from error


def _left(view: View, own: dict[str, Places]) -> Markup:
    """What the figure leaves out."""
    most = MOST // len(own)
    cut = [label for label, places in own.items() if len(places.at) > most]
    none = [label for label in view.methods if label not in own]
    parts = [f"{most:,} images each of ", join(map(name, cut), ", ")] if cut else []
    parts += ["; " if cut else "", "none of ", join(map(name, none), ", ")] if none else []
    return tag("small", *parts) if parts else Markup()


def _about(real: dict[str, tuple[Places, dict[str, Any]]]) -> Markup:
    shares = [about["explained"] for _, about in real.values()]
    counts = {len(places.at) for places, _ in real.values()}
    both = " and ".join(f"{100 * math.fsum(share):.0f} %" for share in shares)
    return note(
        "Where a set's images lie among real ones: features of the first extractor on the two leading principal "
        f"components of {max(counts):,} training images. These two hold {both} of the variance, so points that look "
        "close may be far apart. Grey points are real images; marks are images of each method's first set. The metrics "
        "use all dimensions and all images."
    )


SECTION = Section("Map of the features", 60, lambda s: show(s, s.run))
