"""RandomResizedCrop's resize in batches: one box of each image, antialiased, differentiable in the pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from decoct.data.send import send

BLOCK = 2**24  # numbers that the matrices and half-resized images of a block may hold; no block is below an image


def resized_crop(
    images: Tensor, boxes: Tensor, size: int, mirrored: Tensor | None = None, rows: Tensor | None = None
) -> Tensor:
    """Cut one box out of each image, resize it with antialiased bilinear interpolation, and mirror where asked.

    What torchvision's ``resized_crop(antialias=True)`` does image by image; pixels outside of a box never show. If no
    box is larger than the output, one call samples them all. Otherwise weights along columns and rows are two batched
    products over blocks of images, so that what they need beside input and output (held twice for a moment) stays below
    a few times ``BLOCK`` numbers (64 MiB in float32); gradients keep the weights, up to C · size · (H + W) an image.

    Bytes on a CPU are resized as bytes, image by image: a third of the time, and rounded to whole levels as by Pillow.

    Args:
        images: [N, C, H, W] floating point, on any device; or uint8.
        boxes: [B, 4] integer (top, left, height, width) inside the image, best on the CPU: their extent is looked at.
        size: height and width of the output.
        mirrored: [B] bool; None mirrors none.
        rows: [B] which image each box is of; None for one box an image.

    Returns:
        [B, C, size, size] on the device of ``images``: of their type, or float32 for bytes that are not on a CPU.
    """
    if images.dtype == torch.uint8:
        if images.device.type == "cpu":
            return _bytes(images, boxes, size, mirrored, rows)
        images = images.float()
    if rows is not None:
        images = images[send(rows, images)]
    enlarged = not len(boxes) or int(boxes[:, 2:].max()) <= size
    boxes = send(boxes, images)
    order = torch.arange(size, device=images.device)
    if mirrored is not None:
        order = torch.where(send(mirrored, images)[:, None], order.flip(0), order)
    if enlarged:
        return _enlarged(images, boxes, size, order)
    _, channels, height, width = images.shape
    block = max(1, BLOCK // (channels * size * (height + width)))
    parts = zip(images.split(block), boxes.split(block), order.expand(len(boxes), size).split(block), strict=True)
    return torch.cat([_weighed(part, box, size, line) for part, box, line in parts])


def _bytes(images: Tensor, boxes: Tensor, size: int, mirrored: Tensor | None, rows: Tensor | None) -> Tensor:
    shape, last = (len(boxes), images.shape[1], size, size), torch.channels_last  # as the kernel and most nets want it
    made = torch.empty(shape, dtype=torch.uint8, memory_format=last)
    flips = [False] * len(boxes) if mirrored is None else mirrored.tolist()
    which = range(len(boxes)) if rows is None else rows.tolist()
    for row, (top, left, height, width), flip, out in zip(which, boxes.tolist(), flips, made, strict=True):
        box = images[row : row + 1, :, top : top + height, left : left + width].contiguous(memory_format=last)
        cut = F.interpolate(box, (size, size), mode="bilinear", antialias=True)[0]
        out.copy_(cut.flip(2) if flip else cut)
    return made


def resampling(start: Tensor, length: Tensor, size: int, out: int, order: Tensor | None = None) -> Tensor:
    """Weights of antialiased bilinear interpolation along one axis, as a matrix for each box.

    Output pixel i of a box sits at  start + (i + ½)·length/out  and weighs the box's input pixels by a triangle that
    reaches max(1, length/out) to each side: what ``F.interpolate(antialias=True)`` does to the box cut out.

    Args:
        start: [...] first input pixel of each box.
        length: [...] input pixels of each box.
        size: input pixels of the whole axis.
        out: output pixels.
        order: [..., out] which output pixel stands where; mirrors and rolls are such orders.

    Returns:
        [..., out, size] of PyTorch's default type; rows sum to 1, or to 0 where an output pixel lies outside the axis.
    """
    device = start.device
    pixel = torch.arange(size, device=device) + 0.5
    order = torch.arange(out, device=device) if order is None else order
    start, length = (each[..., None].to(pixel.dtype) for each in (start, length))
    centre = (start + (order + 0.5) * (length / out))[..., None]
    weight = (1 - (pixel - centre).abs() / (length / out).clamp(min=1)[..., None]).clamp(min=0)
    weight = weight * ((pixel > start) & (pixel < start + length))[..., None, :]
    return weight / weight.sum(-1, keepdim=True).clamp(min=0.5)  # no pixel inside weighs less


def _weighed(images: Tensor, boxes: Tensor, size: int, order: Tensor) -> Tensor:
    """Boxes of any size: columns first, then rows."""
    top, left, height, width = boxes.unbind(1)
    columns = resampling(left, width, images.shape[3], size, order).to(images.dtype)
    rows = resampling(top, height, images.shape[2], size).to(images.dtype)
    narrow = images.flatten(1, 2) @ columns.mT
    return rows[:, None] @ narrow.view(*images.shape[:3], size)


def _enlarged(images: Tensor, boxes: Tensor, size: int, order: Tensor) -> Tensor:
    """Boxes that are not larger than the output, where the triangle is that of plain bilinear interpolation."""
    top, left, height, width = boxes.T.float()[:, :, None]
    line = torch.arange(size, device=images.device) + 0.5
    # Pixel centres of the output inside the box; clamped, so that pixels outside of the box never leak in.
    y = torch.maximum(torch.minimum(top + line * (height / size), top + height - 0.5), top + 0.5)
    x = torch.maximum(torch.minimum(left + (order + 0.5) * (width / size), left + width - 0.5), left + 0.5)
    x, y = x / images.shape[3] * 2 - 1, y / images.shape[2] * 2 - 1
    grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), -1)
    return F.grid_sample(images, grid.to(images.dtype), "bilinear", "border", align_corners=False)
