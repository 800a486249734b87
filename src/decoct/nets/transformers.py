"""Patches and windows that let timm's transformers see images of any resolution."""

import re

from decoct.core.errors import UsageError

SWIN = re.compile(r"swin.*_window(?P<window>\d+)")
PATCH = re.compile(r"_patch(?P<patch>\d+)")


def geometry(name: str, size: int) -> dict[str, int]:
    """timm's ``patch_size``, and ``window_size`` of a Swin, for images of ``size`` px; {} for nets that name neither.

    The patch is the largest divisor of the size, up to the one in the net's name, that leaves at least 7 × 7 patches
    (14 × 14 for a Swin, which merges them three times). At 224 px nets stay as published. vit_tiny_patch16_224 gets
    patches of 1, 4, 4 and 8 px at 8, 28, 32 and 64 px; swin_tiny_patch4_window7_224 gets 2, 2 and 4 px at 28, 32 and
    64 px: at 32 and 64 px the patches that Lee et al., 2021, arXiv:2112.13492, train both families with.
    The window is the largest from 4 to the one in the name that divides the grid of patches, else the one in the name.

    Raises:
        UsageError: no such patch, or only one that gives more than four times as many patches a side.
    """
    swin, named = SWIN.match(name), PATCH.search(name)
    if not swin and not named:
        return {}
    own, fewest = int(named["patch"]) if named else 4, 14 if swin else 7
    patch = _patch(size, own, fewest)
    if patch is None:
        near = next(s for d in range(1, size + 4 * fewest) for s in (size - d, size + d) if _patch(s, own, fewest))
        raise UsageError(
            f"{name} cannot take {size} px images: no patch of up to {own} px cuts them into {fewest} to {4 * fewest} "
            f"a side. The nearest size that it takes is {near} px"
        )
    if not swin:
        return {"patch_size": patch}
    largest, grid = int(swin["window"]), size // patch
    window = next((w for w in range(largest, 3, -1) if grid % w == 0), largest)
    return {"patch_size": patch, "window_size": window}


def _patch(size: int, own: int, fewest: int) -> int | None:
    """The patch of ``geometry``, or None."""
    patch = next((p for p in range(own, 0, -1) if size % p == 0 and size // p >= fewest), None)
    return patch if patch == own or (patch and size // patch <= 4 * fewest) else None
