"""The studies of published numbers: as long as the papers, beside the numbers that they must reach, and able to run."""

import csv
import re
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from decoct.data.dataset import Dataset, Split, parse_source
from decoct.study.estimate.plan import make_plan
from decoct.study.run import run
from decoct.study.study import Study

FILES = sorted((Path(__file__).parents[2] / "examples" / "published").glob("*.toml"))
SHAPES = {"cifar10": (10, 4999, 32), "cifar100": (100, 499, 32), "tiny_imagenet": (200, 499, 64)}  # classes, each, px
QUICK = {"iterations": 2, "experts": 2, "epochs": 4, "expert_epochs": 1, "syn_steps": 2, "batch": 2, "inner": 1}
QUICK |= {"outer": 2, "batch_syn": 5, "max_start_epoch": 3, "first_max_start_epoch": 2, "min_start_epoch": 1}
STUDIES = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def listed(path):
    """Method, IPC, accuracy and error, as the head of a study says them."""
    for method, said in re.findall(r"^#   (\w+) +(\d+: .*)$", path.read_text("utf-8"), re.MULTILINE):
        for ipc, accuracy, error in re.findall(r"(\d+): ([\d.]+) ± ([\d.]+)", said):
            yield method, int(ipc), accuracy, error


@STUDIES
def test_the_numbers_to_be_reached_are_those_that_a_report_shows(path):
    study, name = Study.from_toml(path), parse_source(Study.from_toml(path).data).name
    table = csv.DictReader((files("decoct.report") / "published.csv").read_text("utf-8").splitlines())
    known = {
        (row["method"], int(row["ipc"]), row["accuracy"], row["error"])
        for row in table
        if (row["data"], row["student"]) == (name, "ConvNet")
    }
    wanted = {(method, budget.ipc) for method in study.methods() for budget in study.budgets} & {k[:2] for k in known}
    assert {each[:2] for each in listed(path)} == wanted and {*listed(path)} <= known


@STUDIES
def test_a_plan_has_the_sets_students_and_experts_of_the_paper(path):
    study = Study.from_toml(path)
    name = parse_source(study.data).name
    classes, of_each, size = SHAPES[name]

    def split(each):
        labels = np.repeat(np.arange(classes), each)
        return Split(np.broadcast_to(np.uint8(0), (len(labels), 3, size, size)), labels)

    names = tuple(str(c) for c in range(classes))
    half = (0.5,) * 3
    data = Dataset(name, names, "stand-in", split(of_each), split(1), split(1), half, half, True, path)
    kinds = Counter(job.kind for job in make_plan(study, data).jobs.values())
    sets = len(study.methods()) * len(study.budgets) * study.replicates.condense
    random = sets // len(study.methods()) if "dc" in study.methods() else 0  # its students learn under both protocols
    assert kinds["condense"] == sets and kinds["train"] == 5 * (sets + random)
    experts = {"mtt": (100, 50), "datm": (100, 100)}.get(path.stem.partition("_")[0], (0, 0))
    assert kinds["trajectory"] == experts[0]
    assert all((spec.experts, spec.epochs) == experts for spec in study.methods().values() if experts[0])


def many(path):
    """Whether there are so many classes that a rehearsal takes half a minute."""
    return path.stem == "cifar100" or "tiny_imagenet" in path.stem


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.slow] if many(path) else [], id=path.stem) for path in FILES]
)
def test_a_rehearsal_of_little_of_everything_runs(path, tmp_path):
    table = tomllib.loads(path.read_text("utf-8"))
    classes, _, size = SHAPES[table["data"]["name"]]
    rng = np.random.default_rng(0)
    for split, each in (("train", 5), ("test", 1)):
        for label in range(classes):
            (tmp_path / "pictures" / split / f"{label:03}").mkdir(parents=True)
            for number in range(each):
                pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pictures" / split / f"{label:03}" / f"{number}.png")
    zca = {name: value for name, value in table["data"].items() if name == "zca"}
    table["data"] = {"name": "folder", "path": str(tmp_path / "pictures"), "size": size} | zca
    table["students"] = [f"{table['students'][0]}_w8"]
    table["budgets"], table["replicates"] = [{"ipc": 2}], {"condense": 1, "train": 1}
    methods = [{"name": one} if isinstance(one, str) else one for one in table["condensers"]]
    table["condensers"] = [quick(one, table["students"][0]) for one in methods]
    table["protocols"] = [one | {"epochs": 2} for one in table["protocols"]]
    assert run(Study.from_dict(table), tmp_path / "run") == {}


def quick(method, net):
    """A method with the numbers of its paper cut down, those that it has."""
    has = type(next(iter(Study(name="x", condensers=(method,), protocols=("dc",)).methods().values()))).model_fields
    return method | {name: value for name, value in (QUICK | {"net": net}).items() if name in has}
