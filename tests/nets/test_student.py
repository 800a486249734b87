"""Words for students: the zoo's nets, timm's, files of weights, and callables of the user's."""

import pickle
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from decoct.core.errors import DecoctError, UsageError
from decoct.nets import zoo
from decoct.nets.student import Student, anchored

MODEL = """
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, channels, size):
        super().__init__()
        self.head = nn.Linear(channels * size * size, classes)

    def forward(self, x):
        return self.head(x.flatten(1))

class Many:
    made = Net
    number = 3

def wrong_shape(classes, channels, size):
    return Net(classes + 1, channels, size)

def tuples(classes, channels, size):
    net = Net(classes, channels, size)
    net.register_forward_hook(lambda module, args, out: (out, out))
    return net

def fails(classes, channels, size):
    raise RuntimeError("no such thing")

def nothing(classes, channels, size):
    return None
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a package of the user's in it."""
    package = tmp_path / "here" / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def same(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_a_name_of_the_zoo_is_that_net() -> None:
    student = Student.of("convnet1_w8")
    assert (student.title, student.address, student.identity()) == ("convnet1_w8", "convnet1_w8", {})
    assert same(student.build(1, 10, 8, 3), zoo.build("convnet1_w8", 1, 10, 8, 3))


def test_timms_nets_have_one_name_with_and_without_the_prefix() -> None:
    assert Student.of("timm:test_resnet") == Student.of("test_resnet")
    assert Student.of("timm:resnet18").name == "resnet18.a1_in1k"  # timm's, with the stem for large images
    assert Student.of("resnet18").name == "resnet18"
    with pytest.raises(UsageError, match="timm has no net 'convnet3'"):
        Student.of("timm:convnet3")
    with pytest.raises(UsageError, match="timm calls this net vit_base_patch32_clip"):
        Student.of("timm:clip")
    with pytest.raises(UsageError, match="unknown net 'resnet19'"):
        Student.of("resnet19")


def test_a_file_of_weights_is_known_by_its_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one.pt", tmp_path / "two.pt"
    one.write_bytes(b"1")
    two.write_bytes(b"1")
    first, second = Student.of(f"test_resnet@{one}"), Student.of(f"test_resnet@{two}")
    assert first.title == second.title == "test_resnet@6b86b273"  # SHA-256 of "1"
    assert first.identity() == second.identity()
    assert Student.of(first.address) == first
    two.write_bytes(b"22")
    assert Student.of(f"test_resnet@{two}").title != first.title
    with pytest.raises(UsageError, match="no file of weights at"):
        Student.of("test_resnet@missing.pt")


def test_a_callable_of_the_users_makes_the_net(folder: Path) -> None:
    student = Student.of("my_package.model:Net")
    assert student.where == folder
    net = student.build(3, 7, 4, seed=5)
    assert net(torch.zeros(2, 3, 4, 4)).shape == (2, 7)
    torch.manual_seed(99)
    assert same(net, student.build(3, 7, 4, seed=5))
    assert not same(net, student.build(3, 7, 4, seed=6))
    assert Student.of("my_package.model:Many.made").build(1, 2, 4, 0)(torch.zeros(1, 1, 4, 4)).shape == (1, 2)
    assert str(folder) not in sys.path


def test_its_address_means_it_from_another_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = Student.of("my_package.model:Net").address
    monkeypatch.chdir(tmp_path)
    student = pickle.loads(pickle.dumps(Student.of(address)))
    assert student.title == "my_package.model:Net"
    assert isinstance(student.build(1, 2, 4, 0), nn.Module)
    assert anchored("my_package.model:Net", folder) == address
    assert anchored("my_package.model:Net@here", tmp_path) == address
    assert anchored("other.model:Net", folder) == "other.model:Net"
    assert anchored("test_resnet@a.pt", folder) == f"test_resnet@{folder}/a.pt"
    assert anchored("convnet3", folder) == "convnet3"


def test_changed_code_is_another_student_and_is_read_again(folder: Path) -> None:
    student = Student.of("my_package.model:Net")
    before, keyed = student.build(1, 3, 4, 0), student.identity()
    assert keyed == Student.of("my_package.model:Net").identity()
    source = MODEL.replace("classes)\n\n    def", "classes, bias=False)\n\n    def")
    (folder / "my_package" / "model.py").write_text(source)
    assert student.identity() != keyed
    assert set(before.state_dict()) - set(student.build(1, 3, 4, 0).state_dict()) == {"head.bias"}


def test_two_folders_may_have_modules_of_one_name(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "there" / "my_package"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")
    (other / "model.py").write_text(MODEL + "\nelse_where = Net\n")
    Student.of("my_package.model:Net").build(1, 2, 4, 0)
    Student.of(f"my_package.model:else_where@{other.parent}").build(1, 2, 4, 0)
    with pytest.raises(UsageError, match="its module has no 'else_where'"):
        Student.of("my_package.model:else_where").build(1, 2, 4, 0)


def test_what_cannot_be_a_student_is_said_in_a_line(folder: Path) -> None:
    def tried(word: str) -> None:
        Student.of(word).check_fits(3, 7, 4)

    for word, said in {
        "no_such.model:make": "no module 'no_such' in the current folder, nor installed",
        "my_package.nothing:make": "no module 'my_package.nothing' in",
        "my_package.model:make": "its module has no 'make'",
        "my_package.model:Many.number": "is a int: name a callable of",
        "my_package.model:nothing": "gave a NoneType: it is to make an nn.Module",
        "my_package.model:wrong_shape": r"is not a classifier: it gives \[1, 8\] for one image",
        "my_package.model:tuples": "cannot take 3 × 4 × 4 images: AttributeError",
        "my_package.model:Net@elsewhere": "no folder at",
    }.items():
        with pytest.raises(UsageError, match=said):
            tried(word)
    with pytest.raises(DecoctError, match=r"fails\(7, 3, 4\) failed: RuntimeError: no such thing"):
        tried("my_package.model:fails")
    (folder / "broken.py").write_text("import no_such_library\n")
    (folder / "raising.py").write_text("1 / 0\n")
    with pytest.raises(UsageError, match="broken imports no_such_library, which is not here"):
        tried("broken:make")
    with pytest.raises(UsageError, match="raising fails: ZeroDivisionError"):
        tried("raising:make")
