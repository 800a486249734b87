"""Extractors by their words, and features on disk as numpy would have written them."""

import io
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from decoct.core.errors import DecoctError, UsageError
from decoct.core.spec import build
from decoct.needs import features as extract
from decoct.needs.features import Extract, anchored, at_hand, brought, fitting, flat, in_blocks, store
from decoct.nets import backbone


@pytest.fixture
def data():
    return SimpleNamespace(name="toy", train=range(6), val=range(2))  # of a split, only its length is asked for


@pytest.fixture
def file(tmp_path):
    def make(rows, name="f.npy"):
        np.save(tmp_path / name, rows)
        return tmp_path / name

    return make


def written(path, blocks, rows, dtype="float32"):
    store(path, blocks, rows, dtype, "mine")
    return path.read_bytes()


def saved(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("word", "origin", "net", "path"),
    [
        ("teacher", "teacher", "teacher", None),
        ("convnet3_bn", "teacher", "convnet3_bn", None),
        ("timm:resnet50.a1_in1k", "timm", "resnet50.a1_in1k", None),
        ("timm:resnet50@a/w@2.pth", "timm", "resnet50", "a/w@2.pth"),
        ("timm:resnet50@w.npy", "timm", "resnet50", "w.npy"),
        ("a/b.npy", "rows", "", "a/b.npy"),
        ("pixels", "pixels", "", None),
        ("pixels.npy", "rows", "", "pixels.npy"),
        ("dinov2", "timm", "dinov2", None),
        ("clip@a/w.npy", "timm", "clip", "a/w.npy"),
        ("clip.npy", "rows", "", "clip.npy"),
    ],
)
def test_what_a_word_says(word, origin, net, path):
    found = Extract.of(word)
    assert (found.origin, found.net, found.file and str(found.file)) == (origin, net, path)
    assert Extract(**found.config()) == found


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "timm:"}, "a net's name is missing"),
        ({"name": "timm:@w.pth"}, "a net's name is missing"),
        ({"name": "timm:resnet18@"}, "the file is missing: timm:resnet18@FILE"),
        ({"name": "clip@"}, "the file is missing: clip@FILE"),
        ({"name": "timm:dinov2"}, "dinov2 is a name of its own, without timm:"),
        ({"name": "teacher", "size": 32}, "size goes with dinov2, clip"),
        ({"name": "f.npy", "size": 32}, "size goes with"),
        ({"name": "f.npy", "precision": "bfloat16"}, "precision goes with a net, not with rows"),
        ({"name": "teacher", "precision": "float16"}, "'float32' or 'bfloat16'"),
        ({"name": "timm:resnet18", "size": 0}, "greater than or equal to 1"),
        ({"name": "teacher", "dtype": "bfloat16"}, "'float32' or 'float16'"),
        ({"name": "teacher", "dtpye": "float16"}, "Did you mean 'dtype'"),
    ],
)
def test_words_and_options_that_say_nothing(fields, said):
    with pytest.raises(UsageError, match=said):
        build(Extract, fields, "extractors")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            "resnet_18",
            r"Did you mean .*\nan extractor is \"teacher\", a net's name, \"pixels\", dinov2, .* or FILE.npy",
        ),
        ("features.npz", "unknown net 'features.npz'"),
        ("timm:resnt18", "timm has no net 'resnt18'. Did you mean 'resnet18'"),
        ("none/such.npy", "extractor 'none/such.npy': no file at none/such.npy"),
        ("timm:resnet18@none.pth", "no file at none.pth"),
        ("dinov2@none.pth", "no file at none.pth"),
    ],
)
def test_a_word_that_nobody_knows(word, said):
    for ask in (Extract.of(word).check, Extract.of(word).pinned):
        with pytest.raises(UsageError, match=said):
            ask()


def test_a_word_s_file_starts_at_the_study(tmp_path):
    assert anchored("a/f.npy", tmp_path) == f"{tmp_path}/a/f.npy"
    assert anchored("timm:resnet18@../w.pth", tmp_path / "s") == f"timm:resnet18@{tmp_path}/w.pth"
    assert anchored("clip@w.pth", tmp_path) == f"clip@{tmp_path}/w.pth"
    for word in ("teacher", "timm:resnet18", "timm:resnet18@", "/abs/f.npy", "timm:resnet18@/abs/w.pth", "dinov2"):
        assert anchored(word, tmp_path) == word


def test_a_file_is_known_by_its_content(file, tmp_path):
    rows = np.ones((6, 2), np.float32)
    one, same, other = file(rows), file(rows, "g.npy"), file(rows * 2, "h.npy")
    pins = [Extract.of(str(each)).pinned() for each in (one, same, other)]
    assert pins[0].identity() == pins[1].identity() != pins[2].identity()
    assert pins[0].title == f"npy:{pins[0].digest[:12]}" and str(tmp_path) not in str(pins[0].identity())
    assert pins[0].pinned() == pins[0] and pins[0].file == one
    weights = [Extract.of(f"timm:test_resnet@{each}").pinned() for each in (one, same, other)]
    assert weights[0].identity() == weights[1].identity() != weights[2].identity()
    assert weights[0].title == f"timm:test_resnet@{pins[0].digest[:12]}"
    assert Extract.of(f"clip@{one}").pinned().title == f"clip@{pins[0].digest[:12]}"
    one.write_bytes(other.read_bytes())
    assert Extract.of(str(one)).pinned().digest == pins[2].digest


def test_a_job_may_run_elsewhere_than_it_was_planned(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file(np.ones((6, 2)))
    for word in ("f.npy", "timm:test_resnet@f.npy", "dinov2@f.npy"):
        assert Extract.of(word).pinned().file == tmp_path / "f.npy"


def test_options_and_the_rows_of_val_make_another_extractor(file):
    word = str(file(np.ones((6, 2))))
    plain = Extract.of(word).pinned()
    assert Extract(name=word, dtype="float16").pinned().identity() != plain.identity()
    file(np.ones((2, 2)), "f.val.npy")
    both = Extract.of(word).pinned()
    assert both.digest != plain.digest and [*both.files] == ["train", "val"]


def test_timm_s_weights_are_known_by_their_tag():
    assert Extract.of("timm:test_resnet").pinned() == Extract.of("timm:test_resnet.r160_in1k").pinned()
    assert Extract.of("timm:test_resnet").pinned().title == "timm:test_resnet.r160_in1k"
    assert Extract.of("dinov2").pinned() == Extract.of("dinov2") and Extract.of("dinov2").title == "dinov2"


def test_weights_that_are_nowhere_are_known_before_any_job(file, monkeypatch):
    monkeypatch.setattr("decoct.nets.hub.cached", lambda facts: None)
    monkeypatch.setattr("decoct.nets.hub.answers", lambda url: False)
    words = ["teacher", "pixels", f"clip@{file(np.ones((6, 2)))}", "clip"]
    jobs = [SimpleNamespace(kind="features", config=Extract.of(word).pinned().config()) for word in words]
    at_hand([*jobs[:3], SimpleNamespace(kind="train", config={"name": "erm"})])
    with pytest.raises(DecoctError, match=r"no weights of timm's vit_base_patch32.*\n.*clip@FILE"):
        at_hand(jobs)


def test_the_package_is_a_file_where_there_is_one(tmp_path, monkeypatch):
    here = tmp_path / "lite0.pth"
    here.write_bytes(b"weights")
    for there in (here, None):
        monkeypatch.setattr(backbone, "packaged", lambda net, there=there: there if net == backbone.PACKAGED else None)
        found = Extract.of("timm:tf_efficientnet_lite0").pinned()
        if there:
            assert found.file == here and found == Extract.of(f"timm:tf_efficientnet_lite0@{here}").pinned()
        else:
            assert found.title == "timm:tf_efficientnet_lite0.in1k" and found.file is None


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_that_are_brought_are_maps_of_their_files(file, data, dtype, order):
    rows = np.asarray(np.random.default_rng(0).normal(size=(6, 3)), dtype, order=order)
    word = str(file(rows))
    assert [*brought(Extract.of(word), data)] == ["train"]
    file(rows[:2], "f.val.npy")
    found = brought(Extract.of(word), data)
    assert all(isinstance(part, np.memmap) and not part.flags.writeable for part in found.values())
    assert np.array_equal(found["train"], rows) and np.array_equal(found["val"], rows[:2])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.ones((5, 2)), "has 5 rows, toy has 6 train images: one row each is needed\nrow i is of data.train.images"),
        (np.ones(6), r"has the shape \[6\]: features are \[N, d\]"),
        (np.ones((6, 2, 2)), r"has the shape \[6, 2, 2\]"),
        (np.ones((6, 0)), r"has the shape \[6, 0\]"),
        (np.ones((6, 2), np.int64), "holds int64: features are float16, float32 or float64"),
        (np.ones((6, 2), np.complex64), "holds complex64"),
        (np.full((6, 2), None), "cannot read features"),
    ],
)
def test_rows_that_are_none(file, data, rows, said):
    with pytest.raises(DecoctError, match=said):
        brought(Extract.of(str(file(rows))), data)


def test_files_that_are_none(file, data, tmp_path):
    path = file(np.ones((6, 2)))
    whole = path.read_bytes()
    for content in (b"", b"no array", whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(DecoctError, match=r"cannot read features from .*\nnumpy.save"):
            brought(Extract.of(str(path)), data)
    path.write_bytes(whole)
    file(np.ones((3, 2)), "f.val.npy")
    with pytest.raises(DecoctError, match=r"f.val.npy has 3 rows, toy has 2 val images"):
        brought(Extract.of(str(path)), data)
    file(np.ones((2, 5)), "f.val.npy")
    with pytest.raises(DecoctError, match="rows of different lengths"):
        brought(Extract.of(str(path)), data)


@given(
    rows=arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(-6e4, 6e4, width=32)),
    step=st.integers(1, 9),
    source=st.sampled_from(["float16", "float32", "float64"]),
    dtype=st.sampled_from(["float16", "float32"]),
)
def test_blocks_are_written_as_numpy_writes_the_whole(tmp_path_factory, rows, step, source, dtype):
    rows = rows.astype(source)
    blocks = (rows[start : start + step] for start in range(0, len(rows), step))
    path = tmp_path_factory.mktemp("store") / "f.npy"
    assert written(path, blocks, len(rows), dtype) == saved(rows.astype(dtype))


def test_rows_in_fortran_s_order_are_written_in_c_s(tmp_path):
    rows = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(4, 3))
    assert written(tmp_path / "f.npy", [rows[:3], rows[3:]], 4) == saved(np.ascontiguousarray(rows))


def test_blocks_together_are_the_rows(monkeypatch):
    monkeypatch.setattr(extract, "NUMBERS", 6)
    rows = np.arange(20.0).reshape(10, 2)
    assert [len(block) for block in in_blocks(rows)] == [3, 3, 3, 1]
    assert np.array_equal(np.concatenate(list(in_blocks(rows))), rows)
    assert [len(block) for block in in_blocks(rows.reshape(2, 10))] == [1, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_an_error_that_says_which_image(tmp_path, value):
    rows = np.zeros((5, 2), np.float32)
    rows[4, 1] = value
    for dtype in ("float16", "float32"):
        with pytest.raises(DecoctError, match="mine: features of image 4 are not finite"):
            written(tmp_path / "f.npy", [rows[:3], rows[3:]], 5, dtype)


def test_what_a_type_cannot_hold_is_an_error_and_no_infinity(tmp_path):
    rows = np.array([[1.0, 2.0], [-65504.0, 65519.0]], np.float32)  # the last still rounds to the largest
    assert np.array_equal(fitting(rows, "float16", "mine")[1], [-65504, 65504])
    rows[0, 1] = -65520
    with pytest.raises(
        DecoctError, match=r"image 7 reach 6.552e\+04, and float16 holds 6.55e\+04.*\n.*dtype = .float32"
    ):
        fitting(rows, "float16", "mine", np.arange(7, 7 + len(rows)))
    with pytest.raises(DecoctError, match=r"float32 holds 3.403e\+38 at most\nscale them down"):
        fitting(np.array([[1e39]]), "float32", "mine")


def test_what_fits_is_not_copied():
    rows = np.ones((3, 2), np.float32)
    assert fitting(rows, np.float32, "mine") is rows


def test_a_block_is_all_that_is_held(tmp_path):
    block, n = np.ones((1000, 256), np.float32), 100
    tracemalloc.start()
    try:
        store(tmp_path / "f.npy", (block + i for i in range(n)), n * len(block), "float16", "mine")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * block.nbytes < n * block.nbytes / 10


def test_blocks_in_another_order_lie_in_their_rows(tmp_path):
    rows, order = np.arange(22, dtype=np.float32).reshape(11, 2), np.array([4, 5, 6, 0, 10, 9, 1, 2, 3, 7, 8])
    store(tmp_path / "rows.npy", (rows[order[at : at + 4]] for at in (0, 4, 8)), 11, "float32", "mine", order)
    assert np.array_equal(np.load(tmp_path / "rows.npy"), rows)
    rows[9, 1] = np.inf
    with pytest.raises(DecoctError, match="features of image 9 are not finite"):
        store(tmp_path / "rows.npy", (rows[order[at : at + 4]] for at in (0, 4, 8)), 11, "float32", "mine", order)


def test_pixels_are_the_values_of_the_image_channel_by_channel():
    images = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2) * 10
    wanted = [[image[c, y, x] / 255 for c in range(3) for y in range(2) for x in range(2)] for image in images]
    assert flat(images).dtype == np.float32
    np.testing.assert_allclose(flat(images), wanted, rtol=1e-6)
    np.testing.assert_allclose(flat((images / 255).astype(np.float32)), wanted, rtol=1e-6)


def test_pixels_take_no_precision_and_no_size():
    for fields in ({"precision": "bfloat16"}, {"size": 8}):
        with pytest.raises(UsageError, match="goes with"):
            build(Extract, {"name": "pixels", **fields}, "extractor")
