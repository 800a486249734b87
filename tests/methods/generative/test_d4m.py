"""D4M on a text-conditioned pipeline: prompts, and the way from prototypes by the pipeline's scheduler."""

from dataclasses import replace
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch

from decoct.core.errors import DecoctError, UsageError
from decoct.methods._shared.starts import Block
from decoct.methods.generative._shared.generative import batches
from decoct.methods.generative.d4m import D4M, prompts
from decoct.needs.generator import ImageGenerator
from decoct.nets import pipeline

CLIPPED = {"PNDMScheduler": {}, "DDIMScheduler": {"clip_sample": False}}


@pytest.mark.parametrize(("kind", "prediction"), [("PNDMScheduler", "epsilon"), ("DDIMScheduler", "v_prediction")])
@pytest.mark.parametrize(("strength", "guidance"), [(0.7, 8.0), (1.0, 3.0), (0.7, 1.0)])
def test_it_is_image_to_image_of_diffusers_from_the_prototypes(
    supplied, text_pipeline, kind, prediction, strength, guidance
):
    method = D4M(steps=10, strength=strength, guidance=guidance)
    inputs = supplied(method, 2)
    folder = text_pipeline(prediction)
    scheduler = getattr(diffusers, kind).from_pretrained(folder / "scheduler", **CLIPPED[kind])
    scheduler.save_pretrained(folder / "scheduler")
    found = pipeline.read(folder)
    (model,) = inputs.generators.values()
    model = replace(model, net=found.net, scheduler=found.scheduler, prediction=prediction)
    sampling = method.made(inputs, model)
    block = Block((0, 2, 2), (0, 0, 1))
    theirs = diffusers.StableDiffusionImg2ImgPipeline(
        vae=found.vae,
        text_encoder=found.text.encoder,
        tokenizer=found.text.tokenizer,
        unet=found.net,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    theirs.set_progress_bar_config(disable=True)
    names = inputs.data.class_names
    expected = theirs(
        prompt=[names[c] for c in block.classes],
        image=sampling.centres(block),
        strength=strength,
        num_inference_steps=10,
        guidance_scale=guidance,
        negative_prompt=["cartoon, anime, painting"] * 3,
        generator=sampling.rngs(block),
        output_type="latent",
    ).images
    torch.testing.assert_close(sampling(block)["images"], expected, rtol=1e-4, atol=1e-4)


def test_at_strength_0_the_set_is_the_decoded_prototypes(supplied):
    method = D4M(strength=0.0)
    draft = method(supplied(method, 3))
    assert np.array_equal(draft.images, draft.initial)


def test_the_prompts_matter_and_the_negative_one(supplied):
    images = []
    for negative, names in (("a", "abc"), ("b", "abc"), ("a", "xbc")):
        method = D4M(steps=4, negative=negative)
        inputs = supplied(method, 1)
        images.append(
            method(replace(inputs, data=SimpleNamespace(**vars(inputs.data) | {"class_names": tuple(names)}))).images
        )
    first, against, named = images
    assert all((first[c] != against[c]).any() for c in range(3))
    assert (first[0] != named[0]).any() and np.array_equal(first[1:], named[1:])


def test_a_prompt_is_the_name_of_the_class_in_english():
    assert prompts(["sea_horse", "cat", "n01440764"]) == ("sea horse", "cat", "tench, Tinca tinca")
    assert prompts(["n02012849", "n03126707"]) == ("crane, bird", "crane, machine")  # one name would be two classes'


def test_a_scheduler_that_draws_does_so_for_each_image_alone(supplied):
    method = D4M(steps=4)
    inputs = supplied(method, 2)
    (model,) = inputs.generators.values()
    drawing = diffusers.DDPMScheduler.from_config(model.scheduler.config)
    sampling = method.made(inputs, replace(model, scheduler=drawing))
    state = torch.random.get_rng_state()
    (block,) = batches(inputs, 50)
    whole, alone = sampling(block)["images"], sampling(Block((1,), (1,)))["images"]
    torch.testing.assert_close(whole[3], alone[0], rtol=1e-4, atol=1e-4)
    assert torch.equal(state, torch.random.get_rng_state())


def test_latents_that_are_not_finite_are_told(supplied):
    method = D4M(steps=4)
    inputs = supplied(method, 2)
    (model,) = inputs.generators.values()
    model.net.conv_out.bias.data.fill_(torch.inf)
    with pytest.raises(DecoctError, match="not finite after step 1 of 3"):
        method(inputs)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of numpy, in diffusers' EulerDiscreteScheduler
def test_a_scheduler_of_steps_in_between_is_refused(supplied):
    method = D4M(steps=5)
    inputs = supplied(method, 2)
    (model,) = inputs.generators.values()
    between = diffusers.EulerDiscreteScheduler(timestep_spacing="linspace")
    with pytest.raises(DecoctError, match="EulerDiscreteScheduler takes steps between"):
        method.made(inputs, replace(model, scheduler=between))(batches(inputs, 50)[0])


def test_a_generator_of_classes_writes_no_prompts(supplied, generator):
    method = D4M()
    with pytest.raises(UsageError, match="conditioned on classes"):
        method.made(supplied(method), generator("dit"))


@pytest.mark.parametrize("size", [8, 64, 224])
def test_defaults_are_those_of_the_launch_scripts(size):
    spec = D4M().at(size)
    assert (spec.strength, spec.guidance, spec.expand, spec.steps) == (0.7, 8.0, 1, 50)
    assert spec.negative == "cartoon, anime, painting"
    named = ImageGenerator(generator="hub:stable-diffusion-v1-5/stable-diffusion-v1-5", text=True)
    assert spec.needs() == (named,)
