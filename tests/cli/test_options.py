"""Groups of options: a command has their options one by one, where the group stands, and gets them as one."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.cli import grouped, options
from decoct.cli.options import Format, Json, Machine, Pictures
from decoct.core.errors import UsageError


def test_the_options_of_a_group_stand_where_the_group_does():
    got = {}

    @grouped
    def command(name: str, *, machine: Machine, pictures: Pictures, json: Json = False) -> None:
        """What it does."""
        got.update(name=name, machine=machine, pictures=pictures, json=json)

    laid = inspect.signature(command).parameters
    assert list(laid) == ["name", "device", "threads", "workers", "size", "skip_corrupt", "json"]
    assert laid["device"].default == "auto" and laid["size"].default is None
    assert (command.__name__, command.__doc__) == ("command", "What it does.")
    command(name="x", device="cpu", threads=2, workers=1, size=32, skip_corrupt=True, json=True)
    assert got == {"name": "x", "machine": Machine("cpu", 2, 1), "pictures": Pictures(32, True), "json": True}


def test_a_format_says_which_words_it_takes():
    assert Format(layout="NHWC", number=1).checked().layout == "NHWC"
    with pytest.raises(UsageError, match="layout"):
        Format(layout="WHCN").checked()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("true", True),
        ('"3"', "3"),
        ("unit", "unit"),
        ('["convnet2_bn", "resnet10t"]', ["convnet2_bn", "resnet10t"]),
        ("a=b", "a=b"),
        ("", ""),
        ("1\nname = 2", "1\nname = 2"),
    ],
)
def test_a_value_is_toml_or_else_text(text, value):
    found = options.fields([f"key={text}"])
    assert found == {"key": value} and type(found["key"]) is type(value)


@pytest.mark.parametrize("settings", [["key"], ["=3"], ["a=1", "a=2"], ["name=x"]])
def test_fields_that_cannot_be_meant(settings):
    with pytest.raises(UsageError, match="--set"):
        options.fields(settings)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1))
def test_seeds_are_whole_numbers_with_commas_between(numbers):
    assert options.seeds(",".join(map(str, numbers))) == tuple(numbers)


@pytest.mark.parametrize("word", ["", ",", "1,", "a", "1.5", "0-3"])
def test_other_seeds_are_refused(word):
    with pytest.raises(UsageError, match="--seeds"):
        options.seeds(word)


def test_a_teacher_is_pinned_to_the_content_of_its_file(tmp_path):
    first, same, other = (tmp_path / name for name in "abc")
    for file, content in ((first, b"x"), (same, b"x"), (other, b"y")):
        file.write_bytes(content)
    a, b, c = (options.teachers([f"resnet18={file}"])["resnet18"] for file in (first, same, other))
    assert a.identity() == b.identity() != c.identity()


def test_teachers_that_cannot_be_meant(tmp_path):
    (tmp_path / "a").touch()
    for pairs in (["resnet18"], [f"resnet18={tmp_path / 'none'}"], [f"resnet18={tmp_path / 'a'}"] * 2):
        with pytest.raises(UsageError, match="resnet18"):
            options.teachers(pairs)


@pytest.fixture
def machine(monkeypatch):
    """A machine of so many cores and GPUs."""

    def make(cores, gpus):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr("decoct.study.execute.cores", lambda: cores)
        monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
        monkeypatch.setattr("torch.cuda.is_available", lambda: gpus > 0)
        monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)

    return make


@pytest.mark.parametrize(
    ("cores", "gpus", "said", "workers", "device", "visible"),
    [
        (8, 0, {}, 8, "cpu", ()),
        (8, 0, {"threads": 3}, 2, "cpu", ()),
        (8, 0, {"on": "inline"}, 1, "cpu", ()),
        (8, 0, {"workers": 3}, 3, "cpu", ()),
        (8, 2, {}, 2, "cuda", ("0", "1")),
        (8, 2, {"on": "ray"}, 8, "cuda", ("0", "1")),
        (8, 2, {"gpus": ["train=0.25", "labels=0.3", "measure=0"]}, 8, "cuda", ("0", "1")),
        (8, 2, {"gpus": ["measure=0"]}, 2, "cuda", ("0", "1")),
        (8, 1, {"gpus": ["train=0.1"]}, 10, "cuda", ("0",)),
        (8, 2, {"word": "cuda:1"}, 1, "cuda:1", ()),
        (8, 2, {"word": "cpu"}, 8, "cpu", ()),
        (8, 0, {"on": "ray", "address": "auto"}, None, "cpu", ()),
        (8, 0, {"on": "ray", "address": "auto", "word": "cuda"}, None, "cuda", ()),
    ],
)
def test_a_place_is_as_large_as_the_machine(machine, cores, gpus, said, workers, device, visible):
    machine(cores, gpus)
    words_said = {"on": None, "workers": None, "word": "auto", "threads": 1, "address": None} | said
    place = options.place(**words_said)
    assert (place.workers, place.device, place.visible) == (workers, device, visible)
    assert place.beside == max(1, cores // said.get("threads", 1) - (workers or 0))


def test_shares_of_gpus_are_read():
    assert options.shares(["train=0.25", "teacher=2"]) == {"train": 0.25, "teacher": 2.0}
    for wrong in (["train"], ["train=x"], ["train=1", "train=2"]):
        with pytest.raises(UsageError, match="--gpus"):
            options.shares(wrong)
