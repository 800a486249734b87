"""Gradients of a net's last layer, one per image, in closed form from the layer's inputs, never held whole.

With h the penultimate features, p = softmax(W h + b) and y the label's one-hot, cross-entropy has the gradient
g = (p − y) ⊗ [h, 1] in (W, b): C · (d + 1) numbers per image. Inner products need the factors alone,
⟨g_i, g_j⟩ = ⟨p_i − y_i, p_j − y_j⟩ · (h_i · h_j + 1), so that an image takes C + d numbers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from decoct import select
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Draft, Inputs, Need
from decoct.methods.coresets._shared.coreset import Coreset, Group
from decoct.needs.features import Features
from decoct.needs.teacher import Teacher
from decoct.nets import features as nets

BLOCK = 2**22  # numbers that a block of rows holds
TRIED = 16  # images that a head is tried on
NEAR = 0.01  # of Σ |w h|, in which rounding is counted: more than half precision or another device take away


@dataclass(frozen=True)
class Head:
    """The layer that makes a net's logits of its penultimate features, in float64.

    Attributes:
        weight: [C, d].
        bias: [C].
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, net: nn.Module) -> "Head":
        """That of a net.

        Raises:
            DecoctError: the net has no linear layer.
        """
        layer = nets.classifier(net)
        weight = layer.weight.detach().double().cpu()
        return cls(weight, weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().double().cpu())

    @classmethod
    def needed(cls, inputs: Inputs, net: str) -> "Head":
        """The head of a needed teacher, tried on a few train images: it must turn the stored features into logits.

        Raises:
            DecoctError: the net does more behind its last linear layer, such as averaging two heads.
        """
        teacher, data = inputs.teachers[net], inputs.data
        head = cls.of(teacher)
        some = np.unique(np.linspace(0, len(data.train.labels) - 1, TRIED).astype(np.int64))
        stored = torch.from_numpy(np.asarray(inputs.features[Features(extractor=net)][some]))
        images = torch.from_numpy(np.asarray(data.train.images[some]))
        seen = nets.logits(teacher, images, data.mean, data.std, inputs.device).double()
        if stored.shape[1] != head.weight.shape[1] or not (head.off(stored, seen) <= NEAR):
            raise DecoctError(
                f"the logits of '{net}' are not its last linear layer of its penultimate features, so the gradient of "
                "that layer is not known in closed form\ntake another net, such as convnet3_bn or resnet18"
            )
        return head

    def off(self, features: Tensor, seen: Tensor) -> float:
        """How far its logits of [n, d] features are from the given ones, as a share of  Σ |w h| + |b|."""
        terms = features.double().abs() @ self.weight.abs().T + self.bias.abs()
        return float((self.logits(features) - seen).abs().max() / terms.max())

    def logits(self, features: Tensor) -> Tensor:
        """[n, C] of [n, d] features, in float64."""
        return features.double() @ self.weight.T + self.bias

    def errors(self, features: ArrayLike | Tensor, labels: NDArray[np.int64]) -> Tensor:
        """p − y, [n, C], of [n, d] features with their classes.

        Raises:
            DecoctError: features that are not finite, or a class that the head does not have.
        """
        logits, rows = self.logits(torch.as_tensor(features)), torch.as_tensor(labels)[:, None]
        if not logits.isfinite().all():
            raise DecoctError("the teacher's features hold values that are not finite: train it at a lower rate")
        classes = logits.shape[1]
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < classes:
            raise DecoctError(f"labels run from {int(rows.min())} to {int(rows.max())}; the teacher knows {classes}")
        errors = logits.softmax(1).scatter_(1, rows, 0.0)
        # p_y − 1 as −Σ of the others: where p_y is nearly 1, the difference itself has no digits left.
        return errors.scatter_(1, rows, -errors.sum(1, keepdim=True))

    def gradient(self, features: NDArray[Any], labels: NDArray[np.int64]) -> Tensor:
        """Σ g over images, [C, d + 1], the bias last; features may be a memory map."""
        total = self.weight.new_zeros(len(self.weight), self.weight.shape[1] + 1)
        for rows in self._blocks(len(labels)):
            part = torch.from_numpy(np.array(features[rows])).double()
            errors = self.errors(part, labels[rows])
            total[:, :-1] += errors.T @ part
            total[:, -1] += errors.sum(0)
        return total

    def along(self, direction: Tensor, features: NDArray[Any], labels: NDArray[np.int64]) -> Tensor:
        """⟨g_i, v⟩ of each image, [n], for v [C, d + 1]; features may be a memory map."""
        products = [self.weight.new_zeros(0)]
        for rows in self._blocks(len(labels)):
            part = torch.from_numpy(np.array(features[rows])).double()
            seen = part @ direction[:, :-1].T + direction[:, -1]
            products.append((self.errors(part, labels[rows]) * seen).sum(1))
        return torch.cat(products)

    def moved(self, direction: Tensor, rate: float) -> "Head":
        """The head after one step of gradient descent along ``direction``, [C, d + 1]."""
        return Head(self.weight - rate * direction[:, :-1], self.bias - rate * direction[:, -1])

    def _blocks(self, count: int) -> list[slice]:
        step = max(1, BLOCK // sum(self.weight.shape))
        return [slice(at, at + step) for at in range(0, count, step)]


@dataclass(frozen=True)
class Gradients:
    """Gradients g_i = e_i ⊗ [h_i, 1] of some images, as their factors, in float64.

    Attributes:
        errors: [n, k] p − y, of all classes or some.
        inputs: [n, d] features h; None where g_i = e_i, the gradient in the logits.
    """

    errors: Tensor
    inputs: Tensor | None = None

    def __len__(self) -> int:
        return len(self.errors)

    def products(self, rows: Tensor) -> Tensor:
        """⟨g_i, g_j⟩, [m, n], for some rows i and all j."""
        products = self.errors[rows] @ self.errors.T
        return products if self.inputs is None else products.mul_((self.inputs[rows] @ self.inputs.T).add_(1))

    def squares(self) -> Tensor:
        """‖g_i‖², [n]."""
        own = self.errors.square().sum(1)
        return own if self.inputs is None else own * (self.inputs.square().sum(1) + 1)

    def distances(self, rows: Tensor) -> Tensor:
        """‖g_i − g_j‖, [m, n], for some rows i and all j; 0 of a row to itself."""
        squares = self.squares()
        apart = self.products(rows).mul_(-2).add_(squares).add_(squares[rows, None]).clamp_(min=0).sqrt_()
        apart[torch.arange(len(rows)), rows] = 0
        return apart

    def to_sum(self) -> Tensor:
        """⟨g_i, Σ_j g_j⟩, [n], in O(n · k · d): the sum itself is one [k, d + 1] matrix."""
        if self.inputs is None:
            return self.errors @ self.errors.sum(0)
        weight, bias = self.errors.T @ self.inputs, self.errors.sum(0)
        return (self.errors * (self.inputs @ weight.T + bias)).sum(1)


class GradientCoreset(Coreset):
    """A coreset with weights that looks at the gradients of a teacher's last layer: a method says how it picks.

    Attributes:
        net: the teacher.
    """

    net: str = "teacher"

    def needs(self) -> tuple[Need, ...]:
        """The teacher, for its last layer, and what goes into that."""
        return (Teacher(net=self.net), Features(extractor=self.net))

    def pick(self, errors: Tensor, inputs: Tensor, group: Group) -> tuple[Tensor, Tensor]:
        """As many rows as the group's quota, in order of picking, and their weights, of [n, C] p − y and [n, d] h."""
        raise DecoctError(f"{self.name} does not say how it picks: define pick(self, errors, inputs, group)")

    def __call__(self, inputs: Inputs) -> Draft:
        """Pick in each class by itself, or among all images."""
        head, groups, labels = Head.needed(inputs, self.net), self.groups(inputs), inputs.data.train.labels

        def picked(number: int, features: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            group = groups[number]
            if group.quota == 0:
                return group.rows[:0], np.zeros(0, np.float32)
            given = torch.from_numpy(np.array(features)).double()
            rows, weights = self.pick(head.errors(given, labels[group.rows]), given, group)
            return group.rows[rows.numpy()], weights.numpy().astype(np.float32)

        features = inputs.features[Features(extractor=self.net)]
        picks = select.each(picked, features, [group.rows for group in groups], progress=inputs.progress)
        indices, weights = (np.concatenate(parts) for parts in zip(*picks, strict=True))
        return Draft.selected(indices, weights=weights)
