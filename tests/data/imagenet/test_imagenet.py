"""Names of ImageNet's classes, without importing what they come with."""

import subprocess
import sys

import pytest

from decoct.core.errors import DecoctError
from decoct.data.imagenet import imagenet
from decoct.data.sources.imagenet1k import ImageNet1K


def test_names_need_no_torch():
    code = "import sys; from decoct.data.imagenet.imagenet import english, wnids; wnids(), english(); "
    code += "import decoct.data.sources.imagenet1k; slow = {'torch', 'timm', 'datasets', 'scipy'} & set(sys.modules); "
    code += "sys.exit(bool(slow))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_known_classes_are_where_they_are_known_to_be():
    assert len(imagenet.wnids()) == len(set(imagenet.wnids())) == 1000
    known = (0, "n01440764", "tench"), (207, "n02099601", "golden retriever"), (999, "n15075141", "toilet")
    for place, wnid, name in known:
        assert imagenet.wnids()[place] == wnid
        assert imagenet.english()[wnid].startswith(name)


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setattr(imagenet, "find_spec", lambda name: None)
    with pytest.raises(DecoctError, match="come with timm, which is not installed: pip install timm"):
        imagenet.wnids.__wrapped__()


def test_a_glance_follows_names_sizes_and_times_alone(tmp_path, hang):
    root = hang(imagenet.wnids()[:2]).folders(tmp_path / "raw")
    first = ImageNet1K(path=str(root)).glance()
    root.rename(tmp_path / "moved")
    moved = ImageNet1K(path=str(tmp_path / "moved"), size=32)
    assert moved.glance() == first
    file = next((tmp_path / "moved" / "val").rglob("*.JPEG"))
    file.write_bytes(file.read_bytes() + b"\0")
    assert moved.glance() != first
