"""Classes by name, sizes up to the generator's: what fits a generator to the data, and what is refused."""

from types import SimpleNamespace

import pytest
import torch

from decoct.core.errors import DecoctError, UsageError
from decoct.needs.generator import adapted
from decoct.nets import imagenet_classes, pipeline
from decoct.nets.pipeline import Pipeline

LETTERS = ("a", "b", "c")


def data(names=LETTERS, size=8, channels=1):
    return SimpleNamespace(class_names=tuple(names), size=size, shape=(channels, size, size), name="letters")


def table(embeddings, null=None, names=None):
    """A model of which the table of classes alone matters: it stands for 8 px, grey."""
    net = torch.nn.Linear(1, 1)
    net.config = SimpleNamespace(sample_size=8, in_channels=1)
    return Pipeline(net, None, torch.ones(3), "epsilon", embeddings, null, names)


def fit(found, of=None, **facts):
    model = adapted(found, of or data(), "the model", facts)
    return model.rows.tolist(), model.null


@pytest.mark.parametrize(
    ("embeddings", "null", "names", "rows", "none"),
    [
        (4, None, "abc", [0, 1, 2], 3),  # one embedding more than there are names
        (3, None, "abc", [0, 1, 2], None),
        (4, True, "abc", [0, 1, 2], 3),
        (6, True, "xcbay", [3, 2, 1], 5),  # of a larger one, by name
        (5, None, "xcbay", [3, 2, 1], None),
    ],
)
def test_classes_are_taken_by_name(embeddings, null, names, rows, none):
    assert fit(table(embeddings, null), class_names=list(names)) == (rows, none)
    assert fit(table(embeddings, null, tuple(names))) == (rows, none)  # of diffusers' own index


def test_what_a_folder_says_of_itself_goes_before_diffusers_index():
    assert fit(table(4, True, ("x", "y", "z")), class_names=list(LETTERS)) == ([0, 1, 2], 3)


@pytest.mark.parametrize("names", ["ids", "english"])
@pytest.mark.parametrize("said", [None, "english"])
@pytest.mark.parametrize(("embeddings", "null", "none"), [(1001, True, 1000), (1001, None, 1000), (1000, None, None)])
def test_classes_of_imagenet_are_found_in_its_order(names, said, embeddings, null, none):
    tables = {"ids": imagenet_classes.wnids(), "english": imagenet_classes.english()}
    own = data([tables[names][row] for row in (7, 3, 999)])
    assert fit(table(embeddings, null, said and tables[said]), own) == ([7, 3, 999], none)


@pytest.mark.parametrize(
    ("embeddings", "null", "names", "said"),
    [
        (4, True, None, "which of its 3 classes"),  # equal numbers say nothing
        (3, None, None, "which of its 3 classes"),
        (5, True, None, "makes 4 classes, letters has 3"),
        (11, None, None, "makes 10 classes, letters has 3"),
        (4, True, "acb", "in another order"),
        (4, True, "abx", "others: its class 2 is 'x', the data's is 'c'"),
        (5, True, "abxy", "makes 4 classes, letters has 3, and 'c' is none"),
        (3, True, "ab", "makes 2 classes, letters has 3, and 'c' is none"),
        (6, None, "abc", "6 embeddings of classes, and names 3 classes"),
        (3, True, "abc", "3 embeddings of classes, and names 3 classes"),
        (1001, True, None, "ImageNet-1K's 1,000 classes, the data have 3"),
        (1000, None, None, "ImageNet-1K's 1,000 classes, the data have 3"),
    ],
)
def test_other_classes_are_refused(embeddings, null, names, said):
    with pytest.raises(DecoctError, match=said):
        fit(table(embeddings, null, names and tuple(names)))


def test_a_model_without_a_null_class_cannot_be_guided(tiny_pipeline):
    found = pipeline.read(tiny_pipeline("unet", classes=3, null=False, vae=False))
    model = adapted(found, data(), "the model", {"class_names": list(LETTERS)})
    x, labels = torch.randn(2, 1, 8, 8), torch.tensor([0, 2])
    with torch.no_grad():
        assert model.predict(x, 10, labels).noise.shape == x.shape
    with pytest.raises(UsageError, match="guidance = 1"):
        model.predict(x, 10, labels, guidance=2.0)


@pytest.mark.parametrize(("size", "fits"), [(1, True), (3, True), (6, True), (8, True), (9, False)])
def test_images_are_of_the_datas_size_or_larger(tiny_pipeline, size, fits):
    found, own = pipeline.read(tiny_pipeline(classes=3)), data(size=size)
    if not fits:
        with pytest.raises(UsageError, match=f"makes images of 8 px, letters has {size} px"):
            adapted(found, own, "the model", {"class_names": list(LETTERS)})
        return
    model = adapted(found, own, "the model", {"class_names": list(LETTERS)})
    images = torch.randint(0, 256, (2, 1, size, size), dtype=torch.uint8)
    with torch.no_grad():
        latents = model.encode(images)
        assert latents.shape == (2, 4, 4, 4) and model.decode(latents).shape == (2, 1, size, size)


@pytest.mark.parametrize(
    ("vae", "own", "channels", "fits"),
    [(True, 1, 1, True), (True, 1, 3, True), (True, 1, 2, False), (False, 1, 3, False), (False, 3, 3, True)],
)
def test_channels_fit_or_are_refused(tiny_pipeline, vae, own, channels, fits):
    found = pipeline.read(tiny_pipeline("unet", classes=3, vae=vae, channels=own))
    of = data(channels=channels)
    if fits:
        model = adapted(found, of, "the model", {"class_names": list(LETTERS)})
        with torch.no_grad():
            made = model.decode(model.encode(torch.zeros(1, channels, 8, 8, dtype=torch.uint8)))
        assert made.shape == (1, channels, 8, 8)
    else:
        with pytest.raises(DecoctError, match=rf"channel\(s\), letters has {channels}"):
            adapted(found, of, "the model", {"class_names": list(LETTERS)})


def test_it_is_frozen_and_says_what_it_is(tiny_pipeline):
    found = pipeline.read(tiny_pipeline(classes=3))
    model = adapted(found, data(), "the model", {"class_names": list(LETTERS), "seen": "much"})
    assert not any(p.requires_grad for net in (model.net, model.vae) for p in net.parameters())
    weights = sum(p.numel() for p in model.net.parameters())
    expected = {"latent": [4, 4, 4], "pixels": 8, "prediction": "epsilon", "null": 3, "parameters": weights}
    expected |= {"guided": 3, "text": False}
    assert model.facts == expected | {"class_names": list(LETTERS), "seen": "much"}
