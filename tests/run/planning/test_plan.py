"""Plans: the jobs of the run itself, estimates where there is something to take them from, and nothing written."""

import json
import shutil

import pytest

from decoct.core.errors import UsageError
from decoct.core.record import CELL, MEASURED, read_json
from decoct.core.spec import digest
from decoct.run.planning.plan import PLAN, make_plan, smaller
from decoct.run.storage.store import Store


def kinds(plan):
    return {kind.name: kind for kind in plan.kinds}


def jobs_by_kind(out):
    jobs = json.loads((out / "run.json").read_text())["jobs"]
    found = {}
    for job in jobs:
        found.setdefault(job["kind"], []).append(job["key"])
    return found


def test_without_results_or_probes_nothing_is_made_up(tiny, finished):
    plan = make_plan(tiny)
    expected = jobs_by_kind(finished)
    assert {name: kind.jobs for name, kind in kinds(plan).items()} == {k: len(v) for k, v in expected.items()}
    assert plan.todo == plan.unknown == len(plan.jobs)
    assert all(kind.seconds == 0 and kind.sure == "unknown" and kind.peak is None for kind in plan.kinds)


def test_a_study_that_is_done_has_nothing_to_do(tiny, finished):
    plan = make_plan(tiny, store=Store(finished / "store"), probe=60.0)
    assert plan.todo == 0 and plan.schedule.clock == 0
    assert all(kind.done == kind.jobs for kind in plan.kinds)


def test_from_another_run_of_the_same_study(tiny, finished):
    """Medians of one are what it took, so that the sum is what the run took."""
    plan = make_plan(tiny, others=[finished], workers=2)
    assert plan.unknown == 0 and plan.todo == len(plan.jobs)
    for name, keys in jobs_by_kind(finished).items():
        store = Store(finished / "store")
        took = sum(json.loads((store.path(name, key) / MEASURED).read_text())["cpu_seconds"] for key in keys)
        if len(keys) == len({group.example for group in plan.groups if group.kind == name}):
            assert kinds(plan)[name].cpu_seconds == pytest.approx(took)
        assert kinds(plan)[name].source == "earlier" and kinds(plan)[name].sure == "sure"
    found = plan.schedule
    assert max(found.critical, found.work / 2) <= found.clock <= found.work


def test_another_seed_is_as_long_and_none_of_it_is_done(tiny, finished):
    other = tiny.model_copy(update={"seed": 7})
    plan = make_plan(other, store=Store(finished / "store"))
    assert plan.todo == len(plan.jobs) and plan.unknown == 0
    assert all(group.each.sure == "sure" for group in plan.groups)


def test_half_a_run_counts_what_is_there(tiny, finished, tmp_path):
    half = shutil.copytree(finished, tmp_path / "half")
    shutil.rmtree(half / "store" / "train")
    plan = make_plan(tiny, store=Store(half / "store"))
    assert {kind.name for kind in plan.kinds if kind.todo} == {"train"}
    assert kinds(plan)["train"].unknown == kinds(plan)["train"].jobs


def test_a_damaged_measure_is_named(tiny, finished, tmp_path):
    copied = shutil.copytree(finished, tmp_path / "copied")
    cells = (file.parent for file in (copied / "store" / "train").rglob(MEASURED))
    of_a_set = next(cell for cell in cells if "condensed" in read_json(cell / CELL)["inputs"])
    (of_a_set / MEASURED).write_text("{", "utf-8")
    plan = make_plan(tiny, others=[copied])
    assert len(plan.troubles) == 1 and "damaged" in plan.troubles[0]
    assert f"`decoct verify --repair {copied / 'store'}`" in plan.troubles[0]
    assert plan.unknown == 0  # the other replicate tells


def test_probes_tell_what_no_result_tells(study_of):
    plan = make_plan(study_of("random", "raises", replicates=2), probe=120.0)
    by_name = {group.example.split(" · ")[1]: group for group in plan.groups if group.kind == "condense"}
    assert by_name["method random"].each.source == "probe" and by_name["method random"].each.sure == "sure"
    assert by_name["method raises"].each.seconds is None
    assert len(plan.troubles) == 1 and "no luck" in plan.troubles[0]
    students = kinds(plan)["train"]
    assert students.unknown == 0 and students.bytes > 0 and students.peak > 0
    assert students.overhead > 0


def test_a_teacher_that_is_trained_beside_loaded_ones_is_named(study_of, tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"weights")
    loaded = {"net": "convnet2_bn", "checkpoint": str(tmp_path / "net.safetensors")}

    def troubles(*teachers):
        soft, look = [{"name": "single_teacher", "steps": 2}], {"names": ["prdc"]}
        return make_plan(study_of("random", protocols=soft, metrics=look, teachers=list(teachers))).troubles

    (trouble,) = troubles(loaded)
    assert trouble.startswith("test_efficientnet will be trained, while other teachers are loaded: to load it too")
    assert not troubles(loaded, loaded | {"net": "test_efficientnet"})
    assert not troubles()


def test_a_smaller_study_by_the_same_estimates(tiny, finished):
    plan = make_plan(tiny, others=[finished])
    fewer = smaller(plan, tiny.model_copy(update={"condensers": tiny.condensers[:2]}), None)
    assert 0 < fewer.schedule.clock < plan.schedule.clock and fewer.unknown == 0


def test_a_file_that_is_no_plan_is_not_replaced(tiny, finished, tmp_path):
    plan = make_plan(tiny, others=[finished])
    (tmp_path / PLAN).write_text('{"name": "mine"}')
    with pytest.raises(UsageError, match="which decoct did not write"):
        plan.write(tmp_path)
    assert (tmp_path / PLAN).read_text() == '{"name": "mine"}'
    (tmp_path / PLAN).unlink()
    for _ in range(2):
        plan.write(tmp_path)


def test_the_file_says_all_and_fits_its_jobs_alone(tiny, finished, tmp_path):
    plan = make_plan(tiny, others=[finished])
    file = plan.write(tmp_path / "new" / "run")
    assert file.name == PLAN and [path.name for path in file.parent.iterdir()] == [PLAN]
    said = json.loads(file.read_text())
    assert said == json.loads(json.dumps(plan.to_json()))
    assert sorted(key for group in said["groups"] for key in group["keys"]) == sorted(job.key for job in plan.jobs)
    assert said["fits"] == digest(sorted(job.key for job in plan.jobs))
    other = make_plan(tiny.model_copy(update={"seed": 1}))
    assert other.to_json()["fits"] != said["fits"]
