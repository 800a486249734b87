"""The table of blind spots in docs/metrics.md: every cell is read off a constructed set.

Classes of ten overlapping modes each, and beside every constructed set as many new images, drawn as the real ones are.
A mark stands for a mean beyond two standard deviations of what such new sets read.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from decoct.core.interfaces import Measured
from decoct.core.spec import find, names, parse
from decoct.metrics.prdc import prdc
from decoct.study.work.measuring import readings

MODES, D, OFF, APART, RUNS = 10, 36, 3.0, 6.0, 24
SETS = ("one mode", "shrunk", "copies", "noise", "mixed classes", "near-members")
TRAIN = "`coverage_ratio` against train"  # which decoct does not read of such sets: of 12 classes, 30 images of each
METRICS = [name for name in sorted(names("metric")) if name != "cost"]


class World:
    """Modes on a sphere about the mean of each class."""

    def __init__(self, rng, classes, per_class, real):
        self.rng, self.classes = rng, classes
        self.labels, self.of_real = (np.repeat(np.arange(classes), n) for n in (per_class, real))
        around = rng.normal(size=(classes, MODES, D))
        around -= around.mean(1, keepdims=True)
        self.means = APART * np.linalg.qr(rng.normal(size=(D, classes)))[0].T
        self.modes = self.means[:, None] + OFF * around / np.linalg.norm(around, axis=2, keepdims=True)
        self.real = {split: self.draw(self.of_real) for split in ("train", "val")}

    def draw(self, labels):
        mode = self.rng.integers(MODES, size=len(labels))
        return self.modes[labels, mode] + self.rng.normal(size=(len(labels), D))

    def sets(self):
        rng, labels, train, n = self.rng, self.labels, self.real["train"], len(self.labels)
        new, means = self.draw(labels), self.means[labels]
        members = [rng.choice(np.flatnonzero(self.of_real == c), n // self.classes, False) for c in range(self.classes)]
        return {
            "new": self.draw(labels),
            "one mode": self.modes[labels, 0] + 0.3 * rng.normal(size=(n, D)),
            "shrunk": means + 0.5 * (new - means),
            "copies": new[np.arange(n) // 5 * 5],
            "noise": train.mean(0) + 2 * train.std(0).mean() * rng.normal(size=(n, D)),
            "mixed classes": self.draw((labels + 1) % self.classes),
            "near-members": train[np.concatenate(members)] + 0.05 * rng.normal(size=(n, D)),
        }

    def logits(self, images):
        """Of the best judge there is: log densities of the classes."""
        squares = ((images[:, None, None] - self.modes) ** 2).sum(-1)
        return np.logaddexp.reduce(-squares / 2, axis=2)

    def measured(self, images):
        labels, classes = dict.fromkeys(self.real, self.of_real), tuple(map(str, range(self.classes)))
        return Measured(images, self.labels, self.real, labels, classes, False, self.logits(images))


@cache
def values():
    """Over the runs, by set and reading; what leads is read against the split that it leads with, by class first."""
    found = {}
    for run in range(RUNS):
        world = World(np.random.default_rng(run), 3, 10, 300)
        for name, images in world.sets().items():
            measured = world.measured(images)
            for metric in (parse("metric", known) for known in METRICS):
                rows = readings(metric, measured, "features")
                leads = {row["reference"] for row in rows if row["lead"]}
                own = [row for row in rows if row["reference"] in leads]
                for row in {row["metric"]: row for row in reversed(own)}.values():
                    found.setdefault((name, f"`{row['metric']}`"), []).append(row["value"])
        world = World(np.random.default_rng(run), 12, 30, 300)
        for name, images in world.sets().items():
            classes = [(world.real["train"][world.of_real == c], images[world.labels == c]) for c in range(12)]
            covers = np.mean([prdc(*both)["coverage_ratio"] for both in classes])
            found.setdefault((name, TRAIN), []).append(covers)
    return {key: np.array(own) for key, own in found.items()}


def mark(reading, of):
    """▲ for a set that reads better than new images, ▼ worse, ≈ neither; △ and ▽ of what is neither good nor bad."""
    own, new = values()[of, reading], values()["new", reading]
    better = {f"`{name}`": up for known in METRICS for name, up in find("metric", known).higher_is_better.items()}
    spread = new.std(ddof=1)
    apart = own.mean() - new.mean()
    assert abs(abs(apart) - 2 * spread) > 0.2 * spread or apart == spread == 0, "too near to call: construct it anew"
    if abs(apart) <= 2 * spread:
        return "≈"
    if better.get(reading, True) is None:
        return "△" if apart > 0 else "▽"
    return "▲" if (apart > 0) == better.get(reading, True) else "▼"


def table():
    """Cells by row of the page's table."""
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    head = f"| reading | {' | '.join(SETS)} |"
    assert page.count(head) == 1
    rows = page.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    cells = ([cell.strip() for cell in row.strip("|").split("|")] for row in rows)
    return {first: dict(zip(SETS, rest, strict=True)) for first, *rest in cells}


def test_all_leading_readings_are_in_the_table():
    leading = {f"`{lead}`" for name in METRICS for lead in find("metric", name).lead}
    assert leading <= set(table()) and TRAIN in table()


@pytest.mark.parametrize("of", SETS)
@pytest.mark.parametrize("reading", table())
def test_a_cell_says_what_a_constructed_set_reads(reading, of):
    assert table()[reading][of] == mark(reading, of)


def test_every_set_is_told_from_new_images_by_some_reading_and_no_reading_tells_all():
    for of in SETS:
        assert {row[of] for name, row in table().items() if name != TRAIN} - {"≈", "▲"}, of
    assert not any(set(row.values()) == {"▼"} for row in table().values())
