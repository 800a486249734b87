"""The layers of a net in order, for rates that fall towards the input and for layers that are left as they are."""

from torch import nn

from decoct.nets.features import classifier
from decoct.nets.started import inner


def layers(net: nn.Module) -> list[list[nn.Parameter]]:
    """All parameters of a net, layer by layer, the first one first.

    Layers are as timm groups them for layer-wise decay; of a net that is not timm's, its children are, and each entry
    of those that are sequences. What belongs to none is in the last.
    """
    net = inner(net)
    numbers = _of_timm(net) if callable(getattr(net, "group_matcher", None)) else _of_children(net)
    made: list[list[nn.Parameter]] = [[] for _ in range(max(numbers.values()) + 1)]
    for name, parameter in net.named_parameters():
        made[numbers.get(name, -1)].append(parameter)
    return made


def _of_timm(net: nn.Module) -> dict[str, int]:
    from timm.models import group_parameters

    numbers: dict[str, int] = group_parameters(net, net.group_matcher(coarse=False), reverse=True)  # type: ignore[operator]
    return numbers


def _of_children(net: nn.Module) -> dict[str, int]:
    """The number of the layer of each parameter; the classifier's is the last."""
    blocks: list[tuple[str, nn.Module]] = []
    for name, child in net.named_children():
        parts = child.named_children() if isinstance(child, nn.Sequential) else [("", child)]
        blocks += [(f"{name}.{part}" if part else name, module) for part, module in parts]
    numbers: dict[str, int] = {}
    number = 0
    for name, module in blocks:
        own = [f"{name}.{each}" for each, _ in module.named_parameters()]
        numbers |= dict.fromkeys(own, number)
        number += bool(own)
    names: dict[nn.Module, str] = {module: name for name, module in net.named_modules()}
    head = [name for name in numbers if name.startswith(f"{names[classifier(net)]}.")]
    return numbers | dict.fromkeys(head, number - 1)
