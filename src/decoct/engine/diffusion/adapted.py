"""A diffusion model that lies in a folder, fitted to a data set: its classes by name, its images by size."""

from collections.abc import Sequence
from typing import Any

import torch

from decoct.core.errors import DecoctError, UsageError
from decoct.data.dataset import Dataset
from decoct.engine.diffusion.model import DiffusionModel
from decoct.nets import imagenet_classes, pipeline, weights
from decoct.nets.pipeline import Pipeline

CARD = "generator.json"  # what is on record of a generator; in a folder of the user's it may say its class_names


def adapted(found: Pipeline, data: Dataset, title: str, facts: dict[str, Any]) -> DiffusionModel:
    """The model as the methods see it, frozen.

    Args:
        found: as it lies in its folder.
        data: that it is to make images of.
        title: what an error calls it.
        facts: what is on record of it; of them ``class_names`` and ``null``, where they are there, count.

    Raises:
        UsageError: its images are smaller than the data's, or more than twice as large.
        DecoctError: other classes or another number of them, or other channels.
    """
    latent, side = pipeline.pixels(found)
    size, channels = data.size, data.shape[0]
    if not size <= side <= 2 * size:
        raise UsageError(
            f"{title} makes images of {side} px, {data.name} has {size} px: a generator of {size} to {2 * size} px is "
            "needed\nname another one, or resize the data: 'size' of a source"
        )
    takes = latent[0] if found.vae is None else int(found.vae.config.in_channels)  # type: ignore[union-attr, arg-type]
    if channels != takes and not (found.vae is not None and channels == 1):  # grey becomes colour before the encoder
        raise DecoctError(f"{title} makes images of {takes} channel(s), {data.name} has {channels}")
    rows, null = classes(found, data, title, facts)
    facts = {
        "parameters": sum(p.numel() for p in found.net.parameters()),
        "latent": list(latent),
        "pixels": side,
        "prediction": found.prediction,
        "null": null,
        **facts,
        "class_names": list(data.class_names),
    }
    for net in (found.net, found.vae):
        if net is not None:
            net.eval().requires_grad_(False)
    return DiffusionModel(
        net=found.net,
        vae=found.vae,
        alphas=found.alphas,
        prediction=found.prediction,  # type: ignore[arg-type]
        rows=torch.tensor(rows),
        null=null,
        latent=latent,
        pixels=side,
        shape=data.shape,
        facts=facts,
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
