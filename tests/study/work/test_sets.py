"""What becomes of a draft: a set by definition, in one piece or of shards, with what it needed on record."""

import textwrap
import tracemalloc
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct import api
from decoct.api import Compute
from decoct.core import tensorfile
from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError
from decoct.core.interfaces import Draft
from decoct.core.record import CELL, MEASURED, Provenance, cell_dir, read_cost, read_json, write_json
from decoct.core.spec import parse
from decoct.data.dataset import Split
from decoct.data.pixels import Pixels
from decoct.needs.statistics import LayerStatistics, Statistics, collect, draw_views
from decoct.needs.teacher import Teach, load_teacher
from decoct.study.cost import total_cost
from decoct.study.execute import execute
from decoct.study.expand import expand
from decoct.study.graph import Planner
from decoct.study.run import run
from decoct.study.store.store import KeptOnDisk, Store
from decoct.study.study import Study
from decoct.study.work import sets
from decoct.study.work.sets import check_room, grid

WHO = Provenance(method="m")
NET = {"nets": ["convnet2_bn"], "iterations": 3}
NINE = {
    "sre2l": {"iterations": 3, "block": 3},
    "cda": {"iterations": 3, "block": 4},
    "rded": {"candidates": 12},
    "g_vbsm": {**NET, "block": 6},
    "edc": {**NET, "block": 3},
    "cv_dd": {**NET, "block": 5},
    "fadrm": {**NET, "block": 7},
    "delt": {**NET, "block": 4},
    "cim": {"iterations": 3, "candidates": 20},
}
WEIGHTED = '''
    """Random picks with weights, class by class."""

    from typing import ClassVar

    import numpy as np

    from decoct.core.interfaces import Condenser, Draft


    class Weighted(Condenser):
        """Random picks with random weights."""

        family: ClassVar = "coreset"

        def together(self, ipc):
            return 1

        def __call__(self, inputs):
            picks, weights = [], []
            for c, members, quota in zip(inputs.wanted(), inputs.members(), inputs.quotas(), strict=True):
                rng = np.random.default_rng([inputs.seed, c])
                picks += rng.permutation(members)[:quota].tolist()
                weights += rng.random(quota).tolist()
            return Draft.selected(picks, np.array(weights, np.float32))
'''


def cells(out, kind, **labels):
    jobs = read_json(out / "run.json")["jobs"]
    mine = [job for job in jobs if job["kind"] == kind and labels.items() <= job["labels"].items()]
    return [cell_dir(out / "store", kind, job["key"]) for job in mine]


@pytest.fixture(scope="module")
def weighted(tmp_path_factory):
    path = tmp_path_factory.mktemp("plugins") / "weighted.py"
    path.write_text(textwrap.dedent(WEIGHTED).lstrip(), "utf-8")
    return str(path)


@pytest.fixture(scope="module")
def planner(digits, weighted):
    """A fresh planner: teachers are taught for an epoch."""
    teachings = {"convnet2_bn": Teach(net="convnet2_bn", epochs=1)}
    return lambda: Planner(digits, teachings=teachings, plugins=(weighted,))


@pytest.fixture(scope="module")
def taught(planner, digits, tmp_path_factory):
    """A store with the teacher and its statistics."""
    store, plan = Store(tmp_path_factory.mktemp("taught")), planner()
    plan.supply(LayerStatistics())
    for job in plan.jobs.values():
        execute(store.root, job)
    return store


@pytest.fixture
def made(planner, weighted, taught, tmp_path):
    """Make a set in a store of its own, in so many shards: the store, the jobs, the folder of the cell."""

    def make(name, shards=1, ipc=2, **fields):
        store, plan = Store(tmp_path / f"{name}-{shards}"), planner()
        store.root.mkdir()
        for kind in ("teacher", "statistics"):
            (store.root / kind).symlink_to(taught.root / kind)
        method = parse("condenser", {"name": name, **fields}, (weighted,))
        key = plan.condense(name, method, Budget(ipc=ipc), 0, shards).key
        for job in plan.jobs.values():
            execute(store.root, job)
        return store, list(plan.jobs.values()), store.path("condense", key)

    return make


def test_picks_take_their_labels_from_the_train_split(digits):
    made = sets.from_draft(Draft.selected([5, 3, 9]), digits, WHO)
    assert made.labels.tolist() == digits.train.labels[[5, 3, 9]].tolist()
    assert made.images is None
    assert made.class_names == digits.class_names


def test_a_set_of_mosaics_says_so(digits, tmp_path):
    images = np.zeros((2, 1, 8, 8), np.uint8)
    made = sets.from_draft(Draft.synthesised(images, [0, 1], mosaic=2), digits, WHO)
    assert made.mosaic == 2
    sets.keep(tmp_path, made, digits, Draft())
    assert Condensed.load(tmp_path).mosaic == 2
    assert sets.from_draft(Draft.synthesised(images, [0, 1]), digits, WHO).mosaic == 1


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        (Draft(), "neither indices nor images with labels"),
        (Draft(images=np.zeros((1, 1, 8, 8), np.uint8)), "neither indices nor images with labels"),
        (Draft.selected([-1]), "does not have"),
        (Draft.selected([10**6]), "does not have"),
        (Draft.selected([]), "at least one image"),
        (Draft.synthesised(np.zeros((1, 8, 8, 1), np.uint8), [0]), r"shape \(8, 8, 1\); the data's are \(1, 8, 8\)"),
        (Draft.synthesised(np.zeros((1, 1, 8, 8), np.float64), [0]), "uint8 or float32"),
        (Draft.synthesised(np.zeros((1, 1, 8, 8), np.uint8), [10]), "there are 10 names"),
        (Draft.synthesised(np.full((1, 1, 8, 8), np.inf, np.float32), [0]), "not finite"),
    ],
)
def test_a_draft_that_is_no_set_is_refused(digits, draft, said):
    with pytest.raises(DecoctError, match=said):
        sets.from_draft(draft, digits, WHO)


@given(n=st.integers(1, 5), classes=st.integers(2, 1000), soft=st.booleans(), weighted=st.booleans())
def test_label_bytes_are_whole_bytes_for_a_class_and_four_for_a_soft_label_or_a_weight(n, classes, soft, weighted):
    names = tuple(map(str, range(classes)))
    labels = np.zeros(n, dtype=np.int64)
    softs = np.zeros((n, classes), dtype=np.float32) if soft else None
    weights = np.ones(n, dtype=np.float32) if weighted else None
    made = Condensed(labels, names, WHO, indices=labels, soft_labels=softs, weights=weights)
    more = (4 * n * classes if soft else 0) + (4 * n if weighted else 0)
    assert sets.label_bytes(made) == n * (1 if classes <= 256 else 2) + more


def test_a_selection_names_its_picks_and_a_distilled_set_its_start(finished, digits):
    for folder in cells(finished, "condense", method="random"):
        made = Condensed.load(folder)
        lines = (folder / "picks.csv").read_text().splitlines()
        assert lines[0] == "index,class,source"
        assert lines[1:] == [f"{i},{digits.class_names[c]}," for i, c in zip(made.indices, made.labels, strict=True)]
    for folder in cells(finished, "condense", method="sre2l"):
        assert {"initial.png", "preview.png"} <= {path.name for path in folder.iterdir()}
        assert not (folder / "picks.csv").exists()


def test_provenance_says_where_a_set_came_from(finished, tiny, digits):
    by_key = {job.key: job for job in expand(tiny, digits)}
    for folder in cells(finished, "condense"):
        who, job = Condensed.load(folder).provenance, by_key[folder.name]
        assert (who.key, who.data, who.data_digest, who.budget) == (job.key, "digits", digits.digest, "ipc=1")
        assert (who.method, who.seed, who.inputs) == (job.config["name"], job.keyed["seed"], job.inputs)


@pytest.mark.parametrize("name", [*NINE, "weighted"])
def test_shards_put_together_are_the_set_bit_for_bit(made, name):
    """Under the same key: images, labels, picks, weights, provenance and pictures."""
    fields = NINE.get(name, {})
    _, _, whole = made(name, **fields)
    _, jobs, cut = made(name, shards=3, **fields)
    assert len([job for job in jobs if job.kind == "shard"]) in (2, 3)  # 2 where whole groups of classes make no 3
    assert_same(cut, whole)


@pytest.mark.parametrize("name", ["sre2l", "cda", "cv_dd", "fadrm"])
def test_so_are_shards_of_some_images_of_each_class(made, name):
    fields = {**NINE[name], "batch": 1, "ipc": 3}
    _, _, whole = made(name, **fields)
    _, jobs, cut = made(name, shards=100, **fields)
    shards = [job for job in jobs if job.kind == "shard"]
    groups = {tuple(job.keyed["classes"]) for job in shards}
    assert len(groups) > 1 and len(shards) == 3 * len(groups)
    assert sorted(job.keyed["numbers"] for job in shards) == sorted(len(groups) * [[0, 1], [1, 2], [2, 3]])
    assert_same(cut, whole)


def assert_same(cut, whole):
    assert cut.name == whole.name
    ours, theirs = (sorted(path.name for path in folder.iterdir()) for folder in (cut, whole))
    assert ours == theirs
    for file in set(ours) - {MEASURED, CELL, "facts.json"}:  # who made it, and sums over it
        assert (cut / file).read_bytes() == (whole / file).read_bytes(), file
    before, after = (read_json(folder / "facts.json") for folder in (whole, cut))
    assert after["notes"] == pytest.approx(before["notes"], rel=1e-5)
    assert {**after, "notes": None} == {**before, "notes": None}


def test_a_shard_holds_its_classes_alone(made):
    store, jobs, _ = made("weighted", shards=4)
    shards = [job for job in jobs if job.kind == "shard"]
    assert [job.keyed["classes"] for job in shards] == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]
    for job in shards:
        arrays = tensorfile.read(store.path("shard", job.key) / sets.SHARD)
        assert set(arrays) == {"indices", "weights"}
        assert len(arrays["indices"]) == 2 * len(job.keyed["classes"])


def test_the_cost_of_a_set_counts_its_statistics_and_its_shards_once(made):
    store, jobs, folder = made("g_vbsm", shards=2, **NINE["g_vbsm"])
    assert sorted(job.kind for job in jobs) == ["condense", "shard", "shard", "statistics", "teacher"]
    costs = [read_cost(store.path(job.kind, job.key) / MEASURED) for job in jobs]
    cost = total_cost(store, "condense", folder.name)
    assert cost.seconds == pytest.approx(sum(each.seconds for each in costs))
    assert cost.cpu_seconds == pytest.approx(sum(each.cpu_seconds for each in costs))
    assert cost.peak_memory == max(each.peak_memory for each in costs)


@pytest.mark.parametrize(
    ("name", "preset", "fields"),
    [("cda", "small", {}), ("delt", "small_cpu", {"preset": "small_cpu"}), ("edc", "small", {})],
)
def test_the_preset_of_a_set_and_what_it_stands_for_are_in_its_provenance(made, name, preset, fields):
    spec = Condensed.load(made(name, **(NINE[name] | fields))[2]).provenance.spec["fields"]
    assert spec["preset"] == preset
    known = parse("condenser", {"name": name}).presets[preset]
    given = NINE[name].keys() | {"jitter"}  # images of 8 px roll by a pixel at most
    for field in known.keys() - given:
        assert spec[field] == (list(known[field]) if isinstance(known[field], tuple) else known[field])
    assert not [field for field in ("nets", "lr", "iterations", "r", "scale", "block") if spec[field] is None]


def test_statistics_are_stored_as_they_were_taken(taught, planner, digits):
    job = planner().job(LayerStatistics())
    net = load_teacher(taught.path("teacher", job.inputs["teacher:convnet2_bn"]), digits, "cpu")
    views = draw_views(len(digits.train), digits.size, digits.flip, job.keyed["seed"])
    pixels = Pixels.of(digits, "cpu")
    fresh = collect(net, digits.train, digits.class_names, pixels, tile=4, views=views)
    stored = Statistics.load(taught.path("statistics", job.key), "cpu")
    for kind in ("whole", "by_class", "within"):
        ours, theirs = getattr(stored, kind), getattr(fresh, kind)
        assert ours.keys() == theirs.keys()
        for layer, moments in ours.items():
            for name, value in vars(moments).items():
                if value is not None:
                    assert np.array_equal(value, getattr(theirs[layer], name)), (layer, name)


def test_nets_behind_statistics_that_the_user_brought_are_named(taught, planner, digits, tmp_path):
    (file,) = taught.root.glob("teacher/*/*/weights.safetensors")
    brought = Teach(net="convnet2_bn", checkpoint=str(file)).pinned()
    own = Planner(digits, teachings={"convnet2_bn": brought})
    method = parse("condenser", {"name": "g_vbsm", **NINE["g_vbsm"]})
    assert LayerStatistics(net="convnet2_bn") in method.needs()
    key = own.condense("g_vbsm", method, Budget(ipc=1), 0).key
    for job in own.jobs.values():
        execute(tmp_path, job)
    assert Condensed.load(Store(tmp_path).path("condense", key)).provenance.not_counted == ("convnet2_bn",)


@pytest.fixture
def large(digits, tmp_path):
    """Data with 1,600 train images of 3 × 32 × 32, 4.9 MB, on disk; and room for as many."""
    room = KeptOnDisk(tmp_path / "room")
    images = room.array("train", (1600, 3, 32, 32))
    images[:] = np.random.default_rng(0).integers(0, 256, (1600, 3, 1, 1), dtype=np.uint8)
    return replace(digits, train=Split(images, np.arange(1600) % 10)), room


@pytest.fixture
def traced():
    """Peak bytes of the memory that numpy and Python took since."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.mark.parametrize("picked", [False, True])
def test_a_large_set_goes_into_its_cell_in_little_memory(large, tmp_path, traced, picked):
    data, room = large
    if picked:
        draft = Draft.selected(np.arange(1600)[::-1])
    else:
        images = room.array("images", data.train.images.shape)
        draft = Draft.synthesised(images, np.arange(1600) % 10, initial=data.train.images)
    before = traced()
    made = sets.from_draft(draft, data, WHO)
    sets.keep(tmp_path, made, data, draft)
    again = Condensed.load(tmp_path)
    assert traced() - before < data.train.images.nbytes / 4  # the preview alone takes an eighth
    assert np.array_equal(again.materialise(data.train.images).pixels(), made.materialise(data.train.images).pixels())


def test_shards_are_put_together_in_little_memory(large, tmp_path, traced):
    data, room = large
    parts = [data.train.images[:400], data.train.images[400:]]
    for number, images in enumerate(parts):
        (tmp_path / str(number)).mkdir()
        arrays = {"images": images, "labels": np.full(len(images), number), "soft_labels": np.ones((len(images), 2))}
        tensorfile.write(tmp_path / str(number) / sets.SHARD, arrays)
        write_json(tmp_path / str(number) / sets.NOTES, {"steps": 3, "mosaic": 2, "notes": {"loss": number}})
    draft = sets.merged([tmp_path / "0", tmp_path / "1"], room)
    assert traced() < data.train.images.nbytes / 40
    assert np.array_equal(draft.images, data.train.images)
    assert draft.labels.tolist() == [0] * 400 + [1] * 1200
    assert (draft.soft_labels.shape, draft.soft_labels.dtype) == ((1600, 2), np.float64)
    assert (draft.steps, draft.mosaic, draft.notes, draft.initial) == (6, 2, {"loss": 0.75}, None)
    assert all(isinstance(array, np.memmap) for array in (draft.images, draft.labels, draft.soft_labels))


def test_a_rate_that_some_classes_learn_is_not_one_of_the_set(monkeypatch):
    job = SimpleNamespace(config={}, plugins=(), keyed={"budget": {"ipc": 1}, "classes": [0]})
    cell = SimpleNamespace(job=job, data=None, device="cpu", meter=nullcontext)
    learning = lambda inputs: Draft.synthesised(np.zeros((1, 1, 2, 2), np.uint8), [0], rate=0.1)  # noqa: E731
    learning.name = "mine"
    for name, value in {"parse": learning, "check_room": "", "needed": None}.items():
        monkeypatch.setattr(sets, name, lambda *args, value=value: value)
    with pytest.raises(DecoctError, match="mine learns a rate for some classes: leave together"):
        sets.make_shard(cell)


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(-1e3, 1e3)), min_size=1, max_size=6))
def test_notes_of_shards_are_averaged_over_images(parts):
    sizes, values = zip(*parts, strict=True)
    every = np.repeat(values, sizes)
    found = sets.averaged([{"a": value} for value in values], list(sizes))
    assert found["a"] == pytest.approx(every.mean(), abs=1e-9)


def pixels(images, labels, classes, **options):
    return np.asarray(grid(np.asarray(images), np.asarray(labels, dtype=np.int64), classes, **options))


def flat(*values, dtype=np.uint8):
    """Grey images of 2 × 1 pixels, (value, value + 1)."""
    return np.array([[[[v, v + 1]]] for v in values], dtype=dtype)


def test_rows_are_classes_and_images_keep_their_order():
    g = 128
    sheet = pixels(flat(10, 20, 30), [1, 0, 1], 2)
    assert sheet.tolist() == [
        [g, g, g, g, g, g, g],
        [g, 20, 21, g, g, g, g],
        [g, g, g, g, g, g, g],
        [g, 10, 11, g, 30, 31, g],
        [g, g, g, g, g, g, g],
    ]


def test_a_class_without_an_image_has_an_empty_row():
    sheet = pixels(flat(10, 20), [0, 2], 3)
    assert sheet.shape == (7, 4)
    assert (sheet[2:5] == 128).all()
    assert sheet[5].tolist() == [128, 20, 21, 128]


def test_colours_keep_their_channels():
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 2, 2)
    sheet = pixels(image, [0], 1)
    assert sheet.shape == (4, 4, 3)
    assert np.array_equal(sheet[1:3, 1:3], image[0].transpose(1, 2, 0))
    assert (np.delete(sheet.reshape(16, 3), [5, 6, 9, 10], axis=0) == 128).all()


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, 0), (1.0, 255), (-0.5, 0), (1.5, 255), (0.5, 128), (100.4 / 255, 100)]
)
def test_floats_are_scaled_rounded_and_clipped(value, shown):
    sheet = pixels(np.full((1, 1, 1, 1), value, dtype=np.float32), [0], 1)
    assert sheet[1, 1] == shown


def test_no_more_than_the_first_images_of_the_first_classes():
    images = flat(*range(0, 24, 2))
    labels = [0, 1, 2] * 4
    sheet = pixels(images, labels, 3, most=2)
    assert sheet.shape == (5, 7)
    assert sheet[[1, 3]][:, [1, 4]].tolist() == [[0, 6], [2, 8]]
    many = np.zeros((400, 1, 3, 3), dtype=np.uint8)
    assert pixels(many, np.arange(400) % 20, 20).shape == (41, 41)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_only_the_images_that_are_shown_are_read(kind):
    class Counted:
        def __init__(self, images):
            self.images, self.shape, self.dtype, self.read = images, images.shape, images.dtype, []

        def __getitem__(self, at):
            self.read.append(int(at))
            return self.images[at]

    images = Counted(np.zeros((400, 1, 3, 3), dtype=kind))
    grid(images, np.arange(400) % 20, 20, most=2)
    assert images.read == [0, 20, 1, 21]
    grid(images, np.array([1, 0, 1]), 2, picks=np.array([7, 300, 5]))
    assert images.read[4:] == [300, 7, 5]


def test_picks_are_shown_as_if_they_were_a_set_of_their_own():
    images, picks, labels = flat(*range(0, 40, 2)), np.array([7, 3, 7, 0]), [1, 0, 0, 1]
    assert np.array_equal(pixels(images, labels, 2, picks=picks), pixels(images[picks], labels, 2))


TEXT = '''
from typing import ClassVar
from decoct.core.interfaces import Condenser


class Greedy(Condenser):
    """Takes all that there is."""

    family: ClassVar = "distillation"
    gib: float = 1e6

    def memory(self, shape, classes, ipc):
        return int(self.gib * 2**30) * ipc
'''


@pytest.fixture
def greedy(tmp_path):
    file = tmp_path / "greedy.py"
    file.write_text(TEXT)
    return str(file)


def test_condense_refuses_with_the_estimate_before_it_reads_a_need(greedy, digits, tmp_path):
    compute = Compute(store=tmp_path / "store", plugins=(greedy,))
    with pytest.raises(DecoctError, match=r"greedy of 10 classes × 2 images of 1 × 8 × 8 .* 2,000,000\.0 GiB; cpu has"):
        api.condense("greedy", digits, ipc=2, compute=compute)
    assert not (tmp_path / "store").exists()


def test_a_study_is_refused_before_its_first_job(greedy, tmp_path):
    study = Study(name="s", condensers=("random", "greedy"), protocols=("erm",), plugins=(greedy,))
    with pytest.raises(DecoctError, match="greedy of 10 classes × 1 images"):
        run(study, tmp_path / "run")
    assert not (tmp_path / "run" / "store").exists()


def test_what_fits_and_what_estimates_nothing_passes(greedy, digits):
    from decoct.core.spec import parse

    check_room(parse("condenser", {"name": "greedy", "gib": 1e-6}, (greedy,)), digits, Budget(ipc=1), "cpu")
    check_room(parse("condenser", "random"), digits, Budget(ipc=1), "cpu")
