"""Features come from the decoded picture at the net's own size, and are those that the net gives by itself."""

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from decoct.core.errors import DecoctError, UsageError
from decoct.data.reading.decode import decode
from decoct.nets import backbone
from decoct.shrinking.reading.embed import Embed
from decoct.shrinking.reading.read import read_pool


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with a tiny net of timm's."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = timm.create_model("test_resnet")
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, file)
    return file


def test_features_are_the_net_s_of_every_picture_that_decodes(tmp_path, grow, weights):
    root = grow({"cat": 20, "dog": 3}, side=40)
    (root / "cat" / "004.png").write_bytes(b"")
    pool = read_pool(root, tmp_path / "pools", embed=Embed(f"timm:test_resnet@{weights}"))
    net, facts = backbone.load("test_resnet", weights)
    assert pool.features.shape == (22, facts["features"]) and pool.features.dtype == np.float32
    squares = np.stack([decode((root / path).read_bytes(), facts["size"][0], 3) for path in pool.paths])
    expected = torch.cat(list(backbone.embed(net, squares))).numpy()
    np.testing.assert_allclose(pool.features, expected, rtol=1e-4, atol=1e-5)
    assert pool.facts["extractor"].startswith("timm:test_resnet@")
    assert pool.digest != read_pool(root, tmp_path / "pools").digest


def test_workers_and_threads_change_no_bit(tmp_path, grow, weights):
    root, embed = grow({"cat": 90, "dog": 90}), Embed(f"timm:test_resnet@{weights}")
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        one = read_pool(root, tmp_path / "one", embed=embed, workers=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    two = read_pool(root, tmp_path / "two", embed=embed, workers=2)
    assert one.digest == two.digest and (one.features == two.features).all()


def test_other_weights_are_another_pool(tmp_path, grow, weights):
    root, other = grow({"cat": 3, "dog": 3}), tmp_path / "other.safetensors"
    first = read_pool(root, tmp_path / "pools", embed=Embed(f"timm:test_resnet@{weights}"))
    other.write_bytes(weights.read_bytes())
    assert read_pool(root, tmp_path / "pools", embed=Embed(f"timm:test_resnet@{other}")).folder == first.folder
    net = timm.create_model("test_resnet")
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, other)
    again = read_pool(root, tmp_path / "pools", embed=Embed(f"timm:test_resnet@{other}"))
    assert again.digest != first.digest and (again.images == first.images).all()


def test_rows_of_a_file_are_in_the_order_of_the_listing(tmp_path, grow):
    root = grow({"cat": 3, "dog": 3})
    (root / "cat" / "001.png").write_bytes(b"")
    rows = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float16)
    np.save(tmp_path / "rows.npy", rows)
    pool = read_pool(root, tmp_path / "pools", embed=Embed(str(tmp_path / "rows.npy")))
    assert pool.features.dtype == np.float32 and (pool.features == rows[[0, 2, 3, 4, 5]]).all()
    np.save(tmp_path / "rows.npy", rows[:5])
    with pytest.raises(DecoctError, match="has 5 rows for 6 pictures"):
        read_pool(root, tmp_path / "pools", embed=Embed(str(tmp_path / "rows.npy")))
    rows[2] = np.nan
    np.save(tmp_path / "rows.npy", rows)
    with pytest.raises(DecoctError, match="are not finite"):
        read_pool(root, tmp_path / "pools", embed=Embed(str(tmp_path / "rows.npy")))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("teacher", "not those of a frozen net"),
        ("pixels", "not those of a frozen net"),
        ("timm:no_such_net", "timm has no net 'no_such_net'"),
        ("timm:test_resnet@nowhere.safetensors", "no file at nowhere"),
        ("nowhere.npy", "no file at nowhere"),
    ],
)
def test_what_is_no_frozen_net(tmp_path, grow, word, message):
    with pytest.raises(UsageError, match=message):
        read_pool(grow({"cat": 1, "dog": 1}), tmp_path / "pools", embed=Embed(word))
