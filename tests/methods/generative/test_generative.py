"""What every generative method keeps: sets end to end on a DiT and a U-Net, seeds, shards, resumption, quotas."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.methods.generative._shared.generative import batches, encoded
from decoct.methods.generative.d4m import D4M
from decoct.methods.generative.d4m_class import D4MClass
from decoct.methods.generative.igd import IGD
from decoct.methods.generative.mgd3 import MGD3
from decoct.methods.generative.minimax import Minimax
from decoct.needs.generator import ImageGenerator
from decoct.nets.room import Halved

METHODS = {
    "mgd3": MGD3(steps=4),
    "d4m": D4M(steps=4),
    "d4m_class": D4MClass(steps=4),
    "minimax": Minimax(steps=4, iterations=6, phase=1),
    "igd": IGD(steps=4, epochs=1, low=0.25, real=5, net="convnet2_w32"),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
ON_CLASSES = {name: method for name, method in METHODS.items() if not method.text}
on_classes = pytest.mark.parametrize("method", ON_CLASSES.values(), ids=ON_CLASSES)


@every_method
@pytest.mark.parametrize("kind", ["dit", "unet"])
def test_a_set_end_to_end(method, kind, supplied):
    draft = method(supplied(method, 2, kind))
    assert draft.images.shape == (6, 1, 8, 8) and draft.images.dtype == np.uint8
    assert draft.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert len({image.tobytes() for image in draft.images}) == 6
    assert all(np.isfinite(value) for value in draft.notes.values())


@every_method
@pytest.mark.parametrize("kind", ["dit", "unet"])
def test_in_bfloat16_images_are_close(method, kind, supplied, in_both):
    plain, half = in_both(method, lambda spec: supplied(spec, 2, kind))
    assert half.images.dtype == np.uint8
    assert 0 < np.abs(plain.images.astype(float) - half.images).mean() < 8
    for name, value in plain.notes.items():
        assert half.notes[name] == pytest.approx(value, rel=0.05)


@every_method
def test_without_a_precision_of_its_own_a_method_takes_the_studys(method, supplied):
    own = method.model_copy(update={"precision": "bfloat16"})
    half = own(supplied(own, 2))
    drafts = [method(supplied(method, 2, **rest)) for rest in ({}, {"precision": "bfloat16"})]
    exact = method.model_copy(update={"precision": "float32"})
    drafts += [exact(supplied(exact, 2, precision=precision)) for precision in ("float32", "bfloat16")]
    same = [np.array_equal(draft.images, half.images) for draft in drafts]
    assert same == [False, True, False, False]
    assert all(np.array_equal(draft.images, drafts[0].images) for draft in drafts[2:])


@every_method
def test_the_seed_decides(method, supplied):
    first, again, other = (method(supplied(method, 2, seed=seed)) for seed in (0, 0, 1))
    assert np.array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)


@every_method
def test_shards_are_parts_of_the_set_bit_for_bit(method, supplied):
    method = method.model_copy(update={"batch": {"igd": 1}.get(method.name, 2)})
    assert method.together(2) == 1
    whole = method(supplied(method, 2)).images
    shards = [method(supplied(method, 2, classes=classes)).images for classes in [(0,), (1, 2)]]
    assert np.array_equal(whole, np.concatenate(shards))


@every_method
def test_a_killed_construction_goes_on_to_the_same_set(method, supplied, kept):
    method = method.model_copy(update={"batch": {"igd": 2}.get(method.name, 1)})
    whole = method(supplied(method, 2))
    for moment in (2, 4):
        kept.found.clear()
        with pytest.raises(KeyboardInterrupt):
            method(supplied(method, 2, kept=kept, progress=killed_at(moment)))
        assert kept.found
        on = method(supplied(method, 2, kept=kept))
        assert np.array_equal(whole.images, on.images) and whole.notes == on.notes and whole.steps == on.steps


def killed_at(moment):
    told = Counter()

    def progress(done, total):
        told["times"] += 1
        if told["times"] == moment:
            raise KeyboardInterrupt

    return progress


@every_method
def test_what_is_finished_is_not_made_again(method, supplied, kept):
    whole = method(supplied(method, 2, kept=kept))
    inputs = supplied(method, 2, kept=kept)
    broken = {need: replace(model, alphas=model.alphas * torch.nan) for need, model in inputs.generators.items()}
    again = method(replace(inputs, generators=broken))
    assert np.array_equal(whole.images, again.images) and whole.notes == again.notes


@every_method
def test_classes_may_give_different_numbers_and_none(method, supplied):
    inputs = supplied(method, 2)
    uneven = replace(inputs, budget=Budget(images=4))
    draft = method(uneven)
    assert draft.labels.tolist() == [0, 0, 1, 2]
    few = method(replace(inputs, budget=Budget(images=2)))
    assert few.labels.tolist() == [0, 1] and len(few.images) == 2
    assert not method.even


@every_method
def test_progress_ends_with_all_steps_done(method, supplied):
    told = []
    method(supplied(method, 2, progress=lambda done, total: told.append((done, total))))
    done, totals = zip(*told, strict=True)
    assert list(done) == sorted(done) and set(totals) == {done[-1]}


@every_method
def test_the_generator_stays_as_it_is_and_no_random_state_is_touched(method, supplied):
    inputs = supplied(method, 2)
    (model,) = inputs.generators.values()
    before, state = {key: value.clone() for key, value in model.net.state_dict().items()}, torch.random.get_rng_state()
    legacy = np.random.get_state()[1].copy()
    method(inputs)
    assert torch.equal(state, torch.random.get_rng_state()) and np.array_equal(legacy, np.random.get_state()[1])
    after = model.net.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert not any(parameter.requires_grad for parameter in model.net.parameters())


@on_classes
def test_latents_that_are_not_finite_are_told(method, supplied):
    method = method.model_copy(update={"iterations": 1, "lr": 1e-30} if method.name == "minimax" else {})
    inputs = supplied(method, 2, "unet")
    (model,) = inputs.generators.values()
    model.alphas[33] = torch.nan  # the last but one of the four steps that are taken
    with pytest.raises(DecoctError, match=r"not finite"):
        method(inputs)


@pytest.mark.parametrize(
    ("size", "generator"),
    [(8, "own"), (64, "own"), (65, "hub:facebook/DiT-XL-2-256"), (224, "hub:facebook/DiT-XL-2-256")],
)
@on_classes
def test_the_generator_follows_the_resolution(method, size, generator):
    assert method.at(size).needs()[0] == ImageGenerator(generator=generator, text=False)
    named = method.model_copy(update={"generator": "folder"})
    assert named.at(size).needs()[0] == ImageGenerator(generator="folder", text=False)


def test_defaults_are_the_papers():
    for method in (MGD3(), D4M(), D4MClass(), Minimax(), IGD()):
        assert method.steps == 50 and method.guidance == (8 if method.name.startswith("d4m") else 4)
        assert method.family == "distillation" and method.stochastic


def test_more_steps_than_the_generator_has_are_refused(supplied):
    method = MGD3(steps=101)
    with pytest.raises(UsageError, match="101 sampling steps of a generator that has 100"):
        method(supplied(method))


def test_latents_are_of_pictures_at_the_generators_size_where_the_data_have_them(generator, toy):
    model, rng = generator("dit", channels=3), np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 3, 16, 16), dtype=np.uint8)

    class Pictures(np.ndarray):
        def sized(self, size):
            return pictures[:, :, 16 // size // 2 :: 16 // size, 16 // size // 2 :: 16 // size]

    small = pictures[:, :, ::4, ::4]
    found = encoded(model, small.view(Pictures), np.array([3, 0]), 2)
    assert np.array_equal(found, encoded(model, Pictures.sized(small, 8), np.array([3, 0]), 2))
    assert not np.allclose(found, encoded(model, small, np.array([3, 0]), 2))


@pytest.mark.parametrize(
    ("ipc", "size", "expected"),
    [
        (2, 4, [((0, 0, 1, 1), (0, 1, 0, 1)), ((2, 2), (0, 1))]),
        (2, 5, [((0, 0, 1, 1), (0, 1, 0, 1)), ((2, 2), (0, 1))]),
        (3, 2, [((c,) * len(part), part) for c in range(3) for part in ((0, 1), (2,))]),
        (2, 100, [((0, 0, 1, 1, 2, 2), (0, 1, 0, 1, 0, 1))]),
    ],
)
def test_batches_are_whole_classes_where_several_fit(ipc, size, expected, toy):
    found = batches(toy().inputs(ipc), size)
    assert [(block.classes, block.ids) for block in found] == expected


@pytest.mark.parametrize(
    ("name", "part", "room", "what"),
    [
        ("mgd3", "net", 6, "sampling of mgd3, 6"),  # with guidance there are two forward passes of each image
        ("d4m_class", "net", 6, "sampling of d4m_class, 6"),
        ("igd", "net", 4, "sampling of igd, 3"),
        ("d4m_class", "encoder", 20, "encoding, 40"),
        ("d4m_class", "decoder", 4, "decoding of d4m_class, 6"),
    ],
)
def test_where_memory_runs_out_half_of_a_batch_is_made_at_a_time(name, part, room, what, supplied):
    method = METHODS[name]
    whole, inputs = method(supplied(method, 2)), supplied(method, 2)
    (model,) = inputs.generators.values()

    def allocate(module, args):
        if len(args[0]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    (model.net if part == "net" else getattr(model.vae, part)).register_forward_pre_hook(allocate)
    with pytest.warns(Halved) as told:
        halved = method(inputs)
    assert {str(each.message).partition(" image")[0] for each in told} == {f"cpu ran out of memory at {what}"}
    apart = np.abs(whole.images.astype(int) - halved.images)
    assert apart.max() <= 1 and apart.mean() < 0.05  # levels, by rounding
    assert whole.labels.tolist() == halved.labels.tolist() and whole.notes == halved.notes
