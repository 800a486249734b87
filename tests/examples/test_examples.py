"""What a reader copies: the studies are valid, the plug-in does what it says, and CONTRIBUTING shows that very file."""

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoct.core.budget import Budget
from decoct.core.interfaces import Inputs
from decoct.core.needs import Plan
from decoct.core.spec import find, names
from decoct.data.dataset import parse_source
from decoct.needs.teacher import Teacher, taught
from decoct.nets import zoo
from decoct.nets.pretrained import tagged
from decoct.study.study import Study

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugins" / "nearest_mean.py"
STUDIES = pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.toml")), ids=lambda path: path.name)
SIZES = {"digits": 8, "fashion_mnist": 28, "cifar10": 32, "cifar100": 32, "tiny_imagenet": 64}
SIZES |= {"imagenet1k": 224, "imagenet100": 224, "imagenette": 224}


@STUDIES
def test_every_study_is_valid(path):
    assert Study.from_toml(path).methods()


@STUDIES
def test_every_net_of_every_study_fits_its_images(path):
    study = Study.from_toml(path)
    source = parse_source(study.data)
    size = getattr(source, "size", None) or SIZES[source.name]
    needs = [need for method in study.methods().values() for need in method.at(size).needs()]
    nets = {getattr(need, "net", "teacher") for need in needs} | {*study.students_at(size)}
    for net in nets:
        zoo.check_fits(zoo.resolve(net, size), size)


@pytest.mark.parametrize("name", ["imagenet1k", "imagenet100", "imagenette"])
def test_every_teacher_of_an_imagenet_study_is_loaded_with_the_weights_that_are_asked_for(name):
    study = Study.from_toml(ROOT / "examples" / f"{name}.toml")
    plan = Plan(SimpleNamespace(size=224), teachings=study.teachings())
    needs = [need for method in study.methods().values() for need in method.at(224).needs()]
    nets = {net for protocol in study.recipes().values() for net in protocol.label_teachers(224)}
    nets |= {need.net for need in needs if isinstance(need, Teacher)} | {zoo.judges(224)[0]}
    assert len(nets) > 6
    assert [net for net in nets if not taught(plan, net).pretrained] == []
    named = [net for net in nets if "." in net]
    assert named and [tagged(taught(plan, net).net) for net in named] == named


@given(classes=st.integers(1, 4), ipc=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_nearest_mean_takes_the_images_nearest_to_the_class_mean(classes, ipc, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(classes), 5))
    features = rng.normal(size=(len(labels), 3))
    method = find("condenser", "nearest_mean", (str(PLUGIN),))()
    data = SimpleNamespace(train=SimpleNamespace(labels=labels), class_names=[str(c) for c in range(classes)])
    (need,) = method.needs()
    picks = method(Inputs(data, Budget(ipc=ipc), features={need: features})).indices.reshape(classes, ipc)
    for c, picked in enumerate(picks):
        members = [i for i in range(len(labels)) if labels[i] == c]
        mean = sum(features[i] for i in members) / len(members)
        assert picked.tolist() == sorted(members, key=lambda i: ((features[i] - mean) ** 2).sum())[:ipc]


def test_the_plug_in_is_the_one_that_contributing_shows():
    assert f"```python\n{PLUGIN.read_text('utf-8')}```" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_study_that_the_docs_show_is_valid():
    page = (ROOT / "docs" / "study.md").read_text("utf-8")
    block = page.split("```toml")[1].partition("```")[0]
    study = Study.from_dict(tomllib.loads(block.partition("\n")[2]))
    assert study.methods() and study.recipes()


@pytest.mark.parametrize("kind", ["condenser", "protocol", "metric", "source"])
def test_the_readme_names_everything_that_is_built_in(kind):
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in names(kind) if f"`{name}`" not in readme and f"`{name}:" not in readme] == []


def test_the_architecture_names_every_room_and_every_file_that_it_names_is_there():
    page, home = (ROOT / "docs" / "architecture.md").read_text("utf-8"), ROOT / "src" / "decoct"
    rooms = [path.name for path in home.iterdir() if path.is_dir() and (path / "__init__.py").is_file()]
    assert [room for room in rooms if f"`{room}/`" not in page] == []
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", page)
    assert len(named) > 10
    assert [
        name for name in named if not any((place / name).is_file() for place in (home, ROOT, ROOT / "benchmarks"))
    ] == []
