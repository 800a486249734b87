"""Labels from the mean logits of a committee, online or stored."""

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from decoct.core.errors import UsageError
from decoct.core.interfaces import Task
from decoct.nets.zoo import label_committee
from decoct.training.recipe import Recipe, SoftLabelled

EARLY = ("resnet18.tv_in1k", "mobilenet_v2.tv_in1k", "shufflenet_v2_x0_5.tv_in1k")
COMMITTEES = {  # of ImageNet-1K, with the weights that their authors load
    "edc": (*EARLY, "alexnet.tv_in1k"),
    "g_vbsm": (*EARLY, "efficientnet_b0.ra_in1k"),  # torchvision's are a copy of these
    "fadrm": ("resnet18.tv_in1k", "densenet121.tv_in1k", "shufflenet_v2_x1_0.tv_in1k", "mobilenet_v2.tv_in1k"),
}


class MultiTeacher(SoftLabelled):
    """Mean logits of a committee; MSE + 0.025 · CE on the unmixed label, half-stretched cosine, weight EMA .99.

    The recipe of EDC (Shao et al., 2024, arXiv:2404.13733) for ImageNet-1K, with its paper's schedule: its code
    overwrites the cosine by a line to half the rate (``schedule = "half_linear"``). The batch of 50 is that of its
    ten-class script; what else that one has (RandAugment, another schedule) is left out, and so is the shuffle of
    patches, which has no effect in its code. The last epoch counts.

    The usual committee above 64 px is no method's own, so that no set is labelled by just the nets that it was made
    from: ResNet-18, MobileNet-V2, ShuffleNet-V2 0.5 and DenseNet-121. EDC has AlexNet for DenseNet-121, which FADRM+
    and CV-DD label with; of the five AlexNet is the least accurate on ImageNet-1K (56.5 %, DenseNet-121 74.4 %).

    Attributes:
        teachers: nets that label; None for the ``committee``.
        committee: by whose authors' nets to label, above 64 px: "edc" (on ImageNet-1K), "g_vbsm" (and EDC at ten
            classes), whose code also brings the nets' logits to one norm before the mean, or "fadrm" (FADRM+; AlexNet
            for DenseNet-121 at IPC 1 of ImageNet-1K). CV-DD weighs its five nets, which a mean does not. None for the
            usual committee of the resolution.
    """

    version: ClassVar[int] = 2  # batches at ten classes, MobileNet-V2 by its name in torchvision

    teachers: tuple[str, ...] | None = Field(None, min_length=1)  # None: the committee of the resolution
    committee: Literal["edc", "g_vbsm", "fadrm"] | None = None
    loss: Literal["kl", "mse_ce"] = "mse_ce"
    ema: float | None = Field(0.99, ge=0, lt=1)
    shuffle: int | None = Field(1, ge=1)

    @model_validator(mode="after")
    def _one_committee(self) -> "MultiTeacher":
        if self.teachers and self.committee:
            raise ValueError("name a committee or its teachers, not both: leave one of them out")
        return self

    def label_teachers(self, size: int) -> tuple[str, ...]:
        """The committee.

        Raises:
            UsageError: the authors' nets for images of up to 64 px are meant, and the zoo has other ones.
        """
        if self.committee and size <= 64:
            raise UsageError(
                f"committee = '{self.committee}' is of nets for more than 64 px: its authors label images of {size} px "
                f"with nets of their own making\nname some with teachers, such as {list(label_committee(size))}"
            )
        return self.teachers or COMMITTEES.get(self.committee or "") or label_committee(size)

    def recipe(self, task: Task) -> Recipe:
        """Batch 100, 50 up to ten classes; RandomResizedCrop keeps at least half of the image, all above 64 px."""
        soft = self.soft(task, large_batch=50 if task.classes <= 10 else 100)
        return self.finished(soft if task.size <= 64 else replace(soft, scale=(0.5, 1.0)))
