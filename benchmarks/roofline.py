"""The time of work on a GPU that is not here, by its roofline, compared with published throughputs.

Every operation of torch is counted while it is traced, on tensors of shapes alone (``shapes``): what it computes and in
which precision, what it reads and writes. On the GPU it takes as long as its arithmetic or as its memory traffic,
whichever is longer, by the numbers that NVIDIA gives, and of those a GPU reaches a part. That part is fitted: for cards
with GDDR memory to timm's trainings on the RTX 3090, for those with HBM to three trainings on the A100; nobody's
figures for an H100 are among them. Inference is not fitted, and says how far that carries.

Published are timm's tables (``results/benchmark-{train,infer}-amp-nhwc-*.csv`` in huggingface/pytorch-image-models):
images per second under mixed precision, channels last, one step after the other, nothing loaded, without fused
attention in the older trainings. The others include loading: NVIDIA's ResNet-50 (DeepLearningExamples; in TF32 with
channels first, which cuDNN reorders at every convolution), and FFCV's ResNet-18, whose net blurs before it strides.

    python benchmarks/roofline.py
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import conv_flop_count, flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from decoct.core.errors import UsageError
from shapes import DEVICE, no_values, signature

REACHED = {"gddr": 0.86, "hbm": 0.68}  # of the roof by kind of memory, in the median of what others measured, see below
GROUPED = 5.0  # times its traffic that the gradient of a convolution in groups takes, likewise
LAUNCH = 5e-6  # seconds at least of an operation: PyTorch starts each by itself
FREE = {"_unsafe_view", "lift_fresh", "set_", "resize_", "_local_scalar_dense", "is_same_size"}
FREE |= {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted"}
PICKING = {"index", "index_select", "gather", "embedding", "take"}  # they read what they give, not all that there is
PUTTING = {"index_put", "index_add", "index_copy", "scatter", "scatter_add"}  # they touch what is put
FILLING = {"copy", "fill", "zero", "normal", "uniform", "random", "bernoulli", "exponential"}  # they read no target


@dataclass(frozen=True)
class Gpu:
    """A GPU as its maker describes it; operations a second are those of dense matrices.

    Attributes:
        name: of the GPU.
        half: operations a second in bfloat16 and float16, summed in float32.
        rounded: in TF32, which convolutions in float32 are rounded to.
        single: in float32.
        double: in float64.
        bandwidth: bytes per second of its memory.
        reached: share of the roof that is taken to be reached.
    """

    name: str
    half: float
    rounded: float
    single: float
    double: float
    bandwidth: float
    reached: float = 1.0


GPUS = {  # tera-operations a second, and terabytes
    key: Gpu(f"NVIDIA {name}", *(1e12 * value for value in numbers), REACHED[memory])
    for key, (name, memory, *numbers) in {
        "h200": ("H200 SXM", "hbm", 989.4, 494.7, 66.9, 66.9, 4.8),
        "h100": ("H100 SXM", "hbm", 989.4, 494.7, 66.9, 66.9, 3.35),
        "h100_pcie": ("H100 PCIe", "hbm", 756.5, 378.2, 51.2, 51.2, 2.0),
        "a100_80gb": ("A100 SXM 80 GB", "hbm", 311.9, 155.9, 19.5, 19.5, 2.039),
        "a100_40gb": ("A100 SXM 40 GB", "hbm", 311.9, 155.9, 19.5, 19.5, 1.555),
        "l40s": ("L40S", "gddr", 362.1, 183.2, 91.6, 1.41, 0.864),
        "l4": ("L4", "gddr", 121.0, 60.0, 30.3, 0.47, 0.3),
        "rtx5090": ("GeForce RTX 5090", "gddr", 209.5, 104.8, 104.8, 1.64, 1.792),
        "rtx4090": ("GeForce RTX 4090", "gddr", 165.2, 82.6, 82.6, 1.29, 1.008),
        "rtx3090": ("GeForce RTX 3090", "gddr", 71.0, 35.6, 35.6, 0.556, 0.936),
    }.items()
}


def gpu(key: str) -> Gpu:
    """The GPU of a short name, such as h100.

    Raises:
        UsageError: none of that name is known.
    """
    known = key.lower().replace("-", "_").replace(" ", "_")
    if known not in GPUS:
        raise UsageError(f"no GPU '{key}' is known; there are {', '.join(GPUS)}")
    return GPUS[known]


class Roofline:
    """A clock of a GPU that is not here: what the operations of a block would take there, while they are traced here.

    An operation takes as long as its arithmetic or as its memory traffic, whichever is longer, divided by the share of
    the roof that the GPU reaches; ``LAUNCH`` at least. What is no operation of torch is not seen: disks, decoding,
    numpy; nor are copies between the host and the GPU.

    Args:
        gpu: on which.
        device: whose operations are counted, by its type; None for all.

    Attributes:
        seconds: up to now, as are the others.
        operations: of arithmetic, in products of matrices, convolutions and attention; a product of numbers and its
            sum are two.
        moved: bytes that were read and written.
        launched: operations of torch.

    Source:
        Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
        architectures", CACM 52(4), 2009.
    """

    def __init__(self, gpu: Gpu, device: str | None = None) -> None:
        self.gpu, self.device, self.seen = gpu, device, _Seen(self._count)
        self.seconds, self.operations, self.moved, self.launched = 0.0, 0.0, 0, 0
        self.known: dict[Any, tuple[float, float, int]] = {}  # by all that it depends on

    def __enter__(self) -> "Roofline":
        """Start to count."""
        self.seen.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        """Count no longer."""
        self.seen.__exit__(*error)

    def _count(self, function: Any, args: Any, kwargs: Any, made: Any) -> None:
        if function.is_view or _name(function) in FREE or not self._here((args, kwargs, made)):
            return
        key = signature(function, args, kwargs)
        if key not in self.known:
            self.known[key] = self._bound(function, args, kwargs, made)
        seconds, operations, moved = self.known[key]
        self.seconds, self.operations = self.seconds + max(seconds, LAUNCH), self.operations + operations
        self.moved, self.launched = self.moved + moved, self.launched + 1

    def _bound(self, function: Any, args: Any, kwargs: Any, made: Any) -> tuple[float, float, int]:
        """Seconds, arithmetic and bytes."""
        operations, moved = _operations(function, args, kwargs, made), _bytes(function, args, kwargs, made)
        arithmetic = operations / self._rate(function, args) if operations else 0.0
        slower = GROUPED if _name(function) == "convolution_backward" and args[9] > 1 else 1.0
        return max(arithmetic, slower * moved / self.gpu.bandwidth) / self.gpu.reached, operations, moved

    def _here(self, values: Any) -> bool:
        return self.device is None or any(each.device.type == self.device for each in _tensors(values))

    def _rate(self, function: Any, args: Any) -> float:
        """Operations a second in the precision of the first operand."""
        dtype = next(_tensors(args)).dtype
        if dtype in (torch.bfloat16, torch.float16):
            return self.gpu.half
        if dtype == torch.float64:
            return self.gpu.double
        rounds = "conv" in _name(function) or torch.get_float32_matmul_precision() != "highest"
        return self.gpu.rounded if rounds else self.gpu.single


class _Seen(TorchDispatchMode):
    """Tells every operation that is computed in the block, in the parts that torch puts it together from."""

    def __init__(self, tell: Callable[[Any, Any, Any, Any], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tell = tell

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute the operation, and tell of it."""
        kwargs = kwargs or {}
        if not function.has_kernel_for_dispatch_key(torch._C.DispatchKey.CPU):
            with self:
                parts = function.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        made = function(*args, **kwargs)
        self.tell(function, args, kwargs, made)
        return made


def _operations(function: Any, args: Sequence[Any], kwargs: dict[str, Any], made: Any) -> float:
    """Of arithmetic, as far as torch counts them: in products of matrices, convolutions and attention."""
    if _name(function) == "convolution_backward":  # torch counts those in groups as if there were none
        there, images, weight = (value.shape for value in args[:3])
        return float(conv_flop_count(images, weight, there, transposed=args[7]) * sum(args[10][:2]))
    if _name(function).startswith("_scaled_dot_product_flash_attention_for_cpu"):  # it counts those on GPUs alone
        backward = _name(function).endswith("backward")
        shapes = [value.shape for value in args[: 4 if backward else 3]]
        return float((sdpa_backward_flop_count if backward else sdpa_flop_count)(*shapes))
    count = flop_registry.get(function.overloadpacket)
    return float(count(*args, **kwargs, out_val=made)) if count else 0.0


def _bytes(function: Any, args: Sequence[Any], kwargs: dict[str, Any], made: Any) -> int:
    """That an operation reads and writes."""
    name, given = _name(function).rstrip("_"), list(args)
    if name == "convolution_backward":  # one kernel for each gradient that is asked for
        there, images, weight = map(_size, args[:3])
        return _size(made) + args[10][0] * (there + weight) + args[10][1] * (there + images)
    if name in PICKING:
        return 2 * _size(made) + sum(map(_size, args[1:]))
    if name in PUTTING:
        return 3 * sum(map(_size, args[1:]))
    total, flags = 0, []
    for number, about in enumerate(function._schema.arguments):
        value = given[number] if number < len(given) else kwargs.get(about.name)
        flags += [value] if about.name in ("training", "train", "update") else []
        size = _size(value)
        writes = about.alias_info is not None and about.alias_info.is_write
        reads = not (about.is_out or (writes and name in FILLING))
        total += size * (writes + reads)
    if "batch_norm" in name and all(flags):  # it takes statistics first, and then reads all of it again
        total += sum(map(_size, given[: 2 if "backward" in name else 1]))
    new = all(about.alias_info is None for about in function._schema.returns)
    return total + (_size(made) if new else 0)


def _tensors(value: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _size(value: Any) -> int:
    """Bytes of the tensors in it; what an expanded one repeats is stored once."""
    return sum(
        each.element_size() * math.prod(n for n, step in zip(each.shape, each.stride(), strict=True) if step or not n)
        for each in _tensors(value)
    )


def _name(function: Any) -> str:
    return str(function.overloadpacket.__name__)


Published = dict[str, tuple[float, int]]  # net -> images per second, batch

TRAINED: Published = {  # RTX 3090, torch 1.12
    "resnet18": (3481.78, 512),
    "resnet34": (2036.51, 512),
    "resnet50": (1218.01, 512),
    "resnet101": (747.89, 256),
    "mobilenetv2_100": (2313.10, 512),
    "mobilenetv3_small_050": (11290.99, 512),
    "mobilenetv3_large_100": (2732.43, 512),
    "efficientnet_b0": (1751.72, 512),
    "efficientnet_lite0": (2079.28, 512),
    "densenet121": (913.65, 256),
    "convnext_tiny": (819.24, 256),
    "vit_tiny_patch16_224": (2299.56, 512),
    "vit_small_patch16_224": (1057.92, 384),
    "vgg11": (954.03, 512),
}
USED_3090: Published = {  # RTX 3090, torch 2.4
    "resnet18": (11188.75, 1024),
    "resnet34": (6529.57, 1024),
    "mobilenetv2_100": (9887.57, 1024),
    "mobilenetv3_small_050": (57072.67, 1024),
    "mobilenetv3_large_100": (13556.89, 1024),
    "efficientnet_b0": (8241.40, 1024),
    "efficientnet_lite0": (9657.18, 1024),
    "vit_tiny_patch16_224": (10405.73, 1024),
    "vit_small_patch16_224": (4616.60, 1024),
}
USED_4090: Published = {  # RTX 4090, torch 2.4
    "resnet18": (18247.43, 512),
    "resnet34": (11246.05, 512),
    "resnet50": (5088.39, 512),
    "resnet101": (3320.94, 512),
    "mobilenetv2_100": (11768.03, 512),
    "mobilenetv3_small_050": (91713.66, 512),
    "mobilenetv3_large_100": (16891.88, 512),
    "efficientnet_b0": (9831.68, 512),
    "efficientnet_lite0": (11509.61, 512),
    "densenet121": (3896.08, 512),
    "convnext_tiny": (4844.53, 512),
    "vit_tiny_patch16_224": (17589.76, 512),
    "vit_small_patch16_224": (7695.68, 512),
    "vgg11": (4978.90, 512),
}
A100 = {"resnet18": (5500.0, 1024), "resnet50": (2470.0, 256)}


class Part(NamedTuple):
    """Figures that others published: what was done on which GPU, in mixed precision or in TF32.

    Attributes:
        title: what was done.
        gpu: its short name.
        published: by net.
        training: a step of SGD; else a forward pass.
        half: in mixed precision.
        fused: attention in one kernel.
    """

    title: str
    gpu: str
    published: Published
    training: bool
    half: bool = True
    fused: bool = True


PARTS = (
    Part("training, RTX 3090", "rtx3090", TRAINED, training=True, fused=False),
    Part("inference, RTX 3090", "rtx3090", USED_3090, training=False),
    Part("inference, RTX 4090", "rtx4090", USED_4090, training=False),
    Part("training, A100, with loading", "a100_80gb", A100, training=True),
    Part("training, A100", "a100_80gb", {"resnet50": (2600.0, 512)}, training=True),
    Part("training in TF32, A100, with loading", "a100_80gb", {"resnet50": (938.0, 256)}, training=True, half=False),
)


def traced(name: str, batch: int, part: Part) -> float:
    """Images a second by the roofline."""
    import timm

    with torch.device(DEVICE), fused_attention(part.fused):
        net = timm.create_model(name).train(part.training).to(memory_format=torch.channels_last)
        images = torch.empty(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
        labels = torch.empty(batch, dtype=torch.int64)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    with no_values(), Roofline(GPUS[part.gpu]) as roof, torch.set_grad_enabled(part.training):
        with torch.autocast(DEVICE, torch.bfloat16, enabled=part.half):
            logits = net(images)
        if part.training:
            F.cross_entropy(logits.float(), labels).backward()
            optimiser.step()
    return batch / roof.seconds


@contextmanager
def fused_attention(fused: bool) -> Iterator[None]:
    """Whether nets of timm's that are made in the block take attention in one kernel."""
    from timm import layers

    before = layers.use_fused_attn()
    layers.set_fused_attn(fused)
    try:
        yield
    finally:
        layers.set_fused_attn(before)


def main() -> None:
    from yardstick import table  # here, so that tests can load this file alone

    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows, summary = [], []
    for part in PARTS:
        ratios = []
        for name, (speed, batch) in part.published.items():
            said = traced(name, batch, part)
            ratios.append(said / speed)
            rows.append([part.title, name, f"{speed:,.0f}", f"{said:,.0f}", f"{said / speed:.2f}"])
        summary.append([part.title, f"{len(ratios)}", *(f"{value:.2f}" for value in spread(ratios))])
    print(f"Reached of the roof: {', '.join(f'{share} with {memory.upper()}' for memory, share in REACHED.items())}.\n")
    print(table(["", "net", "published, images/s", "said, images/s", "said / published"], rows))
    print()
    print(table(["said / published", "nets", "median", "lowest", "highest"], summary))


def spread(ratios: list[float]) -> tuple[float, float, float]:
    """Median, lowest, highest."""
    return median(ratios), float(np.min(ratios)), float(np.max(ratios))


if __name__ == "__main__":
    main()
