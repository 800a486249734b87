"""How many wrong labels `decoct shrink` finds, of those that were planted, and how many right ones it doubts.

    python benchmarks/shrink_labels.py --clip FOLDER

5,000 train images of Fashion-MNIST, and 3,000 pictures of clip art in FOLDER by class, as class folders. A share of
the labels becomes any other class, or, of Fashion-MNIST, the class that looks alike. Labels are judged as the command
judges them: by four models, each of which learnt from the other three quarters. *Found* is the share of wrong labels
that is listed, *right* the share of what is listed that is wrong, *suggested* how often the true class is named of what
is found.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decoct.api import load_data
from decoct.core.interfaces import silent
from decoct.data.reading.parallel import cores
from decoct.shrinking.asked import Asked
from decoct.shrinking.folds import Fold
from decoct.shrinking.job import Job
from decoct.shrinking.judge import judged
from decoct.shrinking.learner import Learner
from decoct.shrinking.model import Model
from decoct.shrinking.pool import FACTS, Pool, open_pool
from decoct.shrinking.reading.embed import Embed
from decoct.shrinking.reading.read import read_pool
from decoct.shrinking.trainings import Trainings
from decoct.study.store.store import open_store
from decoct.study.workers.place import Place
from shrink_check import clip_art
from yardstick import table

Labels = NDArray[np.int64]
NET = "timm:tf_efficientnet_lite0"
ALIKE = {0: 6, 6: 0, 2: 4, 4: 2, 5: 7, 7: 5}  # T-shirt and shirt, pullover and coat, sandal and sneaker
SHARES = (0.0, 0.02, 0.1, 0.2)
MODELS = {"scratch": None, "probe": Embed(NET)}
HEAD = ("data", "model", "labels that became", "wrong", "listed", "found", "right", "suggested")


def symmetric(labels: Labels, share: float, classes: int, rng: np.random.Generator) -> Labels:
    """Any other class, of a share of the images."""
    made, some = labels.copy(), rng.permutation(len(labels))[: round(share * len(labels))]
    made[some] = (labels[some] + rng.integers(1, classes, len(some))) % classes
    return made


def confusing(labels: Labels, share: float, rng: np.random.Generator) -> Labels:
    """The class that looks alike, of a share of all images."""
    made = labels.copy()
    able = np.flatnonzero(np.isin(labels, list(ALIKE)))
    some = rng.permutation(able)[: round(share * len(labels))]
    made[some] = [ALIKE[label] for label in labels[some].tolist()]
    return made


def relabelled(pool: Pool, labels: Labels, folder: Path) -> Pool:
    """The same images under other labels."""
    folder.mkdir()
    for path in pool.folder.iterdir():
        if path.is_file() and path.name not in ("labels.npy", FACTS):
            os.link(path, folder / path.name)
    np.save(folder / "labels.npy", labels)
    said = json.loads((pool.folder / FACTS).read_text("utf-8"))
    said["facts"]["digest"] = f"{pool.digest}-{folder.name}"
    (folder / FACTS).write_text(json.dumps(said), "utf-8")
    return open_pool(folder)


def listed(pool: Pool, learner: Learner) -> dict[int, str]:
    """Rows whose label is doubted, and the class that is suggested."""
    rows, none = np.arange(len(pool)), np.empty(0, np.int64)
    fold = Fold(0, rows, (), none)
    job = Job(pool, learner, Asked(), (fold,), 0, lambda title: silent, lambda line: None, none, none)
    place = Place(None, cores())
    store = pool.folder / "trainings"
    make = place.executors(1, open_store(str(store)), [])
    with Trainings(pool, learner, store, make, place.at_once) as trainings:
        problems, _ = judged(job, trainings)
    return {each.rows[0]: each.detail.removeprefix("suggested: ") for each in problems if each.kind == "label_issue"}


def write(folder: Path, images: NDArray[np.uint8], names: list[str]) -> None:
    """Class folders of PNG files."""
    for number, (image, name) in enumerate(zip(images, names, strict=True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(
            folder / name / f"{number:05}.png"
        )


def rows(clip: Path | None, scratch: Path, models: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """One of each data set, model and fault."""
    fashion = load_data("fashion_mnist")
    some = np.asarray(fashion.train.labels[:5000])
    write(scratch / "fashion", np.asarray(fashion.train.images[:5000]), [f"class {label}" for label in some])
    sources = {"Fashion-MNIST": scratch / "fashion"}
    if clip is not None:
        images, _, names = clip_art(clip, 3000)
        write(scratch / "clip", images, names)
        sources["clip art"] = scratch / "clip"
    for name, folder in sources.items():
        for embed in (MODELS[word] for word in models):
            pool = read_pool(str(folder), scratch / "pools", embed=embed, workers=cores())
            model = Model.of("probe" if embed else "scratch", None, NET if embed else None)
            learner = model.learner(pool, "cpu")
            classes = len(pool.class_names)
            for share in SHARES:
                kinds = {"any other class": symmetric(pool.labels, share, classes, np.random.default_rng(0))}
                if name == "Fashion-MNIST" and share:
                    kinds["the class alike"] = confusing(pool.labels, share, np.random.default_rng(0))
                for kind, labels in kinds.items():
                    where = scratch / f"{name[:4]}-{'probe' if embed else 'net'}-{kind[:3]}-{share}"
                    found = listed(relabelled(pool, labels, where), learner)
                    wrong = set(np.flatnonzero(labels != pool.labels).tolist())
                    hits = wrong & set(found)
                    named = [found[row] == pool.class_names[pool.labels[row]] for row in hits]
                    yield (
                        name,
                        learner.title,
                        f"{kind}, {share:.0%}" if share else "nothing",
                        f"{len(wrong):,}",
                        f"{len(found):,}",
                        f"{len(hits) / len(wrong):.0%}" if wrong else "",
                        f"{len(hits) / len(found):.0%}" if wrong and found else "",
                        f"{np.mean(named):.0%}" if named else "",
                    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--clip", type=Path, help="folder of clip art; without it Fashion-MNIST alone")
    asked.add_argument("--model", choices=MODELS, nargs="+", default=list(MODELS), help="that judges; default: both")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(table(HEAD, []))
        for row in rows(given.clip, Path(scratch), given.model):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
