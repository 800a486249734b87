"""Prompts as a text-conditioned diffusion model sees them: the tokenizer and the encoder in its folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decoct.core.errors import DecoctError, UsageError, first_line

TOKENIZER, ENCODER = "tokenizer", "text_encoder"
BATCH = 100  # prompts in one forward pass


@dataclass(frozen=True, eq=False)
class Text:
    """CLIP's text encoder, as Stable Diffusion has it (Rombach et al., 2022, arXiv:2112.10752).

    Attributes:
        tokenizer: ``CLIPTokenizer``.
        encoder: ``CLIPTextModel``, in eval mode.
    """

    tokenizer: Any
    encoder: Any

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """[n, tokens, width] last hidden states of prompts, which are filled up, or cut, to the encoder's length."""
        length = self.encoder.config.max_position_embeddings
        how = {"padding": "max_length", "max_length": length, "truncation": True, "return_tensors": "pt"}
        tokens = self.tokenizer(list(prompts), **how).input_ids.to(self.encoder.device)
        return torch.cat([self.encoder(some)[0] for some in tokens.split(BATCH)])


def transformers() -> Any:
    """The library, imported when it is needed.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import transformers as library
    except ImportError as error:
        raise UsageError("a text encoder needs transformers: pip install 'decoct[diffusion]'") from error
    return library


def read_text(folder: Path) -> Text:
    """The tokenizer and the encoder in the folder of a pipeline, on the CPU, in float32.

    Raises:
        UsageError: transformers is not installed.
        DecoctError: one of them is missing, damaged, or of another kind.
    """
    library = transformers()
    said = library.utils.logging
    level, bars = said.get_verbosity(), said.is_progress_bar_enabled()
    said.set_verbosity(said.CRITICAL)
    said.disable_progress_bar()
    part = TOKENIZER
    try:
        with torch.random.fork_rng([]):  # whoever draws next is not to notice the fresh weights
            tokenizer = library.CLIPTokenizer.from_pretrained(folder / part, local_files_only=True)
            part = ENCODER
            encoder, told = library.CLIPTextModel.from_pretrained(
                folder / part,
                local_files_only=True,
                weights_only=True,
                output_loading_info=True,
            )
    except Exception as error:  # missing, cut off, another net's, or pickled code: each has an error of its own
        why = first_line(error)
        raise DecoctError(
            f"{folder / part} is damaged, or is not CLIP's as Stable Diffusion has it: {why}\nfetch or save it again"
        ) from error
    finally:
        said.set_verbosity(level)
        if bars:
            said.enable_progress_bar()
    for what in ("missing_keys", "mismatched_keys"):
        if names := told.get(what):
            what = what.replace("_", " ")
            raise DecoctError(f"{folder / ENCODER} does not fit its config.json: {what}, such as {next(iter(names))}")
    broken = [name for name, value in encoder.named_parameters() if not value.isfinite().all()]
    if broken:
        raise DecoctError(f"{folder / ENCODER} holds weights that are not finite: {broken[0]}")
    return Text(tokenizer, encoder.eval().float())
