"""Generators: trained on the data's train split, from the hub's cache, or from a local folder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Machine
from decoct.core.machine import blame
from decoct.core.needs import Need, Part, Plan, Work
from decoct.core.record import read_json, write_json
from decoct.core.seeds import seed as derive
from decoct.core.spec import Spec, digest
from decoct.data.dataset import Dataset
from decoct.data.source import hash_once
from decoct.nets import imagenet_classes, pipeline, weights
from decoct.nets.diffusion import DiffusionModel
from decoct.nets.pipeline import Pipeline, diffusers
from decoct.nets.precision import Precision
from decoct.nets.unet import unet
from decoct.training.denoise import Denoising, NoisyBatches, Prediction, denoise
from decoct.training.images import tensor

__all__ = ["TeachGenerator", "diffusers", "teach_generator"]

OWN, HUB = "own", "hub:"
CARD = "generator.json"  # what is on record of a generator; in a folder of the user's it may say its class_names
LARGEST = 64  # pixels up to which a net on pixels is trained
SHOWN = 12  # digits of a content's digest in a name
IMAGES, STEPS = 300_000, 3_000  # that a training sees and takes at least, unless epochs are given
DIFFUSION = "stable-diffusion-v1-5/stable-diffusion-v1-5"
SEEN = {
    **{f"facebook/DiT-XL-2-{size}": "ImageNet-1K's whole train split" for size in (256, 512)},
    DIFFUSION: "LAION-2B-en and subsets of it, with their texts",
}
UNKNOWN = "not known: supplied by the user"


class ImageGenerator(Need):
    """A diffusion model that is conditioned on classes, or on text: ``decoct.nets.diffusion.DiffusionModel``.

    Attributes:
        generator: "own", trained on the data's train split; "hub:NAME"; or a local folder of a diffusers pipeline.
        text: it is to be told by text what it makes, as Stable Diffusion is; None for either.
    """

    record: ClassVar[str] = CARD

    generator: str = OWN
    text: bool | None = None

    def titles(self, plan: Plan) -> dict[str, str]:
        """A supplied generator is known by its content."""
        return {self.generator: planned(plan, self.generator).title}

    def parts(self, plan: Plan) -> tuple[Part, ...]:
        """One training, or one look at a generator that is supplied.

        Raises:
            UsageError: it is told by text where it is not to be, or the other way round; which method takes it.
        """
        spec = planned(plan, self.generator)
        told = spec.generator != OWN and pipeline.told_by_text(spec.place())
        if self.text is not None and told != self.text:
            raise UsageError(
                f"{spec.title} is told by text what to make, and only d4m writes prompts: take d4m, or a generator "
                "that is conditioned on classes"
                if told
                else f"{spec.title} is conditioned on classes, and d4m needs one that is told by text, such as "
                f"{HUB}{DIFFUSION}: name such a pipeline, or take d4m_class, which needs none"
            )
        drawn = {"seed": plan.derive("generator")} if spec.generator == OWN else {}
        return (Part(spec.title, spec, drawn, labels={"generator": spec.title}),)

    @classmethod
    def make(cls, work: Work) -> None:
        """Train a generator, or load one that the user supplied; of that one, no copy is kept.

        Files:
            generator.json: what it predicts, steps, epochs, loss; of one that was supplied its classes and files
            unet/: of one that was trained here, as diffusers saves it
            scheduler/: likewise its noise schedule
        """
        seed = work.job.keyed.get("seed", 0)  # one that is supplied draws nothing
        with work.meter():
            model, facts = teach_generator(
                TeachGenerator.again(work.job.config), work.data, seed=seed, machine=work.machine()
            )
        if facts["trained_here"]:
            pipeline.write(work.folder, model.net.to("cpu"), pipeline.cosine(facts["prediction"]))
        write_json(work.folder / CARD, facts)

    def load(self, work: Work) -> "dict[str, dict[ImageGenerator, DiffusionModel]]":
        """The model on the device."""
        model = load_generator(work.cell("generator", self.generator), work.data, work.device)
        return {"generators": {self: model}}

    @classmethod
    def uncounted(cls, record: Mapping[str, Any]) -> bool:
        """Whether it was supplied."""
        return not record["trained_here"]

    @classmethod
    def saw(cls, record: Mapping[str, Any]) -> str | None:
        """As recorded."""
        return str(record["seen"])


def load_generator(folder: Path, data: Dataset, device: str) -> DiffusionModel:
    """A generator by its cell: in eval mode, frozen, on ``device``.

    Raises:
        UsageError: diffusers is not installed, or its images do not fit the data's.
        DecoctError: it makes other classes, is damaged, or, if it was supplied, is gone or has changed since.
    """
    facts: dict[str, Any] = read_json(folder / CARD)
    if facts["trained_here"]:
        model = adapted(pipeline.read(folder), data, OWN, facts)
        model.net.to(device)
        return model
    word = facts["place"] if facts["hub"] is None else HUB + facts["hub"]
    if facts["hub"] is None and not Path(word).is_dir():
        raise DecoctError(f"the generator {facts['generator']} is gone from {word}: put it back, or name where it lies")
    spec = TeachGenerator(generator=word, digest=facts["digest"])
    return teach_generator(spec, data, seed=0, machine=Machine(device))[0]


def planned(plan: Plan, word: str) -> "TeachGenerator":
    """The generator that a word means in a study."""
    return plan.generators.get(word) or TeachGenerator(generator=word).pinned()


class TeachGenerator(Spec):
    """Where a generator comes from, and how one is trained: a U-Net on pixels, up to 64 px, of diffusers' parts.

    DDPM (Ho et al., 2020, arXiv:2006.11239) with labels left out for classifier-free guidance (Ho and Salimans, 2022,
    arXiv:2207.12598), a cosine schedule of 1,000 steps, and AdamW whose rate falls to 0 as a cosine.

    Attributes:
        generator: "own", trained on the train split; "hub:NAME", from the hub's cache; or a folder in diffusers'
            layout. All but ``digest`` is for "own".
        epochs: None for 300,000 images, but at least 3,000 steps.
        lr: at its highest.
        batch: images per step.
        ema: decay of the average of the weights, which is the result.
        width: channels at full resolution, a multiple of 8; 2 and 4 times as many below.
        label_dropout: share of the images that are shown without their class.
        prediction: what the net gives, ε or v.
        precision: of the training; None for that of the study's trainings. How it samples is the method's own field.
        digest: of a folder's content, or the hub's revision; filled in by the runner, so that another content is
            another generator.
    """

    kind: ClassVar[str] = "generator"
    name: ClassVar[str] = "teach_generator"

    generator: str = Field(OWN, min_length=1)
    epochs: int | None = Field(None, ge=1)
    lr: float = Field(2e-3, gt=0)
    batch: int = Field(64, ge=1)
    ema: float = Field(0.999, ge=0, lt=1)
    width: int = Field(16, ge=8, multiple_of=8)
    label_dropout: float = Field(0.1, ge=0, lt=1)
    prediction: Prediction = "v_prediction"
    precision: Precision | None = None
    digest: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> "TeachGenerator":
        usual = type(self).model_fields
        changed = [name for name in self.training if getattr(self, name) != usual[name].default]
        for wrong, said in (
            (self.generator != OWN and changed, f"{', '.join(changed)}: for a generator that is trained, not supplied"),
            (self.generator == HUB, "the name is missing: hub:NAME"),
            (self.generator == OWN and self.digest is not None, "a digest is for a generator that is supplied"),
        ):
            if wrong:
                raise PydanticCustomError("generator", "{said}", {"said": said})
        return self

    @property
    def training(self) -> tuple[str, ...]:
        """Names of the fields that say how one is trained."""
        return tuple(name for name in type(self).model_fields if name not in ("generator", "digest"))

    @property
    def hub(self) -> str | None:
        """Name on the hub; None for one that comes from elsewhere."""
        return self.generator.removeprefix(HUB) if self.generator.startswith(HUB) else None

    @property
    def title(self) -> str:
        """What it is called in cells and tables: a supplied one by its content, wherever it lies."""
        if self.generator == OWN:
            return OWN
        name = self.generator if self.hub else Path(self.generator).expanduser().resolve().name
        return f"{name}@{self.digest[:SHOWN]}" if self.digest else name

    def identity(self) -> dict[str, Any]:
        """As for any Spec, without a folder's path: its content counts, and for a supplied generator nothing else."""
        who = super().identity()
        if self.generator != OWN:
            who["version"] += 1  # what is recorded of it, and how a DiT is read
            who["fields"] = {"generator": self.generator if self.hub else "folder", "digest": self.digest}
        return who

    def pinned(self) -> "TeachGenerator":
        """The same with the digest of a folder's content, or the revision that the hub's cache holds.

        Raises:
            UsageError: there is no such folder.
            DecoctError: the hub's cache does not hold it, and what to do then.
        """
        if self.generator == OWN:
            return self
        if self.hub:
            return self.model_copy(update={"digest": self.place().name})
        place = self.place().resolve()
        return self.model_copy(update={"generator": str(place), "digest": content(place)})

    def place(self) -> Path:
        """The folder of a supplied generator."""
        if self.hub:
            return pipeline.from_cache(self.hub, self.digest)
        folder = Path(self.generator).expanduser()
        if not folder.is_dir():
            named = not folder.is_absolute() and self.generator.count("/") == 1
            hint = f"\non the hub it would be {HUB}{self.generator}" if named else ""
            raise UsageError(f'no folder {folder}: a generator is "{OWN}", "{HUB}NAME", or a local folder{hint}')
        return folder

    def steps(self, images: int) -> int:
        """Optimiser steps on a train split: what the epochs come to, with every batch full."""
        if self.epochs is None:
            return max(STEPS, math.ceil(IMAGES / self.batch))
        return math.ceil(self.epochs * images / self.batch)


def content(folder: Path) -> str:
    """Digest of everything that decides the model in a folder; a DecoctError if a file cannot be read."""
    files = pipeline.files(folder) + [file for file in (folder / CARD,) if file.is_file()]
    return digest({str(file.relative_to(folder)): hash_once(file) for file in files})


def teach_generator(
    spec: TeachGenerator, data: Dataset, *, seed: int, machine: Machine = Machine()
) -> tuple[DiffusionModel, dict[str, Any]]:
    """A generator in eval mode, frozen, on the device; and its record.

    Returns:
        The model; and generator, trained_here, origin, hub, place and digest (of a supplied one), steps, epochs,
        images_seen, seen (what it has seen, in words), loss (mean over the last tenth of the steps), parameters,
        latent, pixels, prediction, null, guided (channels, None for all), frequency_shift (of a DiT), text (whether it
        is told by text), class_names, data (name and digest). What is not known is None.

    Raises:
        UsageError: diffusers is not installed, or transformers for a text encoder; an own generator of images over
            64 px; a supplied one of smaller images.
        DecoctError: one that is supplied is not there, is damaged, has changed, or has other classes than the data; a
            loss that is not finite.
    """
    found, facts = _trained(spec, data, seed, machine) if spec.generator == OWN else _supplied(spec, data)
    model = adapted(found, data, spec.title, facts)
    model.net.to(machine.device)
    for part in (model.vae, model.text.encoder if model.text else None):
        if part is not None:
            part.to(machine.device)
    return model, model.facts


def _trained(spec: TeachGenerator, data: Dataset, seed: int, machine: Machine) -> tuple[Pipeline, dict[str, Any]]:
    library, classes, images = diffusers(), len(data.class_names), len(data.train)
    if data.size > LARGEST:
        raise UsageError(
            f"decoct trains generators up to {LARGEST} px, {data.name} has {data.size} px: supply one, "
            'generator = "hub:NAME" (such as hub:facebook/DiT-XL-2-256 for classes of ImageNet) or a local folder'
        )
    scheduler = pipeline.cosine(spec.prediction)
    alphas = scheduler.alphas_cumprod.double()
    net = unet(data.shape[0], classes, data.size, spec.width, derive(seed, "weights"))
    numbers = Denoising(
        steps=spec.steps(images),
        batch=spec.batch,
        lr=spec.lr,
        ema=spec.ema,
        drop=spec.label_dropout,
        prediction=spec.prediction,
        flip=data.flip,
    )
    labels = tensor(data.train.labels)
    batches = NoisyBatches(tensor(data.train.images), labels, alphas, numbers, classes, seed, machine.device)
    losses = denoise(net, batches, replace(machine, precision=spec.precision or machine.precision))
    seen = numbers.steps * numbers.batch
    facts = {
        "generator": spec.title,
        "trained_here": True,
        "origin": f"trained by decoct on {data.name}",
        "steps": numbers.steps,
        "epochs": round(seen / images, 4),
        "images_seen": seen,
        "seen": f"the train split: {images:,} images",
        "loss": float(losses[-max(1, len(losses) // 10) :].mean()),
        "class_names": list(data.class_names),
        "data": {"name": data.name, "digest": data.digest},
        "diffusers": library.__version__,
    }
    return Pipeline(net, None, alphas, spec.prediction, classes + 1, True), facts


def _supplied(spec: TeachGenerator, data: Dataset) -> tuple[Pipeline, dict[str, Any]]:
    now = spec.pinned()
    if spec.digest is not None and now.digest != spec.digest:
        raise DecoctError(f"the generator in {spec.generator} has changed since this was planned: run the same again")
    place = now.place()
    card = _card(place)
    if now.hub:
        seen = SEEN.get(now.hub, UNKNOWN)
    else:
        of, said = card.get("data") or {}, card.get("seen", UNKNOWN)
        seen = said if of.get("digest") in (None, data.digest) else f"of {of.get('name')}, {said}"
    facts = {
        "generator": now.title,
        "trained_here": False,
        "origin": f"the hub's {now.hub}, revision {now.digest}" if now.hub else f"the folder {now.title}",
        "hub": now.hub,
        "place": str(place),
        "digest": now.digest,
        **{name: card.get(name) for name in ("steps", "epochs", "images_seen", "loss", "class_names", "data")},
        "seen": seen,
        "diffusers": diffusers().__version__,
    }
    shift = card.get("frequency_shift", pipeline.SHIFT)
    found = pipeline.read(place, shift)
    return found, facts | ({"frequency_shift": shift} if found.guided is not None else {})  # of a DiT


def _card(folder: Path) -> dict[str, Any]:
    """What the folder itself says of its model."""
    file = folder / CARD
    if not file.is_file():
        return {}
    try:
        card: dict[str, Any] = read_json(file)
        names = card.get("class_names")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError("class_names is not a list of names")
        if card.get("frequency_shift", pipeline.SHIFT) not in (0, 1):
            raise ValueError("frequency_shift is 0, as DiT's authors train, or 1, as diffusers does")
    except (OSError, ValueError, AttributeError) as error:
        blame(error)
        raise DecoctError(f"{file} is damaged: {error}") from error
    return card


def adapted(found: Pipeline, data: Dataset, title: str, facts: dict[str, Any]) -> DiffusionModel:
    """The model as the methods see it, frozen.

    Args:
        found: as it lies in its folder.
        data: that it is to make images of.
        title: what an error calls it.
        facts: its record; ``class_names`` and ``null`` count if they are in it.

    Raises:
        UsageError: its images are smaller than the data's.
        DecoctError: other classes or another number of them, or other channels.
    """
    latent, side = pipeline.pixels(found)
    size, channels = data.size, data.shape[0]
    if side < size:
        raise UsageError(
            f"{title} makes images of {side} px, {data.name} has {size} px: a generator of {size} px or more is "
            "needed\nname another one, or resize the data: 'size' of a source"
        )
    takes = latent[0] if found.vae is None else int(found.vae.config.in_channels)  # type: ignore[union-attr, arg-type]
    if channels != takes and not (found.vae is not None and channels == 1):  # grey becomes colour before the encoder
        raise DecoctError(f"{title} makes images of {takes} channel(s), {data.name} has {channels}")
    rows, null = ([], None) if found.text else classes(found, data, title, facts)
    facts = {
        "parameters": sum(p.numel() for p in found.net.parameters()),
        "latent": list(latent),
        "pixels": side,
        "prediction": found.prediction,
        "null": null,
        "guided": found.guided,
        "text": found.text is not None,
        **facts,
        "class_names": list(data.class_names),
    }
    for net in (found.net, found.vae, found.text.encoder if found.text else None):
        if net is not None:
            net.eval().requires_grad_(False)
    return DiffusionModel(
        net=found.net,
        vae=found.vae,
        alphas=found.alphas,
        prediction=found.prediction,  # type: ignore[arg-type]
        rows=torch.tensor(rows, dtype=torch.long),
        null=null,
        latent=latent,
        pixels=side,
        shape=data.shape,
        facts=facts,
        guided=found.guided,
        text=found.text,
        scheduler=found.scheduler,
    )


def classes(found: Pipeline, data: Dataset, title: str, facts: dict[str, Any]) -> tuple[list[int], int | None]:
    """The model's class for each of the data, and for none; None where it has none, so that guidance is not possible.

    Classes are known by name: from ``generator.json``, from diffusers' ``id2label``, or as ImageNet-1K's 1,000. Equal
    numbers alone say nothing.

    Raises:
        DecoctError: which is which is not known, or the data have classes that the model lacks.
    """
    names, table = facts.get("class_names") or found.names, found.embeddings
    asked = data.class_names
    if found.null is not None:
        count = table - found.null
    elif names is not None:
        count = len(names)
    else:
        count = len(asked) if table == len(asked) else table - (table != imagenet_classes.CLASSES)
    null = table - 1 if table == count + 1 else None
    if names is not None and (len(names) != count or table not in (count, count + 1)):
        raise DecoctError(f"{title} has {table} embeddings of classes, and names {len(names)} classes: it is damaged")
    if count == imagenet_classes.CLASSES and (names is None or imagenet_classes.known(names)):
        return _imagenet(asked, title), null
    numbers = f"{title} makes {count:,} classes, {data.name} has {len(asked):,}"
    if names is None:
        if count != len(asked):
            raise DecoctError(f'{numbers}\nname a generator of these classes, or train one: generator = "own"')
        raise DecoctError(
            f"{title} does not say which of its {count:,} classes is which of {data.name}'s: write a {CARD} into its "
            'folder that does, {"class_names": ["…", …]}, in the order of its embeddings'
        )
    if len(names) > len(asked) and set(asked) <= set(names):
        return [names.index(name) for name in asked], null
    if count != len(asked):
        lacking = next(name for name in asked if name not in names) if set(asked) - set(names) else asked[0]
        raise DecoctError(f"{numbers}, and '{lacking}' is none of the generator's: train one, generator = \"own\"")
    weights.same_classes(names, asked, title)
    return list(range(count)), null


def _imagenet(names: Sequence[str], title: str) -> list[int]:
    if not imagenet_classes.known(names):
        raise DecoctError(
            f"{title} makes ImageNet-1K's {imagenet_classes.CLASSES:,} classes, the data have {len(names):,}, and not "
            "all of them are ImageNet-1K's\nname the classes by their WordNet ids, such as n01440764, or train a "
            'generator: generator = "own"'
        )
    return imagenet_classes.rows(names)
