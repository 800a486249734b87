"""Prompts and their encoder: what is read, how prompts are filled up or cut, and what is refused."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from decoct.core.errors import DecoctError, UsageError
from decoct.nets import text
from decoct.nets.text import read_text

LENGTH, WIDTH, END = 40, 12, 189


def test_prompts_are_filled_up_and_cut_to_the_encoders_length(text_pipeline):
    told = read_text(text_pipeline())
    states = told(["a cat", "a" * 100])
    assert states.shape == (2, LENGTH, WIDTH) and states.dtype == torch.float32
    letter = lambda c, last: ord(c) - 33 + 94 * last  # noqa: E731
    words = [188, letter("a", True), letter("c", False), letter("a", False), letter("t", True)]
    short = torch.tensor([[*words, *[END] * (LENGTH - 5)]])
    long = torch.tensor([[188, *[letter("a", False)] * (LENGTH - 2), END]])
    for said, tokens in zip(states, (short, long), strict=True):
        with torch.no_grad():
            assert torch.allclose(told.encoder(tokens).last_hidden_state[0], said, atol=1e-6)


@pytest.mark.parametrize("safe", [True, False])
def test_weights_are_read_as_the_hub_has_them_in_half_precision_under_older_names(text_pipeline, safe):
    folder = text_pipeline()
    file, expected = folder / "text_encoder" / "model.safetensors", read_text(folder)(["a cat"])
    named = {name.removeprefix("text_model."): value for name, value in load_file(file).items()}
    older = {f"text_model.{name}": value.half() for name, value in named.items()}
    older["text_model.embeddings.position_ids"] = torch.arange(LENGTH)[None]
    file.unlink()
    if safe:
        save_file(older, file, {"format": "pt"})
    else:
        torch.save(older, folder / "text_encoder" / "pytorch_model.bin")
    found = read_text(folder)(["a cat"])
    assert found.dtype == torch.float32 and 0 < (found - expected).abs().max() < 0.02


def test_reading_draws_nothing_says_nothing_and_leaves_the_librarys_logs_as_they_were(text_pipeline, capfd):
    folder = text_pipeline()
    said = text.transformers().utils.logging
    before, level, bars = torch.random.get_rng_state(), said.get_verbosity(), said.is_progress_bar_enabled()
    capfd.readouterr()
    read_text(folder)
    assert torch.random.get_rng_state().equal(before) and capfd.readouterr() == ("", "")
    assert (said.get_verbosity(), said.is_progress_bar_enabled()) == (level, bars)


def unlink(folder):
    (folder / "tokenizer" / "vocab.json").unlink()


def cut(folder):
    file = folder / "text_encoder" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def deepen(folder):
    file = folder / "text_encoder" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"num_hidden_layers": 3}))


def spoil(folder):
    told = read_text(folder)
    told.encoder.get_input_embeddings().weight.data[0, 0] = torch.nan
    told.encoder.save_pretrained(folder / "text_encoder")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (unlink, "tokenizer is damaged"),
        (cut, "text_encoder is damaged"),
        (deepen, r"text_encoder does not fit its config.json: missing keys"),
        (spoil, "text_encoder holds weights that are not finite: .*token_embedding"),
    ],
)
def test_a_damaged_folder_is_refused(text_pipeline, damage, said):
    folder = text_pipeline()
    damage(folder)
    with pytest.raises(DecoctError, match=said):
        read_text(folder)


def test_without_transformers_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"needs transformers: pip install 'decoct\[diffusion\]'"):
        read_text(tmp_path)
