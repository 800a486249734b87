"""Folders of diffusion models: read whole, without anybody's code, or refused with what to do."""

import json
import sys

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from decoct.core.errors import DecoctError, UsageError
from decoct.nets import pipeline
from decoct.nets.unet import unet

WEIGHTS = "diffusion_pytorch_model.safetensors"


def change(folder, part, **config):
    """Change entries of a part's configuration."""
    file = folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | config))


def test_a_dit_is_read_with_its_decoder(tiny_pipeline):
    found = pipeline.read(tiny_pipeline(classes=3))
    assert (found.embeddings, found.null, found.names) == (4, True, None)
    assert pipeline.pixels(found) == ((4, 4, 4), 8)
    assert not found.net.training and not found.vae.training
    assert found.prediction == "epsilon"


def test_a_unet_on_pixels_is_read(tiny_pipeline):
    found = pipeline.read(tiny_pipeline("unet", classes=3, vae=False, prediction="v_prediction"))
    assert (found.vae, found.embeddings, found.null, found.prediction) == (None, 4, None, "v_prediction")
    assert pipeline.pixels(found) == ((1, 8, 8), 8)


@pytest.mark.parametrize("kind", ["DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "EulerDiscreteScheduler"])
def test_of_any_scheduler_its_betas_are_read(tiny_pipeline, kind):
    folder = tiny_pipeline()
    getattr(diffusers, kind)(beta_start=0.001, beta_end=0.03, num_train_timesteps=200).save_pretrained(
        folder / "scheduler"
    )
    alphas = pipeline.read(folder).alphas
    expected = torch.cumprod(1 - torch.linspace(0.001, 0.03, 200, dtype=torch.float64), 0)
    assert alphas.dtype == torch.float64
    torch.testing.assert_close(alphas, expected, rtol=1e-4, atol=0)


def test_the_cosine_schedule_is_the_papers():
    t = torch.arange(1001, dtype=torch.float64) / 1000
    share = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    beta = (1 - share[1:] / share[:-1]).clamp(max=0.999)
    alphas = pipeline.cosine("epsilon").alphas_cumprod.double()
    torch.testing.assert_close(alphas, torch.cumprod(1 - beta, 0), rtol=1e-3, atol=1e-8)


def test_what_is_written_is_read(tmp_path):
    net = unet(3, 2, 8, width=8, seed=0)
    pipeline.write(tmp_path, net, pipeline.cosine("v_prediction"))
    assert sorted(file.suffix for file in (tmp_path / "unet").iterdir()) == [".json", ".safetensors"]
    found = pipeline.read(tmp_path)
    state = net.state_dict()
    assert all(value.equal(state[name]) for name, value in found.net.state_dict().items())
    assert found.alphas.equal(pipeline.cosine("v_prediction").alphas_cumprod.double())


def test_reading_draws_from_no_global_generator_and_says_nothing(tiny_pipeline, capfd):
    folder = tiny_pipeline()
    before = torch.random.get_rng_state()
    pipeline.read(folder)
    assert torch.random.get_rng_state().equal(before)
    assert capfd.readouterr() == ("", "")


def test_old_weights_are_read_as_weights_alone(tiny_pipeline):
    safe, old = tiny_pipeline("unet", vae=False), tiny_pipeline("unet", vae=False, safe=False, seed=0, names=False)
    assert safe == old  # into the same folder, beside each other: the safe ones count
    assert {file.suffix for file in (old / "unet").iterdir()} == {".json", ".safetensors", ".bin"}
    assert [file.name for file in pipeline.files(old)][:2] == ["config.json", WEIGHTS]
    first = pipeline.read(old).net.state_dict()
    (old / "unet" / WEIGHTS).unlink()
    again = pipeline.read(old).net.state_dict()
    assert all(first[name].equal(again[name]) for name in first)


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path('ran').touch()",)


def test_pickled_code_is_refused_and_not_run(tiny_pipeline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tiny_pipeline("unet", vae=False, safe=False)
    torch.save({"conv_in.weight": Evil()}, folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(DecoctError, match="holds more than weights"):
        pipeline.read(folder)
    assert not (tmp_path / "ran").exists()


def cut(folder):
    file = folder / "transformer" / WEIGHTS
    file.write_bytes(file.read_bytes()[:1000])


def drop(folder):
    file = folder / "transformer" / WEIGHTS
    state = load_file(file)
    state.pop("proj_out_1.weight")
    save_file(state, file, {"format": "pt"})


def spoil(folder):
    file = folder / "vae" / WEIGHTS
    state = load_file(file)
    state["encoder.conv_in.bias"][0] = float("nan")
    save_file(state, file, {"format": "pt"})


def scribble(folder):
    (folder / "scheduler" / "scheduler_config.json").write_text("{")


def unlink(folder):
    (folder / "transformer" / WEIGHTS).unlink()


def rename(folder):
    (folder / "transformer").rename(folder / "prior")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "transformer is damaged"),
        (drop, "proj_out_1.weight"),
        (spoil, "vae holds weights that are not finite: encoder.conv_in.bias"),
        (scribble, "scheduler_config.json is missing or damaged"),
        (unlink, "transformer is damaged"),
        (rename, "transformer/ or unet/"),
        (lambda folder: change(folder, "transformer", num_layers=3), "transformer"),
        (lambda folder: change(folder, "vae", latent_channels=8), "vae"),
        (lambda folder: change(folder, "scheduler", prediction_type="flow"), "'flow'"),
        (lambda folder: change(folder, "scheduler", rescale_betas_zero_snr=True), "rescale_betas_zero_snr"),
        (lambda folder: change(folder, "scheduler", beta_schedule="steep"), "steep"),
    ],
)
def test_a_damaged_folder_is_refused(tiny_pipeline, damage, said):
    folder = tiny_pipeline()
    damage(folder)
    with pytest.raises(DecoctError, match=said):
        pipeline.read(folder)


def test_a_flow_is_no_diffusion(tiny_pipeline):
    folder = tiny_pipeline()
    (folder / "scheduler" / "scheduler_config.json").unlink()
    diffusers.FlowMatchEulerDiscreteScheduler().save_pretrained(folder / "scheduler")
    with pytest.raises(DecoctError, match="has no betas: FlowMatchEulerDiscreteScheduler"):
        pipeline.read(folder)


def test_a_net_without_classes_is_refused(tmp_path, tiny_pipeline):
    folder = tiny_pipeline("unet", vae=False)
    net = diffusers.UNet2DModel.from_config({**pipeline.read(folder).net.config, "num_class_embeds": None})
    net.save_pretrained(folder / "unet")
    with pytest.raises(DecoctError, match="not conditioned on classes"):
        pipeline.read(folder)


def test_diffusers_index_names_the_classes(tiny_pipeline):
    folder = tiny_pipeline(classes=3)
    (folder / "model_index.json").write_text(json.dumps({"id2label": {"0": "a", "2": "c", "1": "b"}}))
    assert pipeline.read(folder).names == ("a", "b", "c")
    (folder / "model_index.json").write_text(json.dumps({"id2label": {"0": "a", "2": "c"}}))
    with pytest.raises(DecoctError, match="id2label lacks class '1'"):
        pipeline.read(folder)


def test_what_the_hubs_cache_lacks_is_named_with_how_to_get_it():
    with pytest.raises(DecoctError, match="hf download nobody/nothing") as refusal:
        pipeline.from_cache("nobody/nothing")
    assert "HF_HOME" in str(refusal.value) and 'generator = "FOLDER"' in str(refusal.value)


def test_without_diffusers_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UsageError, match=r"pip install 'decoct\[diffusion\]'"):
        pipeline.diffusers()


def test_a_pipeline_that_is_told_by_text_is_read(text_pipeline):
    folder = text_pipeline("v_prediction")
    found = pipeline.read(folder)
    assert pipeline.told_by_text(folder) and type(found.net).__name__ == "UNet2DConditionModel"
    assert (found.embeddings, found.null, found.guided, found.prediction) == (0, None, None, "v_prediction")
    assert type(found.scheduler).__name__ == "PNDMScheduler"
    assert found.scheduler.config.prediction_type == "epsilon"  # it is told ε, whatever the net says
    assert pipeline.pixels(found) == ((4, 4, 4), 8)
    parts = {str(file.relative_to(folder).parent) for file in pipeline.files(folder)}
    assert parts == {"unet", "vae", "scheduler", "text_encoder", "tokenizer"}
    assert "merges.txt" in {file.name for file in pipeline.files(folder)}


def test_one_on_classes_is_not_told_by_text(tiny_pipeline):
    assert not pipeline.told_by_text(tiny_pipeline("dit")) and not pipeline.told_by_text(tiny_pipeline("unet"))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "text_encoder_2").mkdir(), "two text encoders"),
        (lambda folder: change(folder, "scheduler", _class_name="Steepest"), "knows no scheduler Steepest"),
        (lambda folder: change(folder, "scheduler", _class_name="UNet2DModel"), "knows no scheduler UNet2DModel"),
        (lambda folder: change(folder, "vae", shift_factor=0.1), r"moves its latents \(shift_factor\)"),
        (lambda folder: change(folder, "vae", latents_mean=[0.0] * 4), r"moves its latents \(latents_mean\)"),
        (lambda folder: change(folder, "vae", scaling_factor=0), "scaling_factor 0, a positive number"),
        (lambda folder: change(folder, "vae", scaling_factor="much"), "scaling_factor 'much', a positive number"),
    ],
)
def test_what_would_be_sampled_wrongly_is_refused(text_pipeline, damage, said):
    folder = text_pipeline()
    damage(folder)
    with pytest.raises(DecoctError, match=said):
        pipeline.read(folder)
