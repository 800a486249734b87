"""The answer: which images, how far they carry, and how that was shown; plain data, as ``--json`` prints it."""

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from decoct.shrinking.made import Made


@dataclass(frozen=True)
class Measured:
    """An accuracy from 0 to 1 with its 95 % interval, NaN where there is none.

    Attributes:
        n: students.
        images: that were tested.
    """

    mean: float
    lo: float
    hi: float
    n: int
    images: int


@dataclass(frozen=True)
class Point:
    """A method at a size, as the race left it (on held-out train images) or as the test showed it.

    Attributes:
        method: by name, such as "herding" or "el2n_easy".
        images: of the set; with folds, the mean.
        fraction: of the candidates.
        accuracy: of students.
        on: "race" or "test".
        status: "racing", "dropped", "chosen"; of a test "shown", "not shown".
        loss: full data minus this, with its one-sided 95 % bound as ``hi``; None where it was not compared.
    """

    method: str
    images: int
    fraction: float
    accuracy: Measured
    on: str
    status: str
    loss: Measured | None = None


@dataclass(frozen=True)
class Class:
    """What one class gives, and loses.

    Attributes:
        name: of the class.
        images: that there are.
        kept: of them.
        full, small: accuracy on all images and on the set, 0 to 1.
        bound: one-sided 95 % bound on what it loses.
    """

    name: str
    images: int
    kept: int
    full: float
    small: float
    bound: float


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with an image, or with a group of them.

    Attributes:
        kind: "unreadable", "exact_duplicates", "near_duplicates", "leak", "two_labels", "label_issue", "outlier",
            "extension".
        rows: of the pool; for duplicates the image that stays comes first; empty for an unreadable file.
        paths: of these images, or of the file.
        labels: the class of each, by name.
        detail: in a few words, such as the reason or the suggested label.
        score: for an order within its kind, larger is worse.
    """

    kind: str
    rows: tuple[int, ...]
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    detail: str
    score: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What ``decoct shrink`` found.

    Attributes:
        said: the sentences, in order.
        source: what the user named.
        learner: what was trained.
        candidates: images that a set was chosen from.
        asked: what was asked, such as {"within": 0.03}.
        decided: "shown", "not_shown", "not_decidable", "asked_size", "curve", "check", "unfinished".
        method, images, fraction: of the set; None where none is given.
        full: accuracy with all candidates, on test.
        small: the set's, on test; None without a set.
        loss: full minus small, ``hi`` is the one-sided 95 % bound.
        smallest_margin: the closest that the test images can show.
        images_needed: test images that the margin would take; None where they suffice.
        random_needed: random images that reach the same accuracy, [mean, lo, hi]; None where that is not known.
        points: of the race and of the test.
        classes: by class.
        problems: of the images.
        cost: seconds by part: reading, choosing, race, test; and ``pays_after``, trainings after which choosing pays.
        test: how images were tested: "folder", "folds" or "set_aside", number of folds, of test images.
        files: where the set and the lists are.
        rows: of the set, as places among all images of the source; not in the JSON, since the lists name them.
        made: the images of a set that was made, which has no rows; not in the JSON, since they are written as files.
        unfinished: what was not done, where it was stopped; empty for a whole answer.
    """

    said: tuple[str, ...]
    source: str
    learner: str
    candidates: int
    asked: dict[str, Any]
    decided: str
    method: str | None = None
    images: int | None = None
    fraction: float | None = None
    full: Measured | None = None
    small: Measured | None = None
    loss: Measured | None = None
    smallest_margin: float | None = None
    images_needed: int | None = None
    random_needed: tuple[float, float, float] | None = None
    points: tuple[Point, ...] = ()
    classes: tuple[Class, ...] = ()
    problems: tuple[Problem, ...] = ()
    cost: dict[str, float] = field(default_factory=dict)
    test: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    rows: tuple[int, ...] = ()
    made: Made | None = None
    unfinished: str = ""

    @classmethod
    def checked(
        cls, said: tuple[str, ...], source: str, candidates: int, problems: tuple[Problem, ...], cost: dict[str, float]
    ) -> "Answer":
        """That of a mere check."""
        return cls(said, source, "", candidates, {"check": True}, "check", problems=problems, cost=cost)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with None for what is no number."""
        said: dict[str, Any] = _plain(asdict(replace(self, rows=(), made=None)))
        del said["rows"], said["made"]
        return said


def _plain(value: Any) -> Any:
    """The same with None for what is no number of JSON."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
