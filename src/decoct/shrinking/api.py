"""``decoct.shrink``: which of my images do I need?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from decoct.shrinking.answer import Answer
from decoct.shrinking.asked import Asked
from decoct.shrinking.run import run
from decoct.study.device import resolve
from decoct.study.workers.place import Place

__all__ = ["shrink"]


def shrink(
    data: Any,
    *,
    within: float | str | None = None,
    images: int | None = None,
    fraction: float | None = None,
    worst: float | None = None,
    minutes: float | None = None,
    out: Path | str | None = None,
    how: str = "copy",
    student: str | None = None,
    protocol: str | None = None,
    extractor: str | None = None,
    methods: Sequence[str] = (),
    distil: Sequence[str | Mapping[str, Any]] = (),
    keep: Path | str | None = None,
    groups: str | None = None,
    size: int | None = None,
    folds: int | None = None,
    seed: int = 0,
    workers: int = 1,
    device: str = "cpu",
    check: bool = False,
    force: bool = False,
) -> Answer:
    """Find the smallest set of labelled images that trains a model as well as all of them.

    Methods race on held-out train images; what they choose is tested once, with fresh students, on the test images, or
    in folds where there are none. The same call again continues where it was stopped.

    Args:
        data: a folder of class folders, with or without train, val and test; a .csv with path, label and, if wanted,
            split and group; WebDataset shards; "hub:OWNER/NAME" or what ``save_to_disk`` made; a decoct data set by
            name; or a map-style ``Dataset`` of (image, label), or a dict of them by split.
        within: the smallest set *shown* to lose at most so many points, or "2%" of the accuracy.
        images: instead, the best set of so many images.
        fraction: the same as a share. Without any of the three: the curve, and the size of its knee.
        worst: besides, no class may lose more than so many points.
        minutes: to plan for; None for ten.
        out: folder for the set's files, the lists and the page; None to write nothing.
        how: "copy", "symlink", "hardlink", or "list" for the lists alone.
        student: what is trained: a net's name, "timm:NAME", or "package.module:make", a function of (classes,
            channels, size) that gives an ``nn.Module``; None for a small net that fits the images.
        protocol: "scratch", "finetune" or "probe"; None for a probe where pretrained weights are at hand and no student
            is named, else from scratch.
        extractor: whose frozen features a probe looks at.
        methods: that race; none for those that are known to hold at such sizes.
        distil: methods that *make* images and race beside the others at small sizes: "dm", "dc", "dsa", or with
            parameters {"name": "dm", "iterations": 300}; the rest is as in their papers, and takes hours on a CPU. What
            is made has at most 50 images of a class; a final set that is made is in ``made``, not in
            ``rows``. No probe, and no ``keep``.
        keep: a list of paths, or an earlier ``kept.csv``, that the set is to have.
        groups: a column of the .csv, or a regular expression on paths; images of one group stay on one side.
        size: side in pixels at which students see the images.
        folds: where there are no test images; each image is tested once. With 1 a fifth is set aside for the test. None
            for 5, or 1 from 50,000 images on.
        seed: of every draw.
        workers: trainings at once; more than 1 starts processes, so a script then needs ``if __name__ == "__main__"``.
        device: where to compute.
        check: only say what is wrong with the images.
        force: replace what decoct made at ``out``.

    Returns:
        the answer: ``said`` in sentences, ``rows`` of the set, accuracies with intervals, ``problems`` of the images.

    Raises:
        UsageError: words that do not go together, or too few images.
        DecoctError: the images cannot be read, a training fails, or files cannot be written.

    Example:
        >>> look = decoct.shrink("digits", check=True)
        >>> look.decided, look.problems
        ('check', ())
    """
    return run(
        data,
        Asked.of(within, images, fraction, worst, minutes),
        out=None if out is None else Path(out),
        way=how,
        student=student,
        protocol=protocol,
        extractor=extractor,
        methods=methods,
        distil=distil,
        keep=None if keep is None else Path(keep),
        groups=groups,
        size=size,
        parts=folds,
        seed=seed,
        place=Place(None, workers, resolve(device)),
        only_check=check,
        force=force,
    )
