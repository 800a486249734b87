"""Generators: trained on digits, from a folder, from the hub's cache; pinned by content, or refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import constants

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Machine
from decoct.core.spec import build
from decoct.data.dataset import load_data
from decoct.needs import generator as needed
from decoct.needs.generator import TeachGenerator, content, load_generator, teach_generator
from decoct.nets import pipeline

QUICK = {"epochs": 1, "width": 8}


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


@pytest.fixture(scope="module")
def own(digits):
    return teach_generator(TeachGenerator(**QUICK), digits, seed=0)


def test_an_own_generator_is_trained_on_the_train_split(own, digits):
    model, facts = own
    images = len(digits.train)
    steps = -(-images // 64)
    assert (facts["generator"], facts["trained_here"], facts["steps"]) == ("own", True, steps)
    assert (facts["images_seen"], facts["epochs"]) == (64 * steps, round(64 * steps / images, 4))
    assert facts["seen"] == f"the train split: {images:,} images"
    assert facts["class_names"] == list(digits.class_names)
    assert (facts["latent"], facts["pixels"], facts["prediction"], facts["null"]) == ([1, 8, 8], 8, "v_prediction", 10)
    assert facts["parameters"] == sum(p.numel() for p in model.net.parameters())
    assert model.facts is facts and json.loads(json.dumps(facts)) == facts
    assert not model.net.training and not any(p.requires_grad for p in model.net.parameters())
    assert model.rows.tolist() == list(range(10)) and model.null == 10 and model.vae is None


def test_it_sees_nothing_but_the_train_split(digits, monkeypatch):
    asked = []

    class Watched:
        def __getattr__(self, name):
            asked.append(name)
            raise AssertionError(f"{name} of another split")

    other = replace(digits, val=Watched(), test=Watched())
    teach_generator(TeachGenerator(epochs=1, width=8, batch=1000), other, seed=0)
    assert asked == []


def test_the_same_seed_gives_the_same_bytes(own, digits):
    again, _ = teach_generator(TeachGenerator(**QUICK), digits, seed=0)
    other, _ = teach_generator(TeachGenerator(**QUICK), digits, seed=1)
    first = own[0].net.state_dict()
    assert all(first[name].equal(value) for name, value in again.net.state_dict().items())
    assert not all(first[name].equal(value) for name, value in other.net.state_dict().items())


def test_its_training_has_the_precision_of_the_study_or_its_own(digits, monkeypatch):
    seen = []

    def watched(net, batches, machine):
        seen.append(machine.precision)
        return torch.ones(10)

    monkeypatch.setattr(needed, "denoise", watched)
    for own, study in ((None, "float32"), (None, "bfloat16"), ("bfloat16", "float32"), ("float32", "bfloat16")):
        spec = TeachGenerator(**QUICK, precision=own)
        teach_generator(spec, digits, seed=0, machine=Machine(precision=study))
    assert seen == ["float32", "bfloat16", "bfloat16", "float32"]


def test_its_images_come_near_the_data(digits):
    """x̂₀ of real digits under little noise is nearer to them than the noisy ones are; untrained nets' are not."""
    model, _ = teach_generator(TeachGenerator(epochs=6, width=8, lr=5e-3), digits, seed=0)
    images = torch.from_numpy(np.array(digits.val.images[:100]))
    x, t = model.encode(images), torch.full((100,), 300)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    noisy = model.noisy(x, noise, t)
    with torch.no_grad():
        said = model.predict(noisy, 300, torch.from_numpy(digits.val.labels[:100])).noise
    naive = (noisy / model.alphas[300].sqrt().float() - x).square().mean()
    assert (model.denoised(noisy, said, 300) - x).square().mean() < 0.7 * naive


def test_images_that_are_too_large_ask_for_another_generator(digits):
    large = replace(digits, train=replace(digits.train, images=np.zeros((4, 1, 65, 65), np.uint8)))
    with pytest.raises(UsageError, match="up to 64 px, digits has 65 px: supply one") as refusal:
        teach_generator(TeachGenerator(), large, seed=0)
    assert "hub:" in str(refusal.value) and "folder" in str(refusal.value)


def test_an_own_generator_lies_in_a_folder_and_comes_back(own, digits, tmp_path):
    model, facts = own
    pipeline.write(tmp_path, model.net, pipeline.cosine("v_prediction"))
    (tmp_path / "generator.json").write_text(json.dumps(facts))
    back = load_generator(tmp_path, digits, "cpu")
    state = model.net.state_dict()
    assert all(value.equal(state[name]) for name, value in back.net.state_dict().items())
    assert back.alphas.equal(model.alphas) and back.facts == facts

    supplied, told = teach_generator(TeachGenerator(generator=str(tmp_path)), digits, seed=5)
    assert all(value.equal(state[name]) for name, value in supplied.net.state_dict().items())
    assert (told["trained_here"], told["seen"], told["steps"]) == (False, facts["seen"], facts["steps"])
    elsewhere = replace(digits, digest="another")
    assert teach_generator(TeachGenerator(generator=str(tmp_path)), elsewhere, seed=0)[1]["seen"].startswith(
        "of digits,"
    )
    renamed = replace(digits, class_names=tuple("abcdefghij"))
    with pytest.raises(DecoctError, match="was taught the classes others"):
        load_generator(tmp_path, renamed, "cpu")


@pytest.mark.parametrize("net", ["dit", "unet"])
def test_a_folder_is_supplied(tiny_pipeline, digits, net):
    spec = TeachGenerator(generator=str(tiny_pipeline(net))).pinned()
    model, facts = teach_generator(spec, digits, seed=0)
    assert facts["generator"] == spec.title == f"tiny-{net}@{spec.digest[:12]}"
    assert (facts["trained_here"], facts["steps"], facts["epochs"], facts["images_seen"]) == (False, None, None, None)
    assert facts["seen"] == "not known: supplied by the user"
    assert (facts["pixels"], facts["latent"], facts["place"]) == (8, [4, 4, 4], spec.generator)
    assert not model.vae.training and model.null == 10


def test_one_that_is_told_by_text_takes_any_classes(text_pipeline, digits):
    renamed = replace(digits, class_names=tuple("abcdefghij"))
    model, facts = teach_generator(TeachGenerator(generator=str(text_pipeline())), renamed, seed=0)
    assert (facts["text"], facts["null"], facts["class_names"]) == (True, None, list("abcdefghij"))
    assert json.loads(json.dumps(facts)) == facts
    told = model.prompted({7: "h", 2: "c"}, "no")
    assert told.prompts.shape == (3, 40, 12) and (told.null, told.rows[[7, 2]].tolist()) == (2, [0, 1])
    assert not any(p.requires_grad for p in model.text.encoder.parameters())
    expected = torch.cat([model.text([word]) for word in ("h", "c", "no")])
    torch.testing.assert_close(told.prompts, expected)


@pytest.mark.parametrize(("shift", "read"), [(None, 0), (0, 0), (1, 1)])
def test_a_dit_is_read_as_its_authors_trained_it_or_as_its_card_says(tiny_pipeline, digits, shift, read):
    folder = tiny_pipeline()
    names = {"class_names": [str(c) for c in range(10)]}
    (folder / "generator.json").write_text(json.dumps(names | ({} if shift is None else {"frequency_shift": shift})))
    model, facts = teach_generator(TeachGenerator(generator=str(folder)), digits, seed=0)
    assert (facts["frequency_shift"], facts["guided"], model.guided) == (read, 3, 3)
    for block in model.net.transformer_blocks:
        assert block.norm1.emb.time_proj.downscale_freq_shift == read


def cached(root, folder, name="someone/digits", revision="abc123" + 34 * "0"):
    """Put a folder into a hub's cache."""
    place = root / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(revision)
    shutil.copytree(folder, place / "snapshots" / revision)
    return revision


def test_one_of_the_hubs_comes_from_its_cache(tiny_pipeline, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert huggingface_hub.constants is constants
    spec = TeachGenerator(generator="hub:someone/digits")
    with pytest.raises(DecoctError, match="hf download someone/digits"):
        spec.pinned()
    revision = cached(tmp_path / "hub", tiny_pipeline())
    pinned = spec.pinned()
    assert pinned.digest == revision and pinned.title == "hub:someone/digits@abc123000000"
    _, facts = teach_generator(pinned, digits, seed=0)
    assert (facts["hub"], facts["seen"]) == ("someone/digits", "not known: supplied by the user")
    shutil.rmtree(tmp_path / "hub")
    with pytest.raises(DecoctError, match=f"(?s)someone/digits at abc123000000 .* --revision {revision}"):
        teach_generator(pinned, digits, seed=0)


def test_of_the_papers_model_it_is_known_what_it_has_seen(tiny_pipeline, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    cached(tmp_path / "hub", tiny_pipeline(), "facebook/DiT-XL-2-256")
    _, facts = teach_generator(TeachGenerator(generator="hub:facebook/DiT-XL-2-256"), digits, seed=0)
    assert facts["seen"] == "ImageNet-1K's whole train split"


def test_a_folder_counts_by_its_content_wherever_it_lies(tiny_pipeline, tmp_path):
    first = tiny_pipeline()
    moved, other = shutil.copytree(first, tmp_path / "moved"), tiny_pipeline(seed=1, folder=tmp_path / "other")
    one, two, three = (TeachGenerator(generator=str(folder)).pinned() for folder in (first, moved, other))
    assert one.identity() == two.identity() != three.identity()
    assert str(tmp_path) not in json.dumps(one.identity())
    (moved / "README.md").write_text("of no matter")
    assert content(moved) == one.digest
    (moved / "generator.json").write_text('{"class_names": ["other"]}')
    assert content(moved) != one.digest
    assert one.pinned() == one and TeachGenerator(**one.model_dump()) == one


def test_one_that_has_changed_since_is_refused(tiny_pipeline, digits):
    folder = tiny_pipeline()
    spec = TeachGenerator(generator=str(folder)).pinned()
    tiny_pipeline(seed=1)
    with pytest.raises(DecoctError, match="has changed since this was planned"):
        teach_generator(spec, digits, seed=0)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"class_names": 3}', "not a list of names"),
        ('{"frequency_shift": 2}', "frequency_shift is 0, as DiT's authors"),
    ],
)
def test_a_damaged_card_is_refused(tiny_pipeline, digits, card, said):
    folder = tiny_pipeline()
    (folder / "generator.json").write_text(card)
    with pytest.raises(DecoctError, match=said):
        teach_generator(TeachGenerator(generator=str(folder)), digits, seed=0)


def test_the_own_ones_key_holds_its_training_and_a_supplied_ones_does_not(tiny_pipeline):
    assert TeachGenerator().identity()["fields"]["epochs"] is None
    assert TeachGenerator(epochs=3).identity() != TeachGenerator(epochs=4).identity()
    assert TeachGenerator(precision="bfloat16").identity() != TeachGenerator(precision="float32").identity()
    assert "precision" not in TeachGenerator().identity()["fields"]
    supplied = TeachGenerator(generator=str(tiny_pipeline())).pinned()
    assert set(supplied.identity()["fields"]) == {"generator", "digest"}
    assert TeachGenerator().pinned() == TeachGenerator() and TeachGenerator().title == "own"


@pytest.mark.parametrize(
    ("epochs", "images", "steps"), [(None, 54_000, 4688), (None, 100, 4688), (2, 640, 20), (1, 100, 2)]
)
def test_steps_are_what_the_epochs_come_to(epochs, images, steps):
    assert TeachGenerator(epochs=epochs).steps(images) == steps


def test_a_large_batch_takes_its_least_number_of_steps():
    assert TeachGenerator(batch=1000).steps(100) == 3000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"generator": "hub:someone/digits", "epochs": 3}, "epochs: for a generator that is trained"),
        ({"generator": "folder", "width": 8, "lr": 1.0}, "lr, width: for a generator that is trained"),
        ({"generator": "folder", "precision": "bfloat16"}, "precision: for a generator that is trained"),
        ({"generator": "hub:"}, "the name is missing"),
        ({"digest": "abc"}, "a digest is for a generator that is supplied"),
        ({"width": 12}, "width"),
        ({"epoch": 1}, "'epochs'"),
        ({"prediction": "x"}, "prediction"),
    ],
)
def test_fields_that_make_no_sense_are_refused(fields, said):
    with pytest.raises(UsageError, match=said):
        build(TeachGenerator, fields, "generator")


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"no folder someone/digits.*\n.*hub:someone/digits"):
        TeachGenerator(generator="someone/digits").pinned()


def test_without_diffusers_it_says_how_to_install_it(digits, tiny_pipeline, monkeypatch):
    folder = str(tiny_pipeline())
    monkeypatch.setitem(sys.modules, "diffusers", None)
    for generator in ("own", folder):
        with pytest.raises(UsageError, match=r"pip install 'decoct\[diffusion\]'"):
            teach_generator(TeachGenerator(generator=generator), digits, seed=0)


def test_diffusers_is_imported_when_a_generator_is_asked_for():
    code = "import sys, decoct.api as api; api.TeachGenerator(); sys.exit('diffusers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
