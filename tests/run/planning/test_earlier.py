"""What earlier runs say: their own cells, on this hardware, of data of this shape."""

import json
import shutil

import pytest

from decoct.core.errors import UsageError
from decoct.core.record import MEASURED, read_cost, read_json, write_cost, write_json
from decoct.run.cell import hardware
from decoct.run.expand import expand
from decoct.run.planning.earlier import earlier, store_in
from decoct.run.planning.groups import likenesses


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copied")


def change(folder, kind, **fields):
    file = next((folder / "store" / kind).rglob(MEASURED))
    write_cost(file.parent, read_cost(file).model_copy(update=fields))


def test_every_cell_is_found_and_is_like_the_job_that_made_it(finished, tiny, digits):
    found = earlier(finished / "store", digits, "cpu", hardware("cpu"))
    likes = likenesses(expand(tiny, digits), digits, ())
    assert sorted(one.like for one in found.known) == sorted(likes.values())
    assert not found.damaged and not found.elsewhere
    manifest = json.loads((finished / "run.json").read_text())
    assert len(found.known) == len(manifest["jobs"])
    assert all(one.seconds > 0 and one.bytes > 0 and one.peak > 0 and one.source == "earlier" for one in found.known)


def test_other_hardware_and_other_devices_say_nothing(copied, digits):
    change(copied, "teacher", hardware="another")
    change(copied, "train", device="cuda")
    found = earlier(copied / "store", digits, "cpu", hardware("cpu"))
    assert found.elsewhere == 2
    assert not earlier(copied / "store", digits, "cuda:0", hardware("cpu")).known[1:]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"seconds": "long"}', "\x00\xff"])
def test_a_damaged_cell_is_named_and_passed_over(copied, digits, content):
    file = next((copied / "store" / "train").rglob(MEASURED))
    file.write_text(content, "utf-8")
    found = earlier(copied / "store", digits, "cpu", hardware("cpu"))
    assert found.damaged == [file.parent]
    assert found.known


def test_other_data_of_the_same_shape_count_by_the_run_beside_the_store(copied, digits, tiny):
    """As if the cells were of data of half the images: the same work, another amount."""
    manifest = read_json(copied / "run.json")
    was, now = manifest["data"]["digest"], "0" * 32
    half = {"train": manifest["data"]["images"]["train"] // 2, "val": 3, "test": 3}
    write_json(copied / "run.json", manifest | {"data": manifest["data"] | {"digest": now, "images": half}})
    for file in (copied / "store").rglob("cell.json"):
        file.write_text(file.read_text().replace(was, now))
    found = earlier(copied / "store", digits, "cpu", hardware("cpu")).known
    own = {like.work: like for like in likenesses(expand(tiny, digits), digits, ()).values() if like.kind == "features"}
    other = [one.like for one in found if one.like.kind == "features"]
    assert {like.work for like in other} == own.keys()
    assert all(like.amount == half["train"] + 3 and like.same != own[like.work].same for like in other)
    (copied / "run.json").unlink()
    assert not earlier(copied / "store", digits, "cpu", hardware("cpu")).known


def test_a_run_or_a_store(finished, tmp_path):
    assert store_in(finished) == finished / "store"
    assert store_in(finished / "store") == finished / "store"
    with pytest.raises(UsageError, match="no such folder"):
        store_in(tmp_path / "nowhere")
