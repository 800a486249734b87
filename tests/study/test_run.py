"""Whole studies: on one's own pictures, with jobs that fail, on a full disk, and again."""

import csv
import errno
import json
import os
import re
import shutil
import signal
import textwrap
import time
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from PIL import Image
from pyarrow import parquet

import decoct
from decoct.core.condensed import Condensed
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Task
from decoct.core.record import CELL
from decoct.data.dataset import load_data
from decoct.report.judged import judge
from decoct.report.read import frame
from decoct.report.read.manifest import Manifest
from decoct.report.sections.evidence.controls import controlled
from decoct.report.write import write_report
from decoct.study import run as run_module
from decoct.study.execute import attempt
from decoct.study.expand import expand
from decoct.study.run import run
from decoct.study.store import store as store_module
from decoct.study.store.store import KeptOnDisk, Store
from decoct.study.study import Study
from decoct.training.softlabels import StoredLabels

PETS = """
    name = "pets"
    data = {name = "folder", path = "pictures", size = 16}
    students = ["convnet1_w8"]
    budgets = [{ipc = 2}]
    replicates = {condense = 2, train = 2}
    condensers = ["random", "herding"]
    protocols = [{name = "erm", steps = 3}, {name = "single_teacher", steps = 3}]
    teachers = [{net = "convnet2_bn", epochs = 1}, {net = "test_efficientnet", epochs = 1}]
"""

WAYWARD = '''
    """Fails for as long as a file lies beside it."""

    from pathlib import Path

    import numpy as np

    from decoct.core.interfaces import Condenser, Draft


    class Wayward(Condenser):
        """Takes the first of each class."""

        family = "coreset"
        stochastic = False

        def __call__(self, inputs):
            if Path(__file__).with_name("rain").exists():
                raise RuntimeError("rained <b>off</b>")
            return Draft.selected(np.concatenate([m[:q] for m, q in zip(inputs.members(), inputs.quotas())]))
'''


class Watch:
    """What a run tells while it goes."""

    def __init__(self):
        self.plans, self.done = [], []

    def __call__(self, study, out, **options):
        return run(study, out, on_plan=lambda *plan: self.plans.append(plan), on_done=self.on_done, **options)

    def on_done(self, job, error):
        self.done.append((job.kind, job.labels.get("method"), error is None))


@pytest.fixture
def watched():
    return Watch()


@pytest.fixture
def wayward(tmp_path):
    """The plug-in's path, and the file that makes it fail."""
    path = tmp_path / "wayward.py"
    path.write_text(textwrap.dedent(WAYWARD).lstrip(), "utf-8")
    (tmp_path / "rain").touch()
    return str(path), tmp_path / "rain"


def table(path):
    return parquet.read_table(path).to_pylist()


def manifest(out):
    return json.loads((out / "run.json").read_text("utf-8"))


def stamps(out):
    return {file: file.stat().st_mtime_ns for file in (out / "store").rglob("*") if file.is_file()}


@pytest.fixture
def pets(tmp_path):
    """Colour pictures of three classes and two sizes, and a study of them."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(["bird", "cat", "dog"]):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 100, (20 + 4 * (i % 2), 18, 3), dtype=np.uint8)
            pixels[..., label] += 150
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i}.png")
    (tmp_path / "pets.toml").write_text(textwrap.dedent(PETS), "utf-8")
    return Study.from_toml(tmp_path / "pets.toml")


def test_a_study_of_ones_own_pictures(pets, tmp_path):
    out = tmp_path / "out"
    assert run(pets, out) == {}
    data, found = load_data(pets.data), write_report(out)
    assert (found.trained, found.planned, found.failures) == (18, 18, ())
    assert manifest(out)["data"] | {"digest": ""} == {
        "name": "pictures",
        "digest": "",
        "class_names": ["bird", "cat", "dog"],
        "images": {split: len(getattr(data, split)) for split in ("train", "val", "test")},
        "test_per_class": [4, 4, 4],
        "shape": [3, 16, 16],
        "flip": True,
        "skipped": [],
    }
    with Image.open(out / "real.png") as picture:  # a class a row, with the train images of it in their order
        sheet, side = np.asarray(picture), data.shape[-1]
    for c in range(3):
        image = np.moveaxis(data.train.images[np.flatnonzero(data.train.labels == c)[0]], 0, -1)
        top = 1 + c * (side + 1)
        assert np.array_equal(sheet[top : top + side, 1 : 1 + side], image)
    rows = table(out / "results.parquet")
    by_method = [(row["method"], row["protocol"], row["condense_replicate"], row["train_replicate"]) for row in rows]
    pairs = [(c, t) for c in range(2) for t in range(2)]
    assert sorted(by_method) == sorted(
        [(m, p, *pair) for m in ("random", "herding") for p in ("erm", "single_teacher") for pair in pairs]
        + [("full", p, 0, 0) for p in ("erm", "single_teacher")]
    )
    assert {row["images"] for row in rows} == {6, len(data.train)}
    assert {(row["data"], row["test_images"]) for row in rows} == {("pictures", len(data.test))}
    for job in (job for job in manifest(out)["jobs"] if job["kind"] == "train"):
        cell = Store(out / "store").path("train", job["key"])
        right = np.unpackbits(np.load(cell / "correct.npy"))[: len(data.test)]
        assert json.loads((cell / "result.json").read_text())["accuracy"] == right.mean()
    for picks in (out / "store").glob("condense/*/*/picks.csv"):
        for row in csv.DictReader(picks.read_text("utf-8").splitlines()):
            assert row["source"] == data.train.files[int(row["index"])]
            assert row["source"].startswith(row["class"] + "/")
    assert {row["metric"] for row in table(out / "metrics.parquet")} >= {"coverage", "density", "vendi"}


def test_pictures_that_change_move_every_key(pets, tmp_path):
    assert run(pets, tmp_path / "out") == {}
    before = {job["key"] for job in manifest(tmp_path / "out")["jobs"]}
    Image.new("RGB", (16, 16), "red").save(tmp_path / "pictures" / "dog" / "0.png")
    keys = {job.key for job in expand(pets, load_data(pets.data))}
    assert len(keys) == len(before)
    assert not keys & before


def test_a_failure_is_told_while_the_run_goes_on(study_of, wayward, tmp_path):
    plugin, _ = wayward
    study, out, told = study_of("random", "wayward", plugins=[plugin]), tmp_path / "out", []

    def on_done(job, error):
        if error is not None:
            told.append((manifest(out)["failures"].get(job.key), manifest(out)["ended"]))

    assert run(study, out, on_done=on_done)
    assert told == [("RuntimeError: rained <b>off</b>", False)]


def test_what_fails_is_on_record_shown_as_a_hole_and_tried_again(study_of, wayward, watched, tmp_path):
    plugin, rain = wayward
    study, out = study_of("random", "wayward", plugins=[plugin]), tmp_path / "out"
    failures = watched(study, out)
    assert list(failures.values()) == ["RuntimeError: rained <b>off</b>"]
    assert (manifest(out)["failures"], manifest(out)["ended"]) == (failures, True)
    assert sorted(watched.done) == [
        ("condense", "random", True),
        ("condense", "wayward", False),
        ("train", "random", True),
    ]
    found = write_report(out)
    assert (found.trained, found.planned, len(found.failures)) == (1, 2, 1)
    page = (out / "report.html").read_text("utf-8")
    assert "This report has holes" in page
    assert "RuntimeError: rained &lt;b&gt;off&lt;/b&gt;" in page
    assert "rained <b>" not in page

    kept = stamps(out)
    assert watched(study, out) == failures  # as long as it fails, it fails
    rain.unlink()
    watched.done.clear()
    assert watched(study, out) == {}
    assert watched.plans == [(4, 4), (2, 4), (2, 4)]
    assert watched.done == [("condense", "wayward", True), ("train", "wayward", True)]
    assert {file: time for file, time in stamps(out).items() if file in kept} == kept
    assert manifest(out)["failures"] == {}
    assert (write_report(out).trained, "This report has holes" in (out / "report.html").read_text("utf-8")) == (
        2,
        False,
    )


def test_a_loss_that_is_not_finite_leaves_a_hole_in_the_report(study_of, tmp_path):
    diverges = {"name": "erm", "label": "hot", "steps": 20, "lr": 1e30}
    study = study_of("random", replicates=2, protocols=[{"name": "erm", "steps": 2}, diverges], ceiling=True)
    failures = run(study, tmp_path)
    assert len(failures) == 3  # two replicates and the ceiling
    assert all("not finite" in message for message in failures.values())
    failed = [job for job in manifest(tmp_path)["jobs"] if job["key"] in failures]
    assert {(job["kind"], job["labels"]["protocol"]) for job in failed} == {("train", "hot")}
    found = write_report(tmp_path)
    assert (found.trained, found.planned, len(found.failures)) == (3, 6, 3)
    assert {row["protocol"] for row in table(tmp_path / "results.parquet")} == {"erm"}
    assert "3 students of 6 planned have no result" in (tmp_path / "report.html").read_text("utf-8")


def test_a_finished_run_run_again_does_nothing(tiny, finished, watched, tmp_path):
    shutil.copytree(finished, out := tmp_path / "out")
    before, record = stamps(out), (out / "run.json").read_bytes()
    assert watched(tiny, out) == {}
    assert watched.plans == [(0, len(manifest(out)["jobs"]))]
    assert watched.done == []
    assert stamps(out) == before
    assert (out / "run.json").read_bytes() == record


def test_a_study_that_grew_adds_only_what_is_new(study_of, watched, tmp_path):
    watched(study_of("random"), tmp_path)
    watched.done.clear()
    assert watched(study_of("random", "good", replicates=2), tmp_path) == {}
    assert watched.plans == [(2, 2), (6, 8)]
    assert sorted(watched.done) == sorted(2 * [(kind, "good", True) for kind in ("condense", "train")]
                                          + [(kind, "random", True) for kind in ("condense", "train")])  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"budgets": [{"ipc": 1}, {"ipc": 1000}]}, "fewer than ipc=1000"),
        ({"data": {"name": "folder", "path": "/none"}}, "no such folder: /none"),
    ],
)
def test_what_cannot_be_planned_leaves_no_folder(study_of, tmp_path, more, said):
    with pytest.raises(DecoctError, match=said):
        run(study_of("random", **more), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def half(tmp_path_factory):
    """A plug-in whose nets compute in a precision of their own."""
    file = tmp_path_factory.mktemp("half") / "half.py"
    fields = 'family = "coreset"\n    precision: str = "bfloat16"\n'
    made = "    def __call__(self, inputs):\n        return Draft.selected([m[0] for m in inputs.members()])\n"
    text = "from decoct.core.interfaces import Condenser, Draft\n\n\nclass Half(Condenser):\n"
    file.write_text(f'{text}    """Half."""\n\n    {fields}\n{made}')
    return str(file)


@pytest.fixture
def old_gpu(monkeypatch):
    """A GPU without bfloat16."""
    made_up = {"is_available": lambda: True, "device_count": lambda: 1, "get_device_name": lambda: "V100"}
    made_up |= {"is_bf16_supported": lambda **how: False, "device": lambda device: nullcontext()}
    made_up["get_device_properties"] = lambda device: SimpleNamespace(total_memory=2**34)
    for name, function in made_up.items():
        monkeypatch.setattr(f"torch.cuda.{name}", function)


def test_a_device_that_is_not_there_leaves_no_folder(study_of, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="no device 'cuda': "):
        run(study_of("random"), tmp_path / "out", device="cuda")
    assert list(tmp_path.iterdir()) == []


def test_a_device_without_the_precision_leaves_no_folder(study_of, tmp_path, old_gpu, half):
    """Be it that of the trainings, or a method's own."""
    line = 'cuda, V100, below compute capability 8.0 does not compute in bfloat16: take precision = "float32"'
    for more in ({"precision": "bfloat16"}, {"plugins": [half], "condensers": ["half"]}):
        with pytest.raises(UsageError, match=line):
            run(study_of("random", **more), tmp_path / "out", device="cuda")
        assert list(tmp_path.iterdir()) == []
    run(study_of("random", **more), tmp_path / "out")  # a CPU has it
    line = "cuda, V100"  # and so does a worker refuse it, wherever it is
    jobs = expand(study_of("random", **more), load_data("digits"))
    with pytest.raises(DecoctError, match=line):
        attempt(str(tmp_path / "store"), jobs[0], "cuda", decoct.__version__)
    assert not any(path.is_file() for path in (tmp_path / "store").rglob("*"))


@pytest.mark.parametrize("good", [0, 1, 9, 14, 25])
def test_a_full_disk_leaves_the_store_whole_and_the_run_can_go_on(study_of, contents, tmp_path, monkeypatch, good):
    study, out, left = study_of("random", "good", replicates=2), tmp_path / "out", good

    def sync(path):
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "sync", sync)  # of the files of cells
        failures = run(study, out)
    assert all("free some space; the same command continues" in message for message in failures.values())
    assert all("No space left on device" in message for message in failures.values())
    assert list((out / "store").glob(".tmp-*")) == []
    made = [folder for folder in (out / "store").glob("*/*/*") if folder.is_dir()]
    assert all((folder / CELL).is_file() for folder in made)
    assert len(made) < 8
    assert write_report(out).trained == sum(folder.parents[1].name == "train" for folder in made)
    assert run(study, out) == {}
    assert run(study, tmp_path / "other") == {}
    assert contents(out / "store") == contents(tmp_path / "other" / "store")


def test_a_disk_too_full_for_the_manifest_keeps_the_one_that_was_there(study_of, tmp_path, monkeypatch):
    study = study_of("random")
    assert run(study, tmp_path) == {}
    before = (tmp_path / "run.json").read_bytes()

    def half(path, value):
        path.write_text('{"half"')
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_json", half)
        with pytest.raises(OSError, match="No space"):
            run(study, tmp_path)
    assert (tmp_path / "run.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real.png", "run.json", "store"]


@pytest.mark.parametrize("content", ["{", '{"name": "another tool\'s"}'])
def test_files_that_no_run_wrote_are_not_replaced(study_of, tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    (tmp_path / "results.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"holds run\.json, results\.csv, which decoct did not write"):
        run(study_of("random"), tmp_path)
    assert (tmp_path / "run.json").read_text() == content and len(list(tmp_path.iterdir())) == 2


def test_what_a_run_and_its_report_leave_is_what_they_look_for(finished, tmp_path):
    write_report(shutil.copytree(finished, out := tmp_path / "out"))
    assert {path.name for path in out.iterdir()} == {*run_module.LEFT, "store"}
    (out / "run.json").write_text("{")  # damaged, and a run's: its cells lie beside it
    run_module.check_out(out)


def workers_of(pid):
    """Processes that compute for a driver: its children but for multiprocessing's tracker."""
    children = [one for one in psutil.process_iter(["ppid", "cmdline"]) if one.info["ppid"] == pid]
    return [child for child in children if any("spawn_main" in word for word in child.info["cmdline"] or ())]


def test_a_worker_that_is_killed_in_the_middle_of_a_job_takes_no_result_with_it(study_of, contents, tmp_path):
    long = {"name": "erm", "label": "long", "steps": 300}
    study, out, killed = study_of("random", replicates=2, protocols=[{"name": "erm", "steps": 2}, long]), tmp_path, []

    def kill(job, error):
        """After two sets and a student: one whose cell is half-written."""
        done.append(job.key)
        deadline = time.monotonic() + 30
        while len(done) == 3 and not killed and time.monotonic() < deadline:
            writers = {int(folder.name.split("-")[1]) for folder in (out / "store").glob(".tmp-*")}
            for worker in workers_of(os.getpid()):
                if worker.pid in writers and not killed:
                    worker.kill()
                    killed.append(worker.pid)

    done: list[str] = []
    assert run(study, out, workers=2, on_done=kill) == {}
    assert len(killed) == 1
    assert len(done) == len(set(done)) == 6
    assert workers_of(os.getpid()) == []
    assert list((out / "store").glob(".tmp-*")) == []
    assert run(study, tmp_path / "other") == {}
    assert contents(out / "store") == contents(tmp_path / "other" / "store")


def test_an_interrupt_of_the_driver_alone_leaves_no_worker(tiny_toml, start, tmp_path):
    out = tmp_path / "out"
    process = start("run", tiny_toml, "--out", out, "--workers", "2")
    deadline = time.monotonic() + 120
    while not list((out / "store").glob(f"[!.]*/*/*/{CELL}")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = workers_of(process.pid)
    assert len(workers) == 2
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    planned, *waiting, stopped = stderr.splitlines()
    assert all(re.match(r"\d:\d\d:\d\d ", line) for line in waiting)  # a slow machine says how far it is
    assert planned.startswith("tiny: ")
    assert stopped.startswith("decoct: stopped")
    _, living = psutil.wait_procs(workers, timeout=10)
    assert living == []


def soft(label, **fields):
    return {"name": "single_teacher", "label": label, "teacher": "convnet1_w8", **fields}


@pytest.fixture
def labelled(study_of):
    """A study of the same protocol with labels online and stored, and of the whole split for as many steps."""

    def make(replicates=2, **more):
        table = {
            "protocols": [soft("online", epochs=3), soft("stored", epochs=3, labels={"bits": 8, "prune": 4})],
            "budgets": [{"ipc": 2}],
            "teachers": [{"net": "convnet1_w8", "epochs": 1}],
            "same_steps": True,
        }
        return study_of("random", replicates=replicates, **table | more)

    return make


def test_a_study_of_stored_labels_and_of_equal_steps(labelled, tmp_path):
    study = labelled()
    assert run(study, tmp_path) == {}
    jobs, store = manifest(tmp_path)["jobs"], Store(tmp_path / "store")
    labels = [job for job in jobs if job["kind"] == "labels"]
    assert [job["labels"]["condense_replicate"] for job in labels] == [0, 1]
    train = {job["key"]: job for job in jobs if job["kind"] == "train"}
    write_report(tmp_path)
    rows = table(tmp_path / "results.parquet")
    data = load_data("digits")
    steps = study.recipes()["online"].recipe(Task(20, 10, 8, False)).steps
    assert {row["steps"] for row in rows} == {steps}
    sizes = {(row["method"], row["protocol"]): (row["budget"], row["images"]) for row in rows}
    assert sizes == {
        ("random", "online"): ("ipc=2", 20),
        ("random", "stored"): ("ipc=2", 20),
        ("full", "online"): ("ipc=2", len(data.train)),
        ("full", "stored"): ("ipc=2", len(data.train)),
    }
    for row in rows:
        job = train[row["key"]]
        inputs = {role.partition(":")[0] for role in job["inputs"]}
        if row["method"] == "full":
            assert (inputs, row["label_bytes"]) == ({"teacher"}, len(data.train))
        elif row["protocol"] == "online":
            assert (inputs, row["label_bytes"]) == ({"condensed", "teacher"}, 20)
        else:
            stored = StoredLabels.load(store.path("labels", job["inputs"]["labels"]))
            assert (inputs, row["label_bytes"]) == ({"condensed", "labels"}, 20 + stored.nbytes)
    assert run(study, tmp_path) == {}


def test_labels_that_cannot_be_made_leave_their_students_undone(labelled, watched, tmp_path):
    none_soft = soft("hard", steps=1, hard=0.9, labels={"bits": 8})
    study = labelled(protocols=[soft("online", steps=1), none_soft], same_steps=False)
    failures = watched(study, tmp_path)
    assert len(failures) == 2 and all("no step of 1 learns from soft labels" in said for said in failures.values())
    done = [kind for kind, _, good in watched.done if good]
    assert sorted(done) == ["condense", "condense", "teacher", "train", "train"]
    assert write_report(tmp_path).trained == 2


LONG = {
    "erm": {"name": "erm", "steps": 100, "label": "long"},
    "online": soft("long", steps=100, ema=0.9, cutmix=1.0),
    "stored": soft("long", steps=100, labels={"bits": 8, "prune": 7}),
    "hald": soft("long", steps=100, hard=0.4, labels={"top_k": 3}),
}


@pytest.mark.parametrize("kind", LONG)
def test_a_run_killed_in_a_long_training_goes_on_inside_it(labelled, contents, tmp_path, monkeypatch, kind):
    study = labelled(protocols=[LONG[kind]], same_steps=False, replicates=1)
    save, load, at, back = KeptOnDisk.save, KeptOnDisk.load, [], []

    def dies(self, name, arrays):
        """Writes at every seam, not every five minutes; dies after the third."""
        save(self, name, arrays)
        if self.folder.parent.name == "train":
            at.append(int(arrays["done"]))
            if len(at) == 3:
                raise KeyboardInterrupt

    def watched(self, name):
        found = load(self, name)
        if self.folder.parent.name == "train":
            back.append(int(found["done"]) if found else None)
        return found

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(KeptOnDisk, "due", lambda self: self.folder.parent.name == "train")
        patch.setattr(KeptOnDisk, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            run(study, out)
    (job,) = [job for job in manifest(out)["jobs"] if job["kind"] == "train"]
    left = Store(out / "store").unfinished("train", job["key"])
    assert left.is_dir() and not Store(out / "store").has("train", job["key"])
    assert 0 < at[-1] < 100
    monkeypatch.setattr(KeptOnDisk, "load", watched)
    assert run(study, out) == {}
    assert run(study, tmp_path / "other") == {}
    assert back == [at[-1], None]
    assert list((out / "store" / "unfinished").rglob("*.*")) == []
    assert contents(out / "store") == contents(tmp_path / "other" / "store")


def test_a_checkpoint_that_is_damaged_is_not_gone_on_from(labelled, contents, tmp_path):
    study = labelled(protocols=[LONG["erm"]], same_steps=False, replicates=1)
    assert run(study, tmp_path / "whole") == {}
    (job,) = [job for job in manifest(tmp_path / "whole")["jobs"] if job["kind"] == "train"]
    left = Store(tmp_path / "out" / "store").unfinished("train", job["key"])
    left.mkdir(parents=True)
    (left / "training.safetensors").write_bytes(b"nonsense")
    assert run(study, tmp_path / "out") == {}
    assert not left.exists()
    assert contents(tmp_path / "out" / "store") == contents(tmp_path / "whole" / "store")


def test_a_study_whose_sets_are_cut_into_shards_gives_the_sets_of_one_that_is_not(finished, tiny, digits, tmp_path):
    """Same cells but for the shards; the report counts them as the sets' own cost and shows no more sets."""
    cut = tiny.model_copy(update={"condensers": ("random", {"name": "rded", "candidates": 10, "shards": 3})})
    out, store = tmp_path / "cut", Store(tmp_path / "cut" / "store")
    (out / "store").mkdir(parents=True)
    shutil.copytree(finished / "store" / "teacher", out / "store" / "teacher")
    assert run(cut, out) == {}
    jobs = json.loads((out / "run.json").read_text())["jobs"]
    assert sum(job["kind"] == "shard" for job in jobs) == 2 * 3
    for job in jobs:
        ours, theirs = store.path(job["kind"], job["key"]), Store(finished / "store").path(job["kind"], job["key"])
        for file in ("condensed.safetensors", "condensed.json", "preview.png", "result.json", "correct.npy"):
            assert (ours / file).is_file() == (theirs / file).is_file() or job["kind"] == "shard"
            if (theirs / file).is_file():
                assert (ours / file).read_bytes() == (theirs / file).read_bytes()
    write_report(out)
    costs = {
        (row["method"], row["condense_replicate"]): row for row in parquet.read_table(out / "costs.parquet").to_pylist()
    }
    assert set(costs) == {(method, replicate) for method in ("random", "rded") for replicate in range(2)}
    for (method, replicate), row in costs.items():
        own = [
            json.loads((store.path(job["kind"], job["key"]) / "measured.json").read_text())["seconds"]
            for job in jobs
            if job["kind"] in ("condense", "shard")
            and (job["labels"]["method"], job["labels"]["condense_replicate"]) == (method, replicate)
        ]
        assert len(own) == (4 if method == "rded" else 1)
        assert row["seconds"] == pytest.approx(sum(own))
    assert run(cut, out) == {} and run(tiny.model_copy(update={"condensers": ("random",)}), out) == {}


WORDY = '''
    """Methods that say much of themselves."""

    from decoct.core.interfaces import Condenser, Draft
    from decoct.methods._shared.presets import WithPresets


    class Wordy(Condenser):
        """Says <b>much</b>.

        First ``x``,
        then more.

        Attributes:
            x: a number.

            y: another.

        Presets: none.
        """

        family = "distillation"
        x: int = 1


    class Own(WithPresets):
        """Has presets, and no paper's."""

        name = "own"
        family = "distillation"
        presets = {"small": {"x": 3}}
        x: int | None = None
'''


@pytest.fixture
def methods(tmp_path, digits):
    """What the manifest of a study without jobs says of its methods."""
    (tmp_path / "wordy.py").write_text(textwrap.dedent(WORDY).lstrip(), "utf-8")

    def written(*condensers):
        table = {"name": "t", "condensers": list(condensers), "protocols": ["erm"]}
        study = Study.from_dict(table | {"plugins": [str(tmp_path / "wordy.py")]})
        return json.loads(json.dumps(run_module._manifest(study, digits, [], [])))["methods"]

    return written


def test_a_control_is_a_family_of_its_own_unless_it_is_a_coreset_or_has_one_itself(methods):
    found = methods(
        {"name": "fadrm", "control": "crops"},
        {"name": "rded", "label": "crops", "candidates": 10, "crops": 1},
        {"name": "cim", "control": "rded"},
        {"name": "rded", "control": "random"},
        "random",
        "sre2l",
    )
    assert {label: (method["family"], method.get("control")) for label, method in found.items()} == {
        "fadrm": ("distillation", "crops"),
        "crops": ("control", None),
        "cim": ("distillation", "rded"),
        "rded": ("distillation", "random"),
        "random": ("coreset", None),
        "sre2l": ("distillation", None),
    }


def test_a_control_moves_no_key(study_of, digits):
    start = {"name": "rded", "label": "start", "crops": 1}
    plain = expand(study_of("rded", start), digits)
    assert [job.key for job in expand(study_of({"name": "rded", "control": "start"}, start), digits)] == [
        job.key for job in plain
    ]


def test_the_report_of_a_run_compares_a_method_with_its_control(study_of, tmp_path):
    assert run(study_of("random", {"name": "good", "control": "random"}, replicates=2), tmp_path) == {}
    write_report(tmp_path)
    learnt = replace(judge(frame.read(tmp_path)), outside={})  # after so few steps nothing can be read
    (found,) = controlled(learnt, learnt.frame.manifest.controls)
    rows = {(row["method"], row["condense_replicate"]): row["accuracy"] for row in table(tmp_path / "results.parquet")}
    expected = [rows["good", c] - rows["random", c] for c in range(2)]
    assert (found.method, found.control, found.comparison.n) == ("good", "random", 2)
    assert found.comparison.mean == pytest.approx(np.mean(expected))


def test_the_manifest_says_the_numbers_that_were_used_and_those_of_the_paper(methods):
    found = methods({"name": "edc", "preset": "small_cpu", "iterations": 7}, "sre2l", "own", "random")
    edc = found["edc"]
    assert {key: edc["config"][key] for key in ("name", "preset", "iterations", "r", "factor", "nets")} == {
        **{"name": "edc", "preset": "small_cpu", "iterations": 7, "r": 0.01, "factor": 1},
        "nets": ["convnet3_bn", "resnet10t", "test_resnet"],
    }
    assert {key: edc["paper"][key] for key in ("preset", "iterations", "r", "factor", "share")} == {
        **{"preset": "imagenet1k", "iterations": 1000, "r": 0.1, "factor": 2, "share": 0.5},
    }
    assert (found["sre2l"]["config"]["jitter"], found["sre2l"]["paper"]["jitter"]) == (1, 32)  # digits have 8 px
    assert found["sre2l"]["paper"]["nets"] == ["teacher"]
    assert found["own"]["config"] == {"name": "own", "preset": "small", "x": 3}
    assert "paper" not in found["own"] and "paper" not in found["random"]


def test_the_manifest_keeps_the_docstring_but_its_first_line_and_the_attributes(methods):
    found = methods("wordy", "own", "edc")
    assert found["wordy"]["summary"] == "Says <b>much</b>."
    assert found["wordy"]["about"] == "First ``x``,\nthen more.\n\nPresets: none."
    assert found["own"]["about"] == ""
    assert "left out.\n\nPresets: the numbers of the authors' scripts" in found["edc"]["about"]


def test_k_center_with_a_random_start_has_a_set_for_each_replicate(digits, tmp_path):
    fixed = {"name": "k_center", "extractor": "pixels", "label": "fixed"}
    study = {
        "name": "starts",
        "students": ["convnet1_w8"],
        "budgets": [{"ipc": 2}],
        "replicates": {"condense": 2},
        "condensers": ["random", fixed, fixed | {"start": "random", "label": "drawn"}],
        "protocols": [{"name": "erm", "steps": 2}],
        "metrics": {"names": []},
        "ceiling": False,
    }
    out = tmp_path / "out"
    assert run(Study.from_dict(study, tmp_path), out) == {}
    said, made = Manifest.read(out), {}
    for job in said.of_kind("condense"):
        made.setdefault(job.labels["method"], []).append(Condensed.load(said.cell(job)).indices.tolist())
    assert len(made["fixed"]) == 1 and len(made["drawn"]) == 2 and made["drawn"][0] != made["drawn"][1]
    assert {label: each["stochastic"] for label, each in said.methods.items()} == {
        "random": True,
        "fixed": False,
        "drawn": True,
    }
    assert said.deterministic == {"fixed"}


OWN_TEACHERS = {
    "name": "own",
    "students": ["convnet1_w8"],
    "budgets": [{"ipc": 2}],
    "replicates": {"condense": 2, "teacher": 2},
    "metrics": {"names": ["vendi"], "draws": 0, "resamples": 0},
    "condensers": ["random", "herding", {"name": "herding", "extractor": "pixels.npy", "label": "fixed"}],
    "protocols": [
        {"name": "single_teacher", "steps": 2},
        {"name": "erm", "steps": 2, "label": "papers", "native": True, "methods": ["herding"]},
    ],
    "teachers": [{"net": "convnet2_bn", "epochs": 1}, {"net": "test_efficientnet", "epochs": 1}],
}


def test_each_set_on_a_teacher_of_its_own(digits, rows, tmp_path):
    """Two teachers give herding two sets, which the report counts as two; the page says how they come about."""
    out = tmp_path / "out"
    assert run(Study.from_dict(OWN_TEACHERS, rows.parent), out) == {}
    said = Manifest.read(out)
    made = {}
    for job in said.of_kind("condense"):
        picks = Condensed.load(said.cell(job)).indices
        made.setdefault(job.labels["method"], []).append(picks.tolist())
    assert {label: len(sets) for label, sets in made.items()} == {"random": 2, "herding": 2, "fixed": 1}
    assert made["herding"][0] != made["herding"][1]
    about = {label: (each["draws"], each["stochastic"]) for label, each in said.methods.items()}
    assert about == {"random": (True, True), "herding": (False, True), "fixed": (False, False)}
    assert said.deterministic == {"fixed"}
    assert (said.teachers_vary, said.given_teachers, said.native) == (True, False, {"papers"})
    write_report(out)
    page = (out / "report.html").read_text()
    assert "deterministic, a set for each teacher" in page and "convnet2_bn, replicate 1" in page
