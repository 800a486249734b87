"""What must exist before a method runs; the runner makes it once and counts its cost."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Need(BaseModel):
    """Something that must exist before a method runs; the runner makes it once and counts its cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Teacher(Need):
    """A net trained on the whole train split. ``"teacher"`` is the default label teacher at the data's resolution."""

    net: str = "teacher"


class Features(Need):
    """Features of the train images, and of val where there are some; ``engine.extract.Extract`` has the words."""

    extractor: str = "teacher"
    normalise: Literal["none", "unit"] = "none"


class LayerStatistics(Need):
    """Moments of what goes into each batch norm and convolution of a net, over the train split and by class."""

    net: str = "teacher"


class Dynamics(Need):
    """What training runs on the train split do to each image: ``decoct.engine.dynamics.Traces``.

    Attributes:
        net: that is trained, as the teacher of that name is; ``"teacher"`` is the default label teacher.
        epochs: None for as many as the teacher gets.
        runs: from so many seeds; fewer runs are the first of more.
    """

    net: str = "teacher"
    epochs: int | None = None
    runs: int = 1


class Trajectories(Need):
    """Weights of nets after every epoch of a training on the train split: ``decoct.engine.matching.experts.Experts``.

    Attributes:
        net: that is trained.
        epochs: of each training.
        experts: trainings from so many seeds; fewer are the first of more.
        dsa: whether batches are augmented by differentiable Siamese augmentation.
    """

    net: str
    epochs: int = Field(50, ge=1)
    experts: int = Field(100, ge=1)
    dsa: bool = True


class ImageGenerator(Need):
    """A class-conditional diffusion model: ``decoct.engine.diffusion.model.DiffusionModel``.

    Attributes:
        generator: "own", trained on the data's train split; "hub:NAME"; or a local folder of a diffusers pipeline.
    """

    generator: str = "own"


SUPPLIED = (Teacher, Features, LayerStatistics, Dynamics, Trajectories, ImageGenerator)
