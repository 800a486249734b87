"""Training a noise predictor: what a batch is, what is learnt, and that a killed training ends with equal bytes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.core.interfaces import Machine
from decoct.nets.pipeline import cosine
from decoct.nets.unet import unet
from decoct.study.store.store import KeptOnDisk
from decoct.training.denoise import Denoising, NoisyBatches, denoise, rate
from decoct.training.learn import STATE

HOW = Denoising(steps=30, batch=8, lr=2e-3, ema=0.9, drop=0.1, prediction="v_prediction", flip=False)
ALPHAS = cosine("epsilon").alphas_cumprod.double()


def batches(how=HOW, images=20, seed=0, size=8, plain=False):
    rng, labels = torch.Generator().manual_seed(3), torch.arange(images) % 3
    pixels = torch.randint(0, 256, (images, 1, size, size), generator=rng, dtype=torch.uint8)
    if plain:  # each class of one grey, which is soon learnt
        pixels[:] = (100 * labels).view(-1, 1, 1, 1).to(torch.uint8)
    return NoisyBatches(pixels, labels, ALPHAS, how, 3, seed, "cpu")


def how(**changes):
    return Denoising(**{**HOW.__dict__, **changes})


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_batch_is_noise_on_images_and_what_to_say_of_it(prediction):
    made = batches(how(prediction=prediction))
    batch, rows = made[2], made.rows(2)
    for i, row in enumerate(rows):
        x = made.images.stored[row].double() / 127.5 - 1
        share = ALPHAS[batch.t[i]]
        noise = (batch.latents[i].double() - share.sqrt() * x) / (1 - share).sqrt()
        assert abs(float(noise.mean())) < 0.6 and 0.6 < float(noise.std()) < 1.5  # of 64 standard normal draws
        target = noise if prediction == "epsilon" else share.sqrt() * noise - (1 - share).sqrt() * x
        torch.testing.assert_close(batch.target[i].double(), target, rtol=1e-4, atol=1e-4)
        assert int(batch.labels[i]) in (int(made.labels[row]), 3)


@given(images=st.integers(1, 40), batch=st.integers(1, 50), first=st.integers(0, 6))
def test_every_image_is_seen_once_an_epoch_in_full_batches(images, batch, first):
    made = batches(how(batch=batch), images)
    stream = torch.cat([made.rows(step) for step in range(first + 3 * images // batch + 3)])
    assert all(len(made.rows(step)) == batch for step in (0, first))
    for epoch in range(2):
        part = stream[epoch * images : (epoch + 1) * images]
        assert len(part) < images or sorted(part.tolist()) == list(range(images))


def test_another_seed_gives_other_rows_and_other_draws_and_the_same_seed_the_same():
    first, again, other = (batches(seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.rows(0), again.rows(0)) and torch.equal(first[0].latents, again[0].latents)
    assert not torch.equal(first.rows(0), other.rows(0))
    assert not torch.equal(first[0].t, other[0].t)  # these depend on no row


def test_a_batch_hangs_on_its_number_alone():
    in_order, at_once = batches(), batches()
    for step in range(6):
        last = in_order[step]
    alone = at_once[5]
    assert last.latents.equal(alone.latents) and last.t.equal(alone.t) and last.labels.equal(alone.labels)
    assert not batches(seed=1)[5].latents.equal(alone.latents)


def test_steps_lie_evenly_over_the_schedule():
    made = batches(how(batch=10), images=20)
    for step in range(5):
        t = made[step].t
        assert (t.div(100, rounding_mode="floor") == torch.arange(10)).all()
    assert len({int(made[step].t[0]) for step in range(5)}) > 1


def test_labels_are_dropped_and_images_mirrored_in_their_share():
    made = batches(how(batch=2000, drop=0.25, flip=True))
    batch, rows = made[0], made.rows(0)
    dropped = float((batch.labels == 3).double().mean())
    assert abs(dropped - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 2000)
    plain = batches(how(batch=2000, drop=0.25))[0]
    share = ALPHAS[batch.t].view(-1, 1, 1, 1)
    x = made.images.stored[rows].double() / 127.5 - 1
    seen, clear = batch.latents.double(), share[:, 0, 0, 0] > 0.5
    straight = (seen - share.sqrt() * x).flatten(1).var(1)
    turned = (seen - share.sqrt() * x.flip(-1)).flatten(1).var(1)
    mirrored = float((turned < straight)[clear].double().mean())
    assert abs(mirrored - 0.5) < 4 * math.sqrt(0.25 / int(clear.sum()))
    straight = (plain.latents.double() - share.sqrt() * x).flatten(1).var(1)
    assert (straight[clear] < (plain.latents.double() - share.sqrt() * x.flip(-1)).flatten(1).var(1)[clear]).all()


def test_the_rate_rises_and_falls():
    rates = [rate(how(steps=2000), step) for step in range(2000)]
    assert rates[0] == pytest.approx(2e-5)
    assert max(rates) == pytest.approx(2e-3, rel=0.02) and 95 <= rates.index(max(rates)) <= 100
    assert rates[1000] == pytest.approx(1e-3) and rates[-1] < 1e-8
    assert rate(how(steps=1), 0) == pytest.approx(2e-3)


def train(made, **rest):
    net = unet(1, 3, 8, width=8, seed=0)
    losses = denoise(net, made, Machine(**rest))
    return net, losses


def steps_in(kept):
    return len(kept.load(STATE)["trace"])


def test_the_loss_falls():
    net, losses = train(batches(how(steps=40, lr=5e-3), plain=True))
    assert losses[-10:].mean() < 0.65 * losses[:5].mean()
    assert not net.training


def test_the_net_ends_as_the_average_of_its_weights():
    made = batches(how(steps=12))
    net, losses = train(made)
    naive = unet(1, 3, 8, width=8, seed=0).train()
    average = [p.detach().clone() for p in naive.parameters()]
    optimiser = torch.optim.AdamW(naive.parameters(), betas=(0.9, 0.99), weight_decay=0.0)
    for step in range(12):
        batch = made[step]
        loss = ((naive(batch.latents, batch.t, batch.labels).sample - batch.target) ** 2).mean()
        assert float(loss.detach()) == pytest.approx(float(losses[step]), rel=1e-3)
        optimiser.param_groups[0]["lr"] = rate(made.how, step)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(naive.parameters(), 1.0)
        optimiser.step()
        decay = min(0.9, (1 + step) / (10 + step))
        average = [decay * a + (1 - decay) * p.detach() for a, p in zip(average, naive.parameters(), strict=True)]

    def say(weights):  # weights themselves may differ: Adam turns rounding errors of gradients that are 0 into steps
        with torch.no_grad():
            for p, value in zip(naive.parameters(), weights, strict=True):
                p.copy_(value)
            return naive(batch.latents, batch.t, batch.labels).sample

    live = say(list(naive.parameters()))
    ours, theirs = say(list(net.parameters())), say(average)
    assert (ours - theirs).abs().max() < 0.05 * (live - theirs).abs().max()


def test_a_killed_training_goes_on_to_equal_bytes(tmp_path):
    whole, losses = train(batches())

    class KilledError(Exception):
        pass

    def kill(done, total):
        if done == 20:
            raise KilledError

    kept = KeptOnDisk(tmp_path, every=0)
    with pytest.raises(KilledError):
        train(batches(), kept=kept, progress=kill)
    assert steps_in(kept) == 19
    told = []
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    resumed, again = train(batches(), kept=kept, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 30) for done in range(20, 31)]
    assert torch.random.get_rng_state().equal(before)
    assert again.equal(losses)
    assert all(a.equal(b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_a_loss_that_is_not_finite_is_named_and_the_checkpoint_stays(tmp_path):
    class Spoilt(NoisyBatches):
        def __getitem__(self, step):
            batch = super().__getitem__(step)
            if step == 14:
                batch.target[0] = float("nan")
            return batch

    made = batches()
    made.__class__ = Spoilt
    kept = KeptOnDisk(tmp_path, every=0)
    with pytest.raises(DecoctError, match=r"not finite at step 15 of 30 \(it was [0-9.]+ the step before\): lower lr"):
        train(made, kept=kept)
    assert steps_in(kept) == 14


def test_weights_that_are_not_finite_are_named_before_they_are_kept(tmp_path):
    net = unet(1, 3, 8, width=8, seed=0)

    class Last(NoisyBatches):
        def __getitem__(self, step):
            batch = super().__getitem__(step)
            if step == 9:  # the loss of the step is finite, its gradient is not
                batch.latents.requires_grad_()
                net.conv_out.bias.register_hook(lambda gradient: gradient * float("inf"))
            return batch

    made = batches()
    made.__class__ = Last
    kept = KeptOnDisk(tmp_path, every=0)
    with pytest.raises(
        DecoctError, match=r"conv_out.bias.* no longer finite after step 10 of 30 \(the last loss was [0-9.]+\)"
    ):
        denoise(net, made, Machine(kept=kept))
    assert steps_in(kept) == 9
