"""Names of shards: splits, and what is missing."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.data.imagenet.shards import by_split, split_of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00294.parquet", "train"),
        ("validation-00000-of-00014.parquet", "val"),
        ("test-00000-of-00028.parquet", None),
        ("imagenet1k-train-0000.tar", "train"),
        ("imagenet1k-validation-00.tar", "val"),
        ("imagenet-val-000003.tar", "val"),
        ("imagenet_train_7.tar", "train"),
        ("train.tar", "train"),
        ("training-0.tar", None),
        ("valuable-0.tar", None),
    ],
)
def test_the_split_is_in_the_name(name, split):
    assert split_of(name) == split


@given(st.integers(1, 30), st.integers(0, 1), st.data())
def test_a_gap_is_found(count, first, data):
    val = [Path("validation-0-of-1.parquet")]
    whole = [Path(f"train-{i:04d}.tar") for i in range(first, first + count + 1)]
    assert by_split([*val, *reversed(whole)])["train"] == whole
    if inner := whole[1:-1]:
        gone = data.draw(st.sampled_from(inner))
        with pytest.raises(
            DecoctError, match=rf"1 of \d+ shards of train are missing .*: number {int(gone.stem[6:])} of"
        ):
            by_split([*val, *(shard for shard in whole if shard != gone)])


@given(st.integers(1, 30), st.data())
def test_where_the_total_is_known_the_last_one_is_missed_too(total, data):
    val = [Path("validation-0-of-1.parquet")]
    whole = [Path(f"train-{i:05d}-of-{total:05d}.parquet") for i in range(total)]
    kept = data.draw(st.lists(st.sampled_from(whole), unique=True, min_size=1))
    if len(kept) == total:
        assert by_split([*val, *kept])["train"] == whole
    else:
        with pytest.raises(DecoctError, match=rf"{total - len(kept)} of {total} shards of train are missing"):
            by_split([*val, *kept])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["train-0.tar"], "no shards of val"),
        (["val-0.tar"], "no shards of train"),
        (["val-0.tar", "train-0-of-2.tar", "train-1-of-2.tar", "train-0-of-1.tar"], "numbered twice"),
        (["val-0.tar", "train-0.tar", "copy-train-0.tar"], "numbered twice"),
        (["val-0.tar", "train-0.tar", "train-all.tar"], "train-all.tar has no number"),
    ],
)
def test_what_does_not_belong_together_is_told(names, message):
    with pytest.raises(DecoctError, match=message):
        by_split(map(Path, names))
