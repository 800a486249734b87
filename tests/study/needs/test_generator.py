"""Cells of generators: one trained here is kept, one supplied is read where it lies, as long as it is the same."""

import shutil

import pytest
import torch

from decoct import api
from decoct.api import Compute
from decoct.core.errors import DecoctError, UsageError
from decoct.core.record import read_json
from decoct.data.dataset import load_data
from decoct.needs.generator import ImageGenerator, TeachGenerator, load_generator
from decoct.study.execute import execute


@pytest.fixture(scope="module")
def digits():
    return load_data("digits")


@pytest.fixture
def made(tmp_path, digits):
    """The cell of a generator."""

    def make(spec):
        compute = Compute(store=tmp_path / "store")
        planner = compute.planner(digits, generators=[spec])
        job = planner.job(ImageGenerator(generator=spec.generator))
        return compute.do(planner).path("generator", job.key)

    return make


def test_one_that_is_trained_here_is_kept_in_diffusers_layout(made, digits):
    folder = made(TeachGenerator(epochs=1, width=8))
    kept = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    weights = {"unet/config.json", "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"}
    assert kept == weights | {"generator.json", "cell.json", "measured.json"}
    facts = read_json(folder / "generator.json")
    assert facts["trained_here"] and read_json(folder / "measured.json")["seconds"] > 0
    model, again = load_generator(folder, digits, "cpu"), load_generator(folder, digits, "cpu")
    assert model.facts == facts and not model.net.training
    assert not any(p.requires_grad for p in model.net.parameters())
    x, labels = torch.randn(2, *model.latent), torch.tensor([3, 4])
    assert model.predict(x, 500, labels, 2.0).noise.equal(again.predict(x, 500, labels, 2.0).noise)


def test_of_a_supplied_one_nothing_is_copied(made, digits, tiny_pipeline):
    place = tiny_pipeline()
    folder = made(TeachGenerator(generator=str(place)))
    assert {file.name for file in folder.rglob("*")} == {"generator.json", "cell.json", "measured.json"}
    model = load_generator(folder, digits, "cpu")
    assert not model.net.training and model.facts == read_json(folder / "generator.json")
    assert not any(p.requires_grad for net in (model.net, model.vae) for p in net.parameters())


def test_a_supplied_one_is_the_same_cell_wherever_it_lies(made, tiny_pipeline, tmp_path):
    place = tiny_pipeline()
    first = made(TeachGenerator(generator=str(place)))
    assert made(TeachGenerator(generator=str(shutil.copytree(place, tmp_path / "elsewhere")))) == first
    assert made(TeachGenerator(generator=str(tiny_pipeline(seed=1)))) != first


def test_a_supplied_one_that_has_changed_or_is_gone_is_refused(made, digits, tiny_pipeline):
    place = tiny_pipeline()
    folder = made(TeachGenerator(generator=str(place)))
    tiny_pipeline(seed=1)
    with pytest.raises(DecoctError, match="has changed since"):
        load_generator(folder, digits, "cpu")
    shutil.rmtree(place)
    with pytest.raises(DecoctError, match=f"is gone from {place}"):
        load_generator(folder, digits, "cpu")


def test_a_killed_training_goes_on_to_the_same_cell(tmp_path, digits, monkeypatch):
    spec = TeachGenerator(epochs=2, width=8)
    bytes_of = []
    for store in ("whole", "killed"):
        compute = Compute(store=tmp_path / store)
        planner = compute.planner(digits, generators=[spec])
        job = planner.job(ImageGenerator(generator="own"))
        if store == "killed":
            monkeypatch.setattr("decoct.study.store.store.KeptOnDisk.due", lambda self: True)

            def kill(done, total):
                if done == 30:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                execute(tmp_path / store, job, "cpu", kill)
            assert compute.cells().unfinished("generator", job.key).is_dir()
        folder = compute.do(planner).path("generator", job.key)
        assert not compute.cells().unfinished("generator", job.key).exists()
        bytes_of.append((folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes())
    assert bytes_of[0] == bytes_of[1]


def test_d4m_writes_prompts_and_no_other_method_does(text_pipeline, tiny_pipeline, digits, tmp_path):
    compute, text, classes = Compute(store=tmp_path / "store"), str(text_pipeline()), str(tiny_pipeline())
    few = {"steps": 2, "ipc": 1, "compute": compute}
    made = api.condense("d4m", digits, generator=text, **few)
    assert made.images.shape == (10, 1, 8, 8) and api.condense("d4m_class", digits, generator=classes, **few)
    for method in ("mgd3", "minimax", "igd", "d4m_class"):
        with pytest.raises(UsageError, match="told by text what to make, and only d4m writes prompts: take d4m, or"):
            api.condense(method, digits, generator=text, **few)
    for generator in (classes, "own"):
        with pytest.raises(UsageError, match=r"is conditioned on classes, and d4m needs .*, or take d4m_class"):
            api.condense("d4m", digits, generator=generator, **few)
    card = api.teach_generator(text, digits, compute=compute)
    assert card["text"] and card["pixels"] == 8


def test_a_set_is_sampled_in_the_precision_of_the_study(tiny_pipeline, digits, tmp_path):
    few = {"steps": 2, "ipc": 1, "generator": str(tiny_pipeline())}
    sets = {}
    for study in ("float32", "bfloat16"):
        compute = Compute(store=tmp_path / "store", precision=study)
        for own in (None, "float32", "bfloat16"):
            made = api.condense("mgd3", digits, compute=compute, precision=own, **few)
            sets[study, own] = made.images.tobytes()
    exact, half = sets["float32", None], sets["bfloat16", None]
    assert exact != half
    assert exact == sets["float32", "float32"] == sets["bfloat16", "float32"]
    assert half == sets["float32", "bfloat16"] == sets["bfloat16", "bfloat16"]
