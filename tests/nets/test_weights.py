"""Checkpoints: read without running anybody's code, refused if they are of other classes, heads cut by name."""

import os
from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from decoct.core.errors import DecoctError
from decoct.nets import weights, zoo
from decoct.nets.features import classifier
from decoct.nets.imagenet_classes import english, wnids
from decoct.nets.renormalise import Normalisation
from decoct.nets.weights import Fitted, Weights, fit, read, same_classes, write

NET, NAMES = "convnet2_bn_w8", ("dark", "bright")
PLAIN = Normalisation((0.5,), (0.25,))
FISH = [wnids()[row] for row in (0, 217, 701)]


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def fresh(seed=0, classes=2):
    return zoo.build(NET, 1, classes, 8, seed)


def assert_same(net, expected):
    assert all(torch.equal(value, expected[name]) for name, value in net.state_dict().items())


# Reading


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("form", ["safetensors", "bare", "state_dict", "model"])
def test_a_checkpoint_gives_its_weights_back(tmp_path, form, prefix):
    expected = state(fresh(seed=1))
    named = {prefix + name: value for name, value in expected.items()}
    file = tmp_path / ("net.safetensors" if form == "safetensors" else "net.pt")
    if form == "safetensors":
        save_file(named, file)
    else:
        torch.save(named if form == "bare" else {form: OrderedDict(named), "epoch": 3}, file)
    found = read(file)
    assert (found.origin, found.class_names, found.normalisation) == (file.name, None, None)
    net = fresh(seed=0)
    assert fit(net, found, NAMES) == Fitted()
    assert_same(net, expected)


class Code:
    """Runs something when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("wrap", [lambda code: code, lambda code: {"state_dict": state(fresh()), "args": code}])
def test_pickled_code_is_refused_and_never_run(tmp_path, wrap):
    torch.save(wrap(Code(str(tmp_path / "ran"))), tmp_path / "net.pt")
    with pytest.raises(DecoctError, match="more than weights"):
        read(tmp_path / "net.pt")
    assert not (tmp_path / "ran").exists()


def test_a_pickled_module_is_refused(tmp_path):
    torch.save(fresh(), tmp_path / "net.pt")
    with pytest.raises(DecoctError, match="more than weights"):
        read(tmp_path / "net.pt")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_a_damaged_checkpoint_is_an_error(tmp_path, suffix, keep):
    file = tmp_path / f"net{suffix}"
    save_file(state(fresh()), file) if suffix == ".safetensors" else torch.save(state(fresh()), file)
    blob = file.read_bytes()
    file.write_bytes(blob[: keep if isinstance(keep, int) else int(len(blob) * keep)])
    with pytest.raises(DecoctError, match=r"net\.(pt|safetensors)") as caught:
        read(file)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize(
    "header", ["", "[]", "{}", '{"class_names": 3}', '{"class_names": ["a"], "mean": 1, "std": 2}']
)
def test_a_damaged_header_is_an_error(tmp_path, header):
    save_file(state(fresh()), tmp_path / "net.safetensors", metadata={weights.HEADER: header})
    with pytest.raises(DecoctError, match="damaged"):
        read(tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    "what", [torch.zeros(3), [1, 2], {"a": 1}, {1: torch.zeros(1)}, {}, {"state_dict": {"a": [1]}}]
)
def test_what_is_no_state_dict_is_refused(tmp_path, what):
    torch.save(what, tmp_path / "net.pt")
    with pytest.raises(DecoctError, match="no state dict"):
        read(tmp_path / "net.pt")


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (lambda: zoo.build("convnet2_bn_w16", 1, 2, 8, 0), "size mismatch"),
        (lambda: zoo.build("convnet3_bn_w8", 1, 2, 8, 0), "features"),
        (lambda: nn.Linear(2, 2), "Missing key"),
    ],
)
def test_a_checkpoint_of_another_net_is_refused_in_few_words(tmp_path, other, complaint):
    save_file(state(other()), tmp_path / "net.safetensors")
    with pytest.raises(DecoctError, match=rf"does not fit the net: .*{complaint}") as caught:
        fit(fresh(), read(tmp_path / "net.safetensors"), NAMES)
    assert len(str(caught.value).splitlines()) <= 3
    assert len(str(caught.value)) < 600


# Classes


def test_a_saved_net_says_its_classes_and_its_normalisation(tmp_path):
    net = fresh(seed=1)
    for name in ("a", "b"):
        write(tmp_path / f"{name}.safetensors", net, NAMES, PLAIN)
    found = read(tmp_path / "a.safetensors")
    assert (found.class_names, found.normalisation) == (NAMES, PLAIN)
    again = fresh()
    assert fit(again, found, NAMES) == Fitted()
    assert_same(again, state(net))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("bright", "dark"), "in another order: its class 0 is 'dark', the data's is 'bright'"),
        (("dark", "light"), "others: its class 1 is 'bright', the data's is 'light'"),
        (("dark", "bright", "red"), "others: its class 2 is missing, the data's is 'red'"),
    ],
)
def test_shuffled_or_other_classes_are_refused(tmp_path, names, said):
    write(tmp_path / "net.safetensors", fresh(), NAMES, PLAIN)
    net = fresh(seed=1, classes=len(names))
    before = state(net)
    with pytest.raises(DecoctError, match=said):
        fit(net, read(tmp_path / "net.safetensors"), names)
    assert_same(net, before)


@given(names=st.permutations(list("abcdefgh")), extra=st.booleans())
def test_the_first_difference_is_named(names, extra):
    names = names + ["i"] * extra
    taught = sorted(names)[: len(names) - extra]
    if names == taught:
        same_classes(taught, names, "it")
        return
    place = next(i for i, name in enumerate(names) if i >= len(taught) or name != taught[i])
    with pytest.raises(DecoctError, match=rf"class {place} is .*'{names[place]}'"):
        same_classes(taught, names, "it")


@pytest.mark.parametrize("names", [("c",), ("d", "a"), ("a", "b", "d")])
def test_a_part_of_the_classes_of_a_saved_net_is_taken_by_name(tmp_path, names):
    full = fresh(seed=1, classes=4).eval()
    write(tmp_path / "net.safetensors", full, "abcd", PLAIN)
    part = fresh(classes=len(names))
    assert fit(part, read(tmp_path / "net.safetensors"), names) == Fitted(sliced_from=4)
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(part.eval()(x), full(x)[:, ["abcd".index(name) for name in names]])


def test_a_net_that_names_more_classes_than_it_has_outputs_is_damaged(tmp_path):
    write(tmp_path / "net.safetensors", fresh(), "abc", PLAIN)
    with pytest.raises(DecoctError, match="2 outputs, and names 3 classes"):
        fit(fresh(), read(tmp_path / "net.safetensors"), "ab")


def test_another_number_of_unnamed_classes_is_refused():
    with pytest.raises(DecoctError, match=r"net\.pt has 3 outputs, and the data have 2 classes"):
        fit(fresh(), Weights(state(fresh(classes=3)), "net.pt"), NAMES)


# ImageNet's heads

HEADS = [  # name, module of the head, size
    ("test_resnet", "fc", 8),
    ("test_efficientnet", "classifier", 32),
    ("test_vit", "head", 32),
    ("test_convnext", "head.fc", 32),
    ("shufflenet_v2_x0_5", "fc", 32),  # torchvision's
    ("resnet18", "fc", 8),
    ("mobilenet_v3_small", "classifier.3", 32),  # torchvision's
]


@pytest.mark.parametrize(("name", "head", "size"), HEADS)
def test_the_cut_head_s_logits_are_the_full_head_s_at_the_classes(name, head, size):
    full = zoo.build(name, 3, 1000, size, seed=1).eval()
    assert full.get_submodule(head) is classifier(full)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    part = zoo.build(name, 3, 3, size, seed=2).eval()
    assert fit(part, Weights(state(full), "it"), FISH) == Fitted(sliced_from=1000, imagenet=True)
    with torch.no_grad():
        torch.testing.assert_close(part(x), full(x)[:, [0, 217, 701]])


@pytest.mark.parametrize("names", [FISH, FISH[::-1], [english()[row] for row in (701, 0)]])
def test_classes_are_taken_in_the_order_of_the_data(names):
    full = fresh(classes=1000)
    part = fresh(seed=1, classes=len(names))
    fit(part, Weights(state(full), "it"), names)
    table = wnids() if names[0] in wnids() else english()
    expected = full.classifier.weight[[table.index(name) for name in names]]
    assert torch.equal(part.classifier.weight, expected)
    assert torch.equal(part.classifier.bias, full.classifier.bias[[table.index(name) for name in names]])


def test_a_class_that_imagenet_does_not_have_is_told():
    with pytest.raises(DecoctError, match="'dark' is not a class of ImageNet-1K"):
        fit(fresh(), Weights(state(fresh(classes=1000)), "it"), NAMES)


def test_a_whole_head_is_taken_as_it_is_and_a_permuted_one_only_where_its_order_is_known():
    full = state(fresh(seed=1, classes=1000))
    net = fresh(classes=1000)
    assert fit(net, Weights(full, "it"), wnids()) == Fitted(imagenet=True)
    assert_same(net, full)
    assert fit(net, Weights(full, "it"), [f"class {i}" for i in range(1000)]) == Fitted()
    swapped = [*wnids()[1:], wnids()[0]]
    with pytest.raises(DecoctError, match="does not say whether"):
        fit(net, Weights(full, "it"), swapped)
    assert fit(net, Weights(full, "it", imagenet=True), swapped) == Fitted(imagenet=True)
    assert torch.equal(net.classifier.weight, full["classifier.weight"].roll(-1, 0))


class Convolutional(nn.Module):
    """A net whose logits come from a convolution."""

    def __init__(self, classes):
        super().__init__()
        self.last = nn.Conv2d(1, classes, 1)

    def forward(self, x):
        return self.last(x).mean((2, 3))


def test_a_head_that_is_not_linear_is_loaded_whole_but_not_cut():
    expected = state(Convolutional(2))
    net = Convolutional(2)
    assert fit(net, Weights(expected, "it", class_names=NAMES), NAMES) == Fitted()
    assert_same(net, expected)
    with pytest.raises(DecoctError, match="no linear head"):
        fit(Convolutional(1), Weights(expected, "it", class_names=NAMES), ["dark"])
    with pytest.raises(DecoctError, match="no linear head of ImageNet"):
        fit(Convolutional(1), Weights(expected, "it", imagenet=True), [wnids()[0]])
