"""The work on generators: trained under the meter and kept, or supplied, checked, and read where they lie."""

from pathlib import Path
from typing import Any

from decoct.core.errors import DecoctError
from decoct.core.kinds import Machine
from decoct.core.record import read_json, write_json
from decoct.core.spec import build
from decoct.data.dataset import Dataset
from decoct.engine.diffusion.adapted import CARD
from decoct.engine.diffusion.generators import HUB, TeachGenerator, restore, teach_generator
from decoct.engine.diffusion.model import DiffusionModel
from decoct.nets import pipeline
from decoct.run.cell import Cell


def make_generator(cell: Cell) -> None:
    """Train a generator, or load one that the user supplied; of that one, no copy is kept."""
    spec = build(TeachGenerator, {k: v for k, v in cell.job.config.items() if k != "name"}, "generator")
    with cell.meter():
        seed = cell.job.keyed.get("seed", 0)  # one that is supplied draws nothing
        model, facts = teach_generator(spec, cell.data, seed=seed, machine=cell.machine())
    if facts["trained_here"]:
        pipeline.write(cell.folder, model.net.to("cpu"), pipeline.cosine(facts["prediction"]))
    write_json(cell.folder / CARD, facts)


def load_generator(folder: Path, data: Dataset, device: str) -> DiffusionModel:
    """A generator by its cell: in eval mode, frozen, on ``device``.

    Raises:
        UsageError: diffusers is not installed, or its images do not fit the data's.
        DecoctError: it makes other classes, is damaged, or, if it was supplied, is gone or has changed since.
    """
    facts: dict[str, Any] = read_json(folder / CARD)
    if facts["trained_here"]:
        model = restore(folder, data)
        model.net.to(device)
        return model
    word = facts["place"] if facts["hub"] is None else HUB + facts["hub"]
    if facts["hub"] is None and not Path(word).is_dir():
        raise DecoctError(f"the generator {facts['generator']} is gone from {word}: put it back, or name where it lies")
    spec = TeachGenerator(generator=word, digest=facts["digest"])
    return teach_generator(spec, data, seed=0, machine=Machine(device))[0]
