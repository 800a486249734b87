"""The readers that ``fuzz.py`` feeds, each with files that it reads without an error."""

import contextlib
import gzip
import io
import json
import tarfile
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from fuzz import Reader

NAMES = (
    *("toml", "run.json", "cell.json", "measured.json", "condensed.json", "npz", "npy", "safetensors", "pt", "parquet"),
    *("tar", "tar.gz", "zip", "picture", "list.csv", "table.csv", "published.csv", "idx", "pickle"),
)
STUDY = b"""
name = "a"
seed = 1
budgets = [{ipc = 1}, {fraction = 0.1}]
replicates = {condense = 2, train = 1}
students = ["convnet1_w8"]
condensers = ["random", {name = "rded", factor = 1, shards = 2}]
protocols = [{name = "erm", steps = 20}, {name = "multi_teacher", teachers = ["convnet2_bn"]}]
teachers = [{net = "convnet2_bn", epochs = 2}]
metrics = {extractors = ["pixels"], names = ["vendi"], draws = 2}
external = [{label = "theirs", path = "a.npz", cost = {seconds = 1.0, source = "Table 1"}}]
"""
PUBLISHED = """method,data,resolution,ipc,student,protocol,labels,accuracy,error,source,arxiv
sre2l,imagenet1k,,10,ResNet-18,,,21.3,,"SRe2L, in the tables of DELT's and CDA's repositories",
dc,cifar10,32,1,ConvNet-3,,hard,28.3,0.5,“Table 1”,2006.05929
""".encode()


def pictures() -> tuple[bytes, ...]:
    """A small picture in every common format, one with EXIF, one with a palette."""
    import numpy as np
    from PIL import Image

    grid = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    image, made = Image.fromarray(grid), []
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, how in (("PNG", {}), ("JPEG", {"exif": exif}), ("GIF", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {})):
        image.save(file := io.BytesIO(), kind, **how)
        made.append(file.getvalue())
    image.convert("P").save(file := io.BytesIO(), "PNG")
    return (*made, file.getvalue())


def archives(names: tuple[str, ...]) -> tuple[bytes, bytes]:
    """A tar and a zip with files of these names."""
    tar, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as one, zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as other:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 40
            one.addfile(info, io.BytesIO(b"x" * 40))
            other.writestr(name, b"x" * 40)
    return tar.getvalue(), zipped.getvalue()


def unzipped(path: Path) -> None:
    """All that a release's zip holds, as its reader reads it."""
    from decoct.data.reading.decode import DecodeError
    from decoct.data.sources.tiny_imagenet import PICTURE_BYTES, content, opened

    with opened(path) as files:
        for name in files.names[:20]:
            with contextlib.suppress(DecodeError):
                content(files, name, PICTURE_BYTES)


def decoded(path: Path) -> None:
    """A picture at its own size and as a square of 8 px."""
    from decoct.core.errors import DecoctError
    from decoct.data.reading.decode import DecodeError, decode, shape

    data = path.read_bytes()
    shape(data)
    try:
        decode(data, None, 3)
        decode(data, 8, 1)
    except DecodeError as error:
        raise DecoctError(str(error)) from error


def read_cells(path: Path) -> None:
    """The record and the cost of a cell beside the file."""
    from decoct.core import integrity
    from decoct.core.errors import DecoctError
    from decoct.core.record import read_cost

    if path.name == "measured.json":
        try:
            read_cost(path)
        except ValueError as error:
            raise DecoctError(str(error)) from error
    else:
        integrity.sealed(path.parent)


def readers(folder: Path) -> dict[str, Reader]:
    """All readers by name; what they need besides is made in ``folder``."""
    import numpy as np
    import pyarrow as pa
    import torch
    from pyarrow import parquet
    from safetensors.numpy import save

    from decoct.core.condensed import FACTS, Condensed, png
    from decoct.core.record import CELL, MEASURED, Cost, Provenance, write_cost
    from decoct.core.spec import digest
    from decoct.data.dataset import load_data
    from decoct.data.external.read import load_set
    from decoct.data.imagenet import tarfiles
    from decoct.data.sources._shared.pickled import read_plain
    from decoct.data.sources.fashion_mnist import read_idx
    from decoct.needs.features import mapped
    from decoct.report.read.manifest import Manifest
    from decoct.report.sections.evidence import published
    from decoct.shrinking.reading.sources import table
    from decoct.shrinking.written.lists import read_list
    from decoct.study.study import Study

    digits = load_data("digits")
    images, labels = np.zeros((10, 1, 8, 8), np.uint8), np.arange(10)
    soft = np.full((10, 10), 0.1, np.float32)
    one: dict[str, Any] = {"images": images, "labels": labels}
    more = one | {"soft_labels": soft, "weights": np.ones(10, np.float32), "rate": np.float32(0.1)}
    kinds = {name: [] for name in ("npz", "safetensors", "pt")}
    for arrays in (one, more, one | {"images": images.astype(np.float32)}):
        np.savez(file := io.BytesIO(), **arrays)
        kinds["npz"].append(file.getvalue())
        kinds["safetensors"].append(save({name: np.atleast_1d(value) for name, value in arrays.items()}))
        torch.save({name: torch.tensor(value) for name, value in arrays.items()}, file := io.BytesIO())
        kinds["pt"].append(file.getvalue())
    np.savez_compressed(file := io.BytesIO(), **more)
    kinds["npz"].append(file.getvalue())
    np.save(npy := io.BytesIO(), soft)
    rows = pa.table({"image": [{"bytes": png(images[0]), "path": "a"}] * 10, "label": labels})
    parquet.write_table(rows, rowed := io.BytesIO())
    tar, zipped = archives(("train/a/1.png", "val/b.png", "a.cls"))
    keyed: dict[str, Any] = {"a": 1}
    key = digest({"kind": "train", "keyed": keyed, "inputs": {}})
    record = {
        "kind": "train",
        "key": key,
        "keyed": keyed,
        "inputs": {},
        "files": {"a": {"sha256": "0" * 64, "bytes": 1}},
    }
    cell, set_ = folder / "store" / "train" / key[:2] / key, folder / "set"
    cell.mkdir(parents=True, exist_ok=True)
    cost = Cost(seconds=1, cpu_seconds=1, peak_memory=1, device="cpu", hardware="x", host="y", versions={"a": "1"})
    write_cost(cell, cost)
    Condensed(labels, digits.class_names, Provenance(method="x"), images=images, mosaic=1, cost=cost).save(set_)
    job = {"key": key, "kind": "train", "inputs": {}, "labels": {"method": "random", "budget": "ipc=1"}}
    manifest = {"format": 1, "decoct": "0", "name": "a", "study": {}, "data": {"name": "digits"}, "jobs": [job]}
    manifest |= {"methods": {"random": {}}, "failures": {}, "ended": True}
    pickled = b"\x80\x02}q\x00(X\x04\x00\x00\x00dataq\x01K\x01X\x01\x00\x00\x00aq\x02]q\x03(K\x01K\x02eu."
    loaded = partial(load_set, data=digits)
    return {
        "toml": Reader("study.toml", (STUDY,), Study.from_toml, "toml"),
        "run.json": Reader(
            "run.json", (json.dumps(manifest).encode(),), lambda path: Manifest.read(path.parent), "json"
        ),
        "cell.json": Reader(f"store/train/{key[:2]}/{key}/{CELL}", (json.dumps(record).encode(),), read_cells, "json"),
        "measured.json": Reader(MEASURED, ((cell / MEASURED).read_bytes(),), read_cells, "json"),
        "condensed.json": Reader(
            f"set/{FACTS}", ((set_ / FACTS).read_bytes(),), lambda path: Condensed.load(path.parent), "json"
        ),
        "npz": Reader("a.npz", tuple(kinds["npz"]), loaded),
        "npy": Reader("a.npy", (npy.getvalue(),), mapped),
        "safetensors": Reader("a.safetensors", tuple(kinds["safetensors"]), loaded),
        "pt": Reader("a.pt", tuple(kinds["pt"]), loaded),
        "parquet": Reader("a.parquet", (rowed.getvalue(),), loaded),
        "tar": Reader("a.tar", (tar,), lambda path: [load() for _, load in tarfiles.members(path)]),
        "tar.gz": Reader(
            "a.tar.gz", (gzip.compress(tar),), lambda path: [load() for _, load in tarfiles.members(path)]
        ),
        "zip": Reader("a.zip", (zipped,), unzipped),
        "picture": Reader("a.png", pictures(), decoded),
        "list.csv": Reader("kept.csv", (b"path,class\r\n'=a.png,b\r\n", b"a.png\nb.png\n"), read_list),
        "table.csv": Reader(
            "table.csv",
            (b"path,label,split\na.png,x,train\nb.png,y,train\nc.png,x,test\nd.png,y,test\n",),
            lambda path: table.listing(str(path), path),
        ),
        "published.csv": Reader(published.FILE, (PUBLISHED,), published.read_file),
        "idx": Reader("a-idx1-ubyte", (bytes((0, 0, 8, 1, 0, 0, 0, 4, 1, 2, 3, 4)),), lambda path: read_idx(path, 1)),
        "pickle": Reader("a.pkl", (pickled,), lambda path: read_plain(path.read_bytes(), "a.pkl")),
    }
