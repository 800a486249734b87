"""The tables of a run whose numbers are known."""

import json
import math

import pyarrow.csv
import pyarrow.parquet
import pytest

from decoct.core.errors import DecoctError
from decoct.core.record import cell_dir, read_cost, write_cost
from decoct.metrics.cost import TAKEN
from decoct.report.read import frame
from decoct.report.write import write_report


def rows(table, **where):
    return [row for row in table.to_pylist() if all(row[k] == v for k, v in where.items())]


def test_one_row_a_student_with_the_documented_columns(run):
    found = frame.read(run)
    assert found.results.num_rows == 5 * 2 * 3 * 5 + 3  # method × budget × protocol × replicate, and the ceiling
    assert found.holes == () and found.failures == ()
    documented = [
        "data",
        "method",
        "protocol",
        "student",
        "budget",
        "images",
        "condense_replicate",
        "train_replicate",
        "accuracy",
    ]
    assert found.results.column_names[:9] == documented
    assert [str(t) for t in found.results.schema.types[:9]] == ["string"] * 5 + ["int64"] * 3 + ["double"]
    (full,) = rows(found.results, method="full", protocol="erm")
    assert (full["budget"], full["images"], full["condense_replicate"]) == ("all", 1257, 0)
    assert {row["images"] for row in rows(found.results, method="rded", budget="ipc=10")} == {100}
    assert {row["image_bytes"] for row in rows(found.results, method="herding", budget="ipc=10")} == {9000}
    assert full["image_bytes"] is None


def test_answers_are_read_once_however_many_students_there_are(run, monkeypatch):
    found, read = frame.read(run), []
    bits = frame._bits
    monkeypatch.setattr(frame, "_bits", lambda run, key, images: read.append(key) or bits(run, key, images))
    keys = found.results["key"].to_pylist()
    for key in 2 * keys:
        found.correct(key)
    assert read == keys
    monkeypatch.setattr(frame, "KEPT", 20 * (frame.ARRAY + 360 // 8))  # of 359 images: room for twenty students
    few = frame.read(run)
    for key in 2 * keys[:30]:
        few.correct(key)
    assert len(read) == len(keys) + 60


def test_a_deterministic_method_has_one_set_and_every_replicates_students(run):
    found = frame.read(run)
    assert len(rows(found.costs, method="herding", budget="ipc=1")) == 1
    assert len(rows(found.results, method="herding", budget="ipc=1", protocol="erm")) == 5


def test_what_a_set_stands_on_is_counted_in_full_and_once(run):
    costs = frame.read(run).costs
    (herding,) = rows(costs, method="herding", budget="ipc=10")
    # 0.2 s of its own, on features (2 s) of one teacher (10 s)
    assert herding["seconds"] == pytest.approx(0.2)
    assert herding["shared_seconds"] == pytest.approx(12.0)
    assert herding["total_seconds"] == pytest.approx(12.2)
    assert herding["cpu_seconds"] == pytest.approx(24.4)
    assert (herding["own_cpu_seconds"], herding["own_device_seconds"]) == (pytest.approx(0.4), 0.0)
    assert herding["peak_memory"] == 10e8  # the teacher's, larger than its own
    assert rows(costs, method="random", budget="ipc=1")[0]["shared_seconds"] == 0


@pytest.fixture
def cut(builder):
    """A run whose first set of rded was put together from two shards; ``planned`` or by another plan."""

    def make(planned=True, gone=False):
        builder.build()
        job = next(j for j in builder.jobs if j["kind"] == "condense" and j["labels"]["method"] == "rded")
        plan, shards = list(builder.jobs), {}
        for number, seconds in enumerate((4.0, 30.0)):
            if gone and number == 1:
                builder.holes = lambda labels: True
            labels = {**job["labels"], "shard": number}
            shards[f"shard:{number}"] = builder._job("shard", job["inputs"], labels, seconds=seconds)
        cell = cell_dir(builder.folder / "store", "condense", job["key"]) / "cell.json"
        facts = json.loads(cell.read_text())
        cell.write_text(json.dumps(facts | {"inputs": {**job["inputs"], **shards}}))
        if planned:
            job["inputs"] = {**job["inputs"], **shards}
        else:
            builder.jobs = plan
        builder._manifest()
        found = frame.read(builder.folder)
        return found, rows(found.costs, method="rded", budget="ipc=1", condense_replicate=0)[0]

    return make


@pytest.mark.parametrize("planned", [True, False])
def test_the_shards_of_a_set_are_its_own_cost_and_no_sets(cut, planned):
    found, row = cut(planned)
    assert row["seconds"] == pytest.approx(8.0 + 34.0)
    assert row["shared_seconds"] == pytest.approx(10.0)  # the one teacher, once
    assert row["total_seconds"] == pytest.approx(52.0)
    assert row["cpu_seconds"] == pytest.approx(104.0)
    assert row["peak_memory"] == 30e8  # the second shard's
    assert found.costs.num_rows == 2 * (3 * 5 + 2)
    assert found.holes == ()


def test_a_shard_that_is_gone_leaves_the_cost_of_its_set_unknown(cut):
    _, row = cut(gone=True)
    assert row["seconds"] is row["total_seconds"] is row["cpu_seconds"] is row["own_cpu_seconds"] is None
    assert row["shared_seconds"] == pytest.approx(10.0)


def test_statistics_are_shared_cost(builder):
    builder.build()
    (first, *_) = [j for j in builder.jobs if j["kind"] == "condense" and j["labels"]["method"] == "sre2l"]
    made = builder._job("statistics", first["inputs"], {"net": "convnet3_bn"}, seconds=5.0)
    first["inputs"] = {**first["inputs"], "statistics:convnet3_bn": made}
    builder._manifest()
    row = rows(frame.read(builder.folder).costs, method="sre2l", budget="ipc=1", condense_replicate=0)[0]
    assert (row["seconds"], row["shared_seconds"]) == (pytest.approx(8.0), pytest.approx(15.0))


def test_a_need_that_is_gone_leaves_its_cost_unknown(builder):
    builder.holes = lambda labels: labels["kind"] == "features"
    (herding,) = rows(frame.read(builder.build()).costs, method="herding", budget="ipc=1")
    assert herding["shared_seconds"] is None and herding["total_seconds"] is None


def test_a_loaded_teacher_is_named_as_not_counted(builder):
    builder.checkpoint = "resnet.safetensors"
    costs = frame.read(builder.build()).costs
    assert {row["not_counted"] for row in rows(costs, method="rded")} == {"training of convnet3_bn"}
    assert {row["not_counted"] for row in rows(costs, method="random")} == {""}


@pytest.fixture
def told(run):
    """Adds to what the jobs of a kind took, and to what the study says."""

    def tell(kind=None, study=None, **took):
        for file in (run / "store" / kind).rglob("measured.json") if kind else ():
            write_cost(file.parent, read_cost(file).model_copy(update=took))
        manifest = json.loads((run / "run.json").read_text())
        manifest["study"] |= study or {}
        (run / "run.json").write_text(json.dumps(manifest))
        return frame.read(run)

    return tell


def test_device_seconds_and_energy_are_of_the_set_and_all_that_it_stands_on(told):
    told("teacher", device_seconds=9.5, energy=3000.0)
    told("features", device_seconds=1.5, energy=400.0)
    costs = told("condense", energy=7.0).costs
    (herding,) = rows(costs, method="herding", budget="ipc=10")
    assert (herding["device_seconds"], herding["energy"]) == (11.0, 3407.0)
    for row in rows(costs, method="rded"):
        assert (row["device_seconds"], row["energy"]) == (9.5, 3007.0)
    for row in rows(costs, method="random"):
        assert (row["device_seconds"], row["energy"]) == (0.0, 7.0)


def test_energy_is_unknown_where_that_of_a_part_is(told):
    costs = told("condense", energy=7.0).costs  # and of no teacher
    assert {row["energy"] for row in rows(costs, method="herding")} == {None}
    assert {row["energy"] for row in rows(costs, method="random")} == {7.0}
    costs = told("teacher", energy=5.0).costs
    assert {row["energy"] for row in rows(costs, method="herding")} == {None}  # its features'
    assert {row["energy"] for row in rows(costs, method="sre2l")} == {12.0}


def test_a_part_that_is_gone_leaves_device_seconds_and_energy_unknown(builder):
    builder.holes = lambda labels: labels["kind"] == "features"
    run = builder.build()
    for file in (run / "store").rglob("measured.json"):
        write_cost(file.parent, read_cost(file).model_copy(update={"device_seconds": 1.0, "energy": 1.0}))
    costs = frame.read(run).costs
    (herding,) = rows(costs, method="herding", budget="ipc=1")
    assert herding["device_seconds"] is herding["energy"] is None
    assert {row["energy"] for row in rows(costs, method="sre2l")} == {2.0}


def test_bytes_are_spread_over_the_classes(run):
    for file in (run / "store" / "condense").rglob("facts.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"label_bytes": 30}))
    rates = {(row["budget"], row["bytes_per_class"]) for row in frame.read(run).costs.to_pylist()}
    assert rates == {("ipc=1", 93.0), ("ipc=10", 903.0)}  # 90 bytes an image, 10 classes


def test_the_cost_is_read_among_the_metrics_where_the_study_asks_for_it(told):
    assert not rows(told().metrics, axis="cost")
    assert not rows(told(study={"metrics": {"names": ["prdc"]}}).metrics, axis="cost")
    found = told("teacher", study={"metrics": {"names": ["prdc", "cost"]}}, energy=5.0)
    costs, read = found.costs.to_pylist(), rows(found.metrics, axis="cost")
    assert len(read) == len(costs) * (len(TAKEN) + 1)
    for cost in costs:
        where = {name: cost[name] for name in ("data", "method", "budget", "condense_replicate")}
        own = rows(found.metrics, axis="cost", **where)
        assert {row["metric"]: row["value"] for row in own} == {
            name: cost[name] for name in (*TAKEN, "bytes_per_class")
        }
    assert {row["metric"] for row in read if row["lead"]} == {"total_seconds", "bytes_per_class"}
    empty = ("classes", "lo", "hi", "random", "random_sd", "random_lo", "random_hi", "random_n", "z")
    assert {tuple(row[name] for name in empty) for row in read} == {(None,) * len(empty)}
    traits = {tuple(row[name] for name in ("extractor", "scope", "reference", "higher_is_better")) for row in read}
    assert traits == {("–", "pooled", "none", False)}
    assert rows(found.metrics, metric="coverage") == rows(told().metrics, metric="coverage")


def test_a_set_that_was_not_made_has_no_cost(builder):
    builder.holes = lambda labels: labels["kind"] == "condense" and labels["method"] == "rded"
    run = builder.build()
    manifest = json.loads((run / "run.json").read_text())
    manifest["study"]["metrics"] = {"names": {"price": {"name": "cost"}}}
    (run / "run.json").write_text(json.dumps(manifest))
    methods = {row["method"] for row in rows(frame.read(run).metrics, axis="cost")}
    assert methods == {"random", "herding", "k_center", "sre2l"}


def test_the_page_shows_device_time_and_energy_where_some_set_has_them(run, told):
    def heads():
        page = write_report(run).page.read_text("utf-8")
        return page[page.index('id="times"') : page.index('id="weight"')]

    plain = heads()
    assert "bytes per class" in plain and "90 B" in plain and "900 B" in plain
    assert "device time" not in plain and "energy" not in plain.lower()
    told("condense", device_seconds=33.0)
    assert "device time" in heads() and "33.0 s" in heads() and "energy" not in heads().lower()
    told("condense", energy=12345.6)
    assert "energy (J)" in heads() and "12,345.6" in heads()


def test_a_reading_that_is_not_defined_is_null(run):
    recall = rows(frame.read(run).metrics, metric="recall", budget="ipc=1")
    assert recall and all(row["value"] is None for row in recall)


def test_holes_and_failures_are_listed(builder):
    builder.holes = lambda labels: labels.get("method") == "rded" and labels.get("condense_replicate") == 1
    builder.failures = {"rded": "loss is NaN"}
    found = frame.read(builder.build())
    assert len(found.holes) == 2 * 3
    ((job, message),) = found.failures
    assert (job.kind, job.labels["method"], message) == ("condense", "rded", "loss is NaN")


def test_tables_are_written_whole_and_leave_nothing_else(run):
    found = frame.read(run)
    write_report(run)
    write_report(run)  # over the old ones
    assert {p.name for p in run.iterdir()} == {
        *("run.json", "store", "results.parquet", "results.csv", "metrics.parquet", "costs.parquet"),
        *("scores.parquet", "scores.csv", "report.html", "tables"),
    }
    assert pyarrow.parquet.read_table(run / "results.parquet").equals(found.results)
    assert pyarrow.csv.read_csv(run / "results.csv").to_pylist() == found.results.to_pylist()


def test_a_run_that_has_just_begun_has_empty_tables(builder):
    builder.holes = lambda labels: True
    found = frame.read(builder.build())
    write_report(builder.folder)
    assert (found.results.num_rows, found.metrics.num_rows, found.costs.num_rows) == (0, 0, 0)
    assert pyarrow.parquet.read_schema(builder.folder / "results.parquet").equals(frame.RESULTS)


def test_an_accuracy_that_is_not_a_number_is_a_hole(run):
    job = frame.read(run).manifest.of_kind("train")[0]
    path = frame.read(run).manifest.cell(job) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"accuracy": math.nan}))
    found = frame.read(run)
    assert job in found.holes
    assert all(math.isfinite(row["accuracy"]) for row in found.results.to_pylist())


def test_a_folder_without_a_run_says_so(tmp_path):
    with pytest.raises(DecoctError, match="not a run"):
        frame.read(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"format": 9}'])
def test_a_damaged_run_says_so(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DecoctError, match=r"run\.json"):
        frame.read(tmp_path)


def test_a_damaged_cell_is_named(run):
    job = frame.read(run).manifest.of_kind("train")[0]
    path = frame.read(run).manifest.cell(job) / "result.json"
    path.write_text("{")
    with pytest.raises(DecoctError, match=r"result\.json is damaged"):
        frame.read(run)


ROW = {"extractor": "teacher", "metric": "coverage", "scope": "pooled", "reference": "val", "value": 0.5}


def random(**changes):
    facts = {key: value for key, value in ROW.items() if key != "value"}
    return frame.by_name([{**facts, "mean": 0.3, "sd": 0.1, "lo": 0.1, "hi": 0.5, "n": 20, **changes}])


def test_z_counts_standard_deviations_of_random_sets():
    found = frame.beside(ROW, random())
    assert found["z"] == pytest.approx(2)
    rest = {"random": 0.3, "random_sd": 0.1, "random_lo": 0.1, "random_hi": 0.5, "random_n": 20}
    assert found == {**ROW, **rest, "z": found["z"]}


@pytest.mark.parametrize(
    "known",
    [
        {},
        random(metric="recall"),
        random(scope="per_class"),
        random(mean=None, sd=None, lo=None, hi=None),
        random(sd=None),
        random(sd=0.0),
        random(mean=1.0, sd=1e-17),  # what rounding leaves of equal values
    ],
)
def test_what_is_unknown_or_always_alike_has_no_z(known):
    assert frame.beside(ROW, known)["z"] is None
    assert frame.beside({**ROW, "value": None}, random())["z"] is None


def test_no_spreadsheet_runs_a_name_of_a_csv_and_the_parquet_has_it_as_it_is(tmp_path):
    table = pyarrow.table({"method": ["-2+cmd|' /C calc'!A0", None, "herding"], "accuracy": [-0.5, 0.5, None]})
    frame.write(tmp_path, "results", table, csv=True)
    rows = pyarrow.csv.read_csv(tmp_path / "results.csv").to_pydict()
    assert rows == {"method": ["'-2+cmd|' /C calc'!A0", "", "herding"], "accuracy": [-0.5, 0.5, None]}
    assert pyarrow.parquet.read_table(tmp_path / "results.parquet").equals(table)
