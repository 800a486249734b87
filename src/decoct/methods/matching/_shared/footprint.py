"""Bytes that an image takes in a net: in a forward pass, for a backward pass, or for a second one.

They are counted on one image, without a net's weights, which ``weights`` gives.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decoct.nets import zoo
from decoct.nets.room import Held

Shape = tuple[int, int, int]


@cache
def passing(net: str, shape: Shape, classes: int) -> int:
    """Bytes of what goes into and comes out of the layer where the two are largest together: a pass without a graph."""
    widest = 0

    def look(module: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal widest
        widest = max(widest, sum(x.nbytes for x in (*args, out) if isinstance(x, Tensor)))

    built = zoo.build(net, shape[0], classes, shape[1], 0).eval()
    for module in built.modules():
        if not list(module.children()):
            module.register_forward_hook(look)
    with torch.no_grad():
        built(torch.zeros(1, *shape))
    return widest


@cache
def held(net: str, shape: Shape, classes: int, twice: bool = False) -> int:
    """Bytes that the graph of one image's loss holds, the weights left out, and the largest on top, its gradient.

    ``twice``: of the graph of the gradient of that loss in the weights, which is differentiated again.
    """
    built = zoo.build(net, shape[0], classes, shape[1], 0).eval()
    parameters = list(built.parameters())
    own: list[Tensor] = [*parameters]
    with Held() as graph:
        image = torch.zeros(1, *shape, requires_grad=True)
        loss = F.cross_entropy(built(image), torch.zeros(1, dtype=torch.long))
        if twice:
            own = [*parameters, *torch.autograd.grad(loss, parameters, create_graph=True)]
    return sum(graph.besides(own)) + max(graph.besides(parameters))


@cache
def weights(net: str, shape: Shape, classes: int) -> int:
    """Bytes of the net's parameters."""
    return sum(p.nbytes for p in zoo.build(net, shape[0], classes, shape[1], 0).parameters())


def pixels(shape: Shape, images: int) -> int:
    """Bytes of images as floats."""
    return 4 * math.prod(shape) * images
