"""Small trees of random pictures, and small museums: pictures of ImageNet's classes in every layout."""

import gzip
import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import savemat

from decoct.data.imagenet.imagenet import wnids

Grow = Callable[..., Path]


@pytest.fixture
def grow(tmp_path: Path) -> Grow:
    """Make a class-folder tree: grow({"cat": 5, "dog": 4}) gives its root; each picture is different."""

    def make(counts: Mapping[str, int], name: str = "pets", side: int = 12, mode: str = "RGB", seed: int = 0) -> Path:
        rng = np.random.default_rng(seed)
        for folder, count in counts.items():
            (tmp_path / name / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                shape = (side, side, 3) if mode == "RGB" else (side, side)
                pixels = rng.integers(0, 256, shape, dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / name / folder / f"{i:03d}.png")
        return tmp_path / name

    return make


class Museum:
    """Pictures of some classes of ImageNet-1K, and every layout in which people have them; on disk in no order."""

    def __init__(self, pictures: Mapping[tuple[str, str, str], bytes]) -> None:
        """Take the bytes of each (split, WordNet id, name)."""
        self.pictures = dict(pictures)

    def shuffled(self, split: str | None = None) -> list[tuple[tuple[str, str, str], bytes]]:
        chosen = [item for item in self.pictures.items() if split in (None, item[0][0])]
        return [chosen[i] for i in np.random.default_rng(len(chosen)).permutation(len(chosen))]

    def folders(self, root: Path, flat: bool = False) -> Path:
        for (split, wnid, name), data in self.shuffled():
            folder = root / split / ("" if flat and split == "val" else wnid)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return self.devkit(root) if flat else root

    def archive(self, path: Path, top: str = "imagenette2-160") -> Path:
        pack(path, ((f"{top}/{split}/{wnid}/{name}", data) for (split, wnid, name), data in self.shuffled()))
        return path

    def official(self, root: Path) -> Path:
        root.mkdir(parents=True, exist_ok=True)
        inner: dict[str, dict[str, bytes]] = {}
        for (_, wnid, name), data in self.shuffled("train"):
            inner.setdefault(wnid, {})[name] = data
        tars = ((f"{wnid}.tar", packed(files.items())) for wnid, files in inner.items())
        pack(root / "ILSVRC2012_img_train.tar", tars)
        pack(root / "ILSVRC2012_img_val.tar", ((name, data) for (_, _, name), data in self.shuffled("val")))
        return self.devkit(root)

    def devkit(self, root: Path, packed_up: bool = True) -> Path:
        """The kit in its true structure: ids in an order of their own, and inner nodes of the tree among them."""
        ids = {wnid: int(i) + 1 for wnid, i in zip(wnids(), np.random.default_rng(7).permutation(1000), strict=True)}
        rows = [(ids[w], w, 0) for w in sorted(ids, key=ids.__getitem__)] + [(1001, "n00001740", 2)]
        fields = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height")
        synsets = np.zeros((len(rows), 1), dtype=[(name, object) for name in (*fields, "num_train_images")])
        for i, (number, wnid, children) in enumerate(rows):
            synsets[i, 0] = (number, wnid, "a word, another", "a gloss", children, np.arange(children), 1, 1300)
        meta = io.BytesIO()
        savemat(meta, {"synsets": synsets})
        known = {int(name[15:23]): ids[wnid] for split, wnid, name in self.pictures if split == "val"}
        truth = "".join(f"{known.get(number, 1)}\n" for number in range(1, max(known) + 1))
        files = {"data/meta.mat": meta.getvalue(), "data/ILSVRC2012_validation_ground_truth.txt": truth.encode()}
        if packed_up:
            top = "ILSVRC2012_devkit_t12"
            pack(root / f"{top}.tar.gz", ((f"{top}/{name}", data) for name, data in files.items()))
        else:
            (root / "data").mkdir()
            for name, data in files.items():
                (root / name).write_bytes(data)
        return root

    def parquet(self, root: Path, shards: int = 3) -> Path:
        """As ILSVRC/imagenet-1k on the hub: the class stands once more behind the name."""
        (root / "data").mkdir(parents=True)
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        for split, word in (("train", "train"), ("val", "validation")):
            every = self.shuffled(split)
            for shard in range(shards):
                mine = every[shard::shards]
                cells = [{"bytes": data, "path": f"{name[:-5]}_{w}.JPEG"} for (_, w, name), data in mine]
                labels = [wnids().index(wnid) for (_, wnid, _), _ in mine]
                table = pa.table({"image": pa.array(cells, kind), "label": pa.array(labels, pa.int64())})
                file = root / "data" / f"{word}-{shard:05d}-of-{shards:05d}.parquet"
                pq.write_table(table, file, row_group_size=7)
        return root

    def webdataset(self, root: Path, shards: int = 2) -> Path:
        root.mkdir(parents=True)
        for split, word, digits in (("train", "train", 4), ("val", "validation", 2)):
            every = self.shuffled(split)
            for shard in range(shards):
                files = []
                for (_, wnid, name), data in every[shard::shards]:
                    label = str(wnids().index(wnid)).encode()
                    files += [(f"{name[:-5]}.cls", label), (f"{name[:-5]}.jpg", data), (f"{name[:-5]}.json", b"{}")]
                pack(root / f"imagenet1k-{word}-{shard:0{digits}d}.tar", files)
        return root


def packed(files: Iterable[tuple[str, bytes]]) -> bytes:
    """The bytes of a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def pack(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    data = packed(files)
    path.write_bytes(gzip.compress(data) if path.name.endswith("gz") else data)


@pytest.fixture
def tar() -> Callable[[Path, Iterable[tuple[str, bytes]]], None]:
    """``tar(PATH, [(NAME, BYTES), …])``."""
    return pack


@pytest.fixture(scope="session")
def hang() -> Callable[..., Museum]:
    """``hang(WNIDS, train=…, val=…)``: a museum of real JPEGs, all of them different."""

    def make(classes: Iterable[str], train: int = 5, val: int = 2, side: int = 16, seed: int = 0) -> Museum:
        rng, pictures = np.random.default_rng(seed), {}
        classes = list(classes)
        numbers = iter(rng.permutation(len(classes) * val) + 1)
        for wnid in classes:
            names = [("train", f"{wnid}_{i}.JPEG") for i in rng.choice(20000, train, replace=False)]
            names += [("val", f"ILSVRC2012_val_{next(numbers):08d}.JPEG") for _ in range(val)]
            for split, name in names:
                pixels = rng.integers(0, 256, (side, side + 4, 3), dtype=np.uint8)
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "JPEG")
                pictures[split, wnid, name] = buffer.getvalue()
        return Museum(pictures)

    return make
