"""Patches and windows by resolution."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.nets import zoo
from decoct.nets.zoo import geometry

VIT, SWIN = "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"


@pytest.mark.parametrize(("size", "patch"), [(8, 1), (28, 4), (32, 4), (64, 8), (96, 12), (112, 16), (224, 16)])
def test_a_vit_sees_seven_patches_a_side_or_more(size, patch):
    assert geometry(VIT, size) == {"patch_size": patch}


@pytest.mark.parametrize(
    ("size", "patch", "window"), [(28, 2, 7), (32, 2, 4), (64, 4, 4), (68, 4, 7), (96, 4, 6), (224, 4, 7)]
)
def test_a_swin_sees_fourteen_and_windows_that_tile_them(size, patch, window):
    assert geometry(SWIN, size) == {"patch_size": patch, "window_size": window}


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("vit_base_patch32_224", 224, {"patch_size": 32}),
        ("vit_small_patch14_dinov2", 518, {"patch_size": 14}),
        ("deit_tiny_patch16_224", 32, {"patch_size": 4}),
        ("swin_base_patch4_window12_384", 384, {"patch_size": 4, "window_size": 12}),
        ("swinv2_tiny_window8_256", 64, {"patch_size": 4, "window_size": 8}),
    ],
)
def test_the_name_says_what_the_net_was_published_with(name, size, expected):
    assert geometry(name, size) == expected


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv3_small_050", "swin_s3_tiny_224", "test_vit", "convnet3"])
def test_nets_that_name_no_patch_are_left_alone(name):
    assert geometry(name, 32) == {}


@given(name=st.sampled_from([VIT, SWIN, "vit_base_patch32_224", "swinv2_tiny_window8_256"]), size=st.integers(4, 300))
def test_patches_tile_the_image_and_no_coarser_ones_would_do(name, size):
    own, fewest = (4, 14) if "swin" in name else (32 if "32" in name else 16, 7)
    try:
        found = geometry(name, size)
    except UsageError:
        assert not any(size % p == 0 and fewest <= size // p <= 4 * fewest for p in range(1, own + 1))
        return
    patch = found["patch_size"]
    assert size % patch == 0
    assert size // patch >= fewest
    assert not any(size % p == 0 and size // p >= fewest for p in range(patch + 1, own + 1))
    assert patch == own or size // patch <= 4 * fewest
    assume("window_size" in found)
    grid, window = size // patch, found["window_size"]
    assert grid % window == 0 or not any(grid % w == 0 for w in range(4, window))


@pytest.mark.parametrize(("name", "size", "near"), [(VIT, 6, 7), (VIT, 29, 28), (VIT, 67, 66), (SWIN, 8, 14)])
def test_a_size_that_no_patch_fits_is_refused_with_one_that_does(name, size, near):
    with pytest.raises(UsageError, match=rf"{name} cannot take {size} px images: .* it takes is {near} px"):
        zoo.build(name, 1, 5, size, seed=0)
    assert geometry(name, near)


def test_timm_builds_what_the_geometry_says():
    net = zoo.build(VIT, 1, 5, 28, seed=0)
    assert net.patch_embed.grid_size == (7, 7)
    net = zoo.build(SWIN, 1, 5, 32, seed=0)
    assert net.patch_embed.grid_size == (16, 16)
    assert {block.window_size for layer in net.layers[:3] for block in layer.blocks} == {(4, 4)}
