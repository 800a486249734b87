"""Diffusion models in diffusers' folder layout: found, read without running foreign code, and written.

``transformer/`` (``DiTTransformer2DModel``) or ``unet/`` (``UNet2DModel``), ``vae/`` (``AutoencoderKL``) or none where
the model works on pixels, and ``scheduler/``, of which the betas and the kind of prediction are read. A model that is
told by text what to make, in Stable Diffusion's layout, has ``unet/`` (``UNet2DConditionModel``), ``text_encoder/`` and
``tokenizer/``; its scheduler samples it.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from decoct.core.errors import DecoctError, UsageError, first_line
from decoct.core.machine import blame
from decoct.core.notation import from_json
from decoct.nets.text import ENCODER, TOKENIZER, Text, read_text

CONFIG, SCHEDULER = "config.json", "scheduler_config.json"
NETS = {"transformer": "DiTTransformer2DModel", "unet": "UNet2DModel"}
TOLD = "UNet2DConditionModel"
PARTS = (*NETS, "vae", "scheduler", ENCODER, TOKENIZER)
KINDS = ".json", ".safetensors", ".bin", ".txt"
BETAS = "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type"
PREDICTIONS = "epsilon", "v_prediction", "sample"
STEPS = 1000  # of the schedule of a model that is trained here
EPSILON = 1e-6  # of all norms of a DiT
GUIDED = 3  # channels of a DiT's latents that its authors' code guides
SHIFT = 0  # of the frequencies of DiT's steps, as its authors trained it; diffusers builds the net with 1


@dataclass(frozen=True)
class Pipeline:
    """A model as it lies in a folder.

    Attributes:
        net: ``DiTTransformer2DModel``, ``UNet2DModel`` or ``UNet2DConditionModel``, in eval mode.
        vae: ``AutoencoderKL``, in eval mode; None where the model works on pixels.
        alphas: [T] ᾱ_t, float64.
        prediction: "epsilon", "v_prediction" or "sample".
        embeddings: rows of the table of classes; 0 where text takes its place.
        null: whether the last of them is known to stand for no class; None where nothing says so.
        names: of the classes, where the folder says them.
        text: the encoder of prompts; None where the model is conditioned on classes.
        scheduler: diffusers' own, which samples a model that is told by text; None for others.
        guided: channels that classifier-free guidance acts on, from the first; None for all.
    """

    net: nn.Module
    vae: nn.Module | None
    alphas: Tensor
    prediction: str
    embeddings: int
    null: bool | None = None
    names: tuple[str, ...] | None = None
    text: Text | None = None
    scheduler: Any = None
    guided: int | None = None


def diffusers() -> Any:
    """The library, imported when it is needed: that takes seconds.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import diffusers as library
    except ImportError as error:
        raise UsageError("generators need diffusers: pip install 'decoct[diffusion]'") from error
    return library


def cosine(prediction: str) -> Any:
    """The scheduler of a model that is trained here: ᾱ falls as a squared cosine (arXiv:2102.09672)."""
    return diffusers().DDPMScheduler(
        num_train_timesteps=STEPS, beta_schedule="squaredcos_cap_v2", prediction_type=prediction
    )


def write(folder: Path, net: Any, scheduler: Any) -> None:
    """Save a U-Net and its schedule; weights as safetensors."""
    with _quiet():
        net.save_pretrained(folder / "unet", safe_serialization=True)
        scheduler.save_pretrained(folder / "scheduler")


def read(folder: Path, shift: int = SHIFT) -> Pipeline:
    """The model that lies in a folder, on the CPU, in float32.

    Args:
        folder: in diffusers' layout.
        shift: of the frequencies of a DiT's steps: 0 as its authors trained it, 1 as diffusers builds and trains it.

    Raises:
        UsageError: diffusers is not installed.
        DecoctError: a part is missing, damaged, holds more than weights, or is of another kind.
    """
    nets = [part for part in NETS if (folder / part).is_dir()]
    if len(nets) != 1:
        raise DecoctError(
            f"{folder} holds no class-conditional diffusion model: {' or '.join(f'{part}/' for part in NETS)} "
            "is needed, and scheduler/, and vae/ unless the model works on pixels, as diffusers saves them"
        )
    alphas, prediction = _schedule(folder / "scheduler")
    vae = _decoder(folder / "vae") if (folder / "vae").is_dir() else None
    if told_by_text(folder):
        net, scheduler = _part(folder / nets[0], TOLD), _sampler(folder / "scheduler")
        return Pipeline(net, vae, alphas, prediction, 0, text=read_text(folder), scheduler=scheduler)
    net = _part(folder / nets[0], NETS[nets[0]])
    config = net.config
    if nets[0] == "transformer":
        if shift == SHIFT:
            as_trained(net)
        table = net.transformer_blocks[0].norm1.emb.class_embedder.embedding_table
        embeddings, null = int(table.num_embeddings), int(table.num_embeddings) > int(config.num_embeds_ada_norm)
        return Pipeline(net, vae, alphas, prediction, embeddings, null, _named(folder), guided=GUIDED)
    if config.class_embed_type is not None or config.num_class_embeds is None:
        raise DecoctError(
            f"{folder / nets[0]} is not conditioned on classes: its num_class_embeds is to be their number"
        )
    return Pipeline(net, vae, alphas, prediction, int(config.num_class_embeds), None, _named(folder))


def told_by_text(folder: Path) -> bool:
    """Whether text says what the model in a folder makes, as in Stable Diffusion.

    Raises:
        DecoctError: it has text encoders that are not read.
    """
    if (folder / f"{ENCODER}_2").is_dir():
        raise DecoctError(f"{folder} has two text encoders: one is read, as Stable Diffusion 1 and 2 have it")
    config = folder / "unet" / CONFIG
    return (folder / ENCODER).is_dir() or (config.is_file() and _json(config).get("_class_name") == TOLD)


def as_trained(net: Any) -> None:
    """Make a ``DiTTransformer2DModel`` the net whose weights the hub has (Peebles and Xie, 2023, arXiv:2212.09748).

    Step t is seen as waves of the frequencies exp(−ln(10000) i / 128), i < 128; diffusers divides by 127, and has an ε
    of 1e-5 in one of the norms of each block.
    """
    for block in net.transformer_blocks:
        block.norm1.emb.time_proj.downscale_freq_shift = SHIFT
        block.norm3.eps = EPSILON


def files(folder: Path) -> list[Path]:
    """The files of a folder that decide what its model does, in order: of weights in several formats, one."""
    files: list[Path] = [file for file in (folder / "model_index.json",) if file.is_file()]
    for part in PARTS:
        here = sorted(file for file in (folder / part).glob("*") if file.suffix in KINDS)
        safe = any(file.suffix == ".safetensors" for file in here)
        files += [file for file in here if not (safe and file.suffix == ".bin")]
    return files


def from_cache(name: str, revision: str | None = None) -> Path:
    """The folder in the hub's cache that holds a model of the hub; nothing is downloaded.

    Args:
        name: such as "facebook/DiT-XL-2-256".
        revision: commit; None for what the cache has as "main".

    Raises:
        DecoctError: it is not there.
    """
    from huggingface_hub import constants, snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=True))
    except Exception as error:  # the hub's client has many kinds of errors
        at = f" --revision {revision}" if revision else ""
        raise DecoctError(
            f"{name}{f' at {revision[:12]}' if revision else ''} is not in the hub's cache, {constants.HF_HUB_CACHE}\n"
            f"fetch it where there is a network, hf download {name}{at}, and copy that cache here (HF_HOME), "
            'or name a local folder of the model: generator = "FOLDER"'
        ) from error


def _part(folder: Path, kind: str) -> Any:
    """A part of a model, with all of its weights, from safetensors or a ``weights_only`` file."""
    library = diffusers()
    safe = any(folder.glob("*.safetensors"))
    try:
        with _quiet(), torch.random.fork_rng([]):  # whoever draws next is not to notice the fresh weights
            net, told = getattr(library, kind).from_pretrained(
                folder,
                use_safetensors=safe,  # without, diffusers loads with weights_only=True
                low_cpu_mem_usage=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except Exception as error:  # missing, cut off, another net's, or pickled code: each has an error of its own
        said = first_line(error)
        raise DecoctError(
            f"{folder} is damaged, holds more than weights, or is no {kind}: {said}\n"
            "fetch or save it again, best as safetensors"
        ) from error
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if names := told.get(what):
            raise DecoctError(
                f"{folder} does not fit its {CONFIG}: {what.replace('_', ' ')}, such as {next(iter(names))}"
            )
    broken = [name for name, value in net.named_parameters() if not value.isfinite().all()]
    if broken:
        raise DecoctError(f"{folder} holds weights that are not finite: {broken[0]}")
    return net.eval()


def _decoder(folder: Path) -> Any:
    """The encoder and decoder of a latent model, whose latents are only scaled."""
    vae = _part(folder, "AutoencoderKL")
    moved = [name for name in ("shift_factor", "latents_mean", "latents_std") if vae.config.get(name) is not None]
    scale = vae.config.get("scaling_factor")
    if moved:
        raise DecoctError(f"{folder} moves its latents ({moved[0]}): a vae with a scaling_factor alone is needed")
    if not (isinstance(scale, int | float) and 0 < scale < float("inf")):
        raise DecoctError(f"{folder / CONFIG}: scaling_factor {scale!r}, a positive number is needed")
    return vae


def _sampler(folder: Path) -> Any:
    """The scheduler itself, for predictions of ε; those of others are translated before it sees them."""
    kind = _json(folder / SCHEDULER).get("_class_name")
    library = diffusers()
    found: Any = getattr(library, str(kind), None)
    if not issubclass(found if inspect.isclass(found) else object, library.SchedulerMixin):
        raise DecoctError(f"{folder / SCHEDULER}: diffusers {library.__version__} knows no scheduler {kind}")
    with _quiet():
        return found.from_config(_json(folder / SCHEDULER), prediction_type="epsilon")


def _schedule(folder: Path) -> tuple[Tensor, str]:
    """ᾱ of a scheduler's betas, whatever its kind, and what the net predicts."""
    config = _json(folder / SCHEDULER)
    if not ("beta_schedule" in config or config.get("trained_betas")):
        raise DecoctError(f"{folder / SCHEDULER} has no betas: {config.get('_class_name')} is not a diffusion schedule")
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in PREDICTIONS:
        raise DecoctError(f"{folder / SCHEDULER}: prediction_type {prediction!r}, known are {', '.join(PREDICTIONS)}")
    if config.get("rescale_betas_zero_snr"):
        raise DecoctError(f"{folder / SCHEDULER}: with rescale_betas_zero_snr the last step says nothing of the image")
    try:
        kept = {key: config[key] for key in BETAS if key in config}
        alphas = diffusers().DDPMScheduler(**kept).alphas_cumprod.double()
    except (TypeError, ValueError, NotImplementedError) as error:
        raise DecoctError(f"{folder / SCHEDULER} is damaged: {error}") from error
    return alphas, prediction


def _named(folder: Path) -> tuple[str, ...] | None:
    """Class names that diffusers' index of the folder tells."""
    index = folder / "model_index.json"
    said = _json(index).get("id2label") if index.is_file() else None
    if not isinstance(said, dict):
        return None
    try:
        return tuple(str(said[str(i)]) for i in range(len(said)))
    except KeyError as error:
        raise DecoctError(f"{index}: id2label lacks class {error}") from error


def _json(file: Path) -> dict[str, Any]:
    try:
        table = from_json(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        blame(error)
        raise DecoctError(f"{file} is missing or damaged: {error}") from error
    if not isinstance(table, dict):
        raise DecoctError(f"{file} is damaged: it holds no table")
    return table


@contextmanager
def _quiet() -> Iterator[None]:
    """In the block diffusers logs errors alone: what else it has to say is checked here."""
    logging = diffusers().utils.logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def pixels(pipeline: Pipeline) -> tuple[tuple[int, int, int], int]:
    """(c, h, w) of the latents, and the side of the images that they are.

    Raises:
        DecoctError: the net does not say the size, or its latents are not what the decoder takes.
    """
    config: Any = pipeline.net.config
    side, depth = config.sample_size, config.in_channels
    if isinstance(side, Sequence) and len(set(side)) == 1:
        side = side[0]
    if not isinstance(side, int):
        raise DecoctError(f"the generator's sample_size is {side}: square latents of one size are needed")
    if pipeline.vae is None:
        return (depth, side, side), side
    decoder: Any = pipeline.vae.config
    if decoder.latent_channels != depth:
        raise DecoctError(f"the generator's latents have {depth} channels, those of its vae {decoder.latent_channels}")
    return (depth, side, side), side * 2 ** (len(decoder.block_out_channels) - 1)
