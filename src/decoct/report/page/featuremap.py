"""A map of real and condensed images: features of the first extractor on two principal components of the real ones."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.tensorfile import read
from decoct.report.page import facets, plot
from decoct.report.page.markup import Markup, join, name, tag
from decoct.report.page.parts import block, chart, note, section
from decoct.report.page.plot import Figure
from decoct.report.page.style import GREY, Mark
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import Job, Manifest
from decoct.report.summary import Summary

MAP, CLASSES, ABOUT = "map.npy", "map_classes.npy", "map.json"
MOST = 3000  # marks of all methods in one figure


@dataclass(frozen=True)
class Places:
    """Images on the plane.

    Attributes:
        at: [n, 2].
        classes: [n].
    """

    at: NDArray[np.float32]
    classes: NDArray[np.int64]

    def some(self, most: int) -> "Places":
        """At most so many, evenly through their order, so that all classes keep their share."""
        keep = np.unique(np.linspace(0, len(self.at) - 1, min(most, len(self.at))).round().astype(int))
        return Places(self.at[keep], self.classes[keep])


def feature_map(frame: Frame, summary: Summary, marks: dict[str, Mark]) -> Markup:
    """A figure for each budget, replicate 0 of every method; nothing in a run of before there were maps."""
    run = frame.manifest
    found: dict[tuple[str, str], tuple[str, Places]] = {}
    real: dict[str, tuple[Places, dict[str, Any]]] = {}
    for job in run.finished("measure"):
        if job.labels["condense_replicate"] == 0 and (read_ := _of_set(run, job)):
            extractor, places, features = read_
            found[job.labels["budget"], job.labels["method"]] = extractor, places
            real.setdefault(extractor, _of_real(run, features))
    if not found:
        return Markup()
    blocks, named = [], [plot.label(each) for each in run.data["class_names"]]
    for budget in sorted({budget for budget, _ in found}, key=run.budget_order):
        for extractor, (grey, about) in real.items():
            own = {m: found[budget, m][1] for m in summary.methods if found.get((budget, m), ("",))[0] == extractor}
            if own:
                caption = join(["features of ", name(extractor), _left(own, summary)])
                drawn = chart(_figure(grey, own, marks, named, about["explained"]), caption, wide=True)
                blocks.append(block(tag("h3", facets.budget(budget)), tag("div", drawn, class_="charts")))
    return section(
        "map", "Map", _about(real), facets.method_keys(summary, marks), _chooser(run.data["class_names"]), *blocks
    )


def _figure(
    real: Places, own: dict[str, Places], marks: dict[str, Mark], names: list[str], explained: list[float]
) -> Figure:
    most = max(MOST // len(own), 1)
    traces = [_dots("real", real, {"color": GREY, "size": 4, "opacity": 0.45}, {})]
    for label, places in own.items():
        mark = marks[label]
        look = {"color": mark.color, "symbol": mark.symbol, "size": 8, "line": {"width": 1.5, "color": mark.color}}
        traces.append(_dots(label, places.some(most), look, {"method": label}))
    titles = [
        {"title": {"text": f"component {i}, {100 * share:.0f} % of variance"}, "zeroline": False, "automargin": True}
        for i, share in enumerate(explained, 1)
    ]
    layout = plot.layout(520, titles[0], titles[1])
    layout["meta"] = {"classes": names}
    return {"data": traces, "layout": layout}


def _dots(label: str, places: Places, look: Figure, of: dict[str, Any]) -> Figure:
    """Class names stand once in the layout; the page's script puts them where the numbers are."""
    x, y = ([float(f"{v:.4g}") for v in column] for column in places.at.T)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": plot.label(label),
        "meta": {**of, "class": places.classes.tolist()},
        "x": x,
        "y": y,
        "marker": look,
        "hovertemplate": f"<b>{plot.label(label)}</b> · %{{customdata}}<extra></extra>",
    }


def _of_set(run: Manifest, job: Job) -> tuple[str, Places, Job] | None:
    """Extractor and places of a set's images, and the features that the plane was fitted to."""
    at, features = _array(run.file(job, MAP)), None
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
    return np.load(path, allow_pickle=False) if path.is_file() else None


def _left(own: dict[str, Places], summary: Summary) -> Markup:
    """What the figure leaves out."""
    most = MOST // len(own)
    cut = [label for label, places in own.items() if len(places.at) > most]
    none = [label for label in summary.methods if label not in own]
    parts = [f"{most:,} images each of ", join(map(name, cut), ", ")] if cut else []
    parts += ["; " if cut else "", "none of ", join(map(name, none), ", ")] if none else []
    return tag("small", *parts) if parts else Markup()


def _chooser(names: Iterable[str]) -> Markup:
    options = [tag("option", each, value=i) for i, each in enumerate(names)]
    select = tag("select", tag("option", "all classes", value=""), *options, data_class="")
    return tag("label", "Class ", select, class_="chooser")


def _about(real: dict[str, tuple[Places, dict[str, Any]]]) -> Markup:
    shares = [about["explained"] for _, about in real.values()]
    counts = {len(places.at) for places, _ in real.values()}
    both = " and ".join(f"{100 * math.fsum(share):.0f} %" for share in shares)
    return note(
        "Where a set's images lie among real ones: features of the first extractor on the two leading principal "
        f"components of {max(counts):,} training images, drawn class by class. Those two hold {both} of "
        "their variance; what looks near here may be far apart in the rest. Grey is real, a mark is an image of "
        "replicate 0. The metrics below use all dimensions and all images."
    )
