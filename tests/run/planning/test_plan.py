"""Plans: the jobs of the run itself, estimates where there is something to take them from, and nothing written."""

import json
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.core.once import Spent
from decoct.core.record import CELL, MEASURED, read_json
from decoct.core.spec import digest
from decoct.run.jobs import Job
from decoct.run.planning import plan as module
from decoct.run.planning.estimates import Estimate, Known, Likeness, likeness
from decoct.run.planning.plan import PLAN, Group, Plan, make_plan, schedule
from decoct.run.storage.store import Store


def kinds(plan):
    return {kind["name"]: kind for kind in plan.kinds}


def jobs_by_kind(out):
    found = {}
    for job in json.loads((out / "run.json").read_text())["jobs"]:
        found.setdefault(job["kind"], []).append(job["key"])
    return found


def test_without_results_or_probes_nothing_is_made_up(tiny, finished):
    plan = make_plan(tiny)
    assert {name: kind["jobs"] for name, kind in kinds(plan).items()} == {
        kind: len(keys) for kind, keys in jobs_by_kind(finished).items()
    }
    assert plan.takes == (0.0, 0, len(plan.jobs))
    assert all(row["seconds"] == 0 and row["sure"] == "unknown" and row["peak"] is None for row in plan.kinds)


def test_a_study_that_is_done_has_nothing_to_do(tiny, finished):
    plan = make_plan(tiny, store=Store(finished / "store"), probe_for=60.0)
    assert plan.groups == () and plan.clock == (0, 0) and plan.troubles == []
    assert all(row["done"] == row["jobs"] and row["sure"] == row["source"] == "" for row in plan.kinds)


def test_from_another_run_of_the_same_study(tiny, finished):
    """Medians of one are what it took, so that the sum is what the run took."""
    plan = make_plan(tiny, others=[finished], workers=2)
    assert plan.takes[1:] == (len(plan.jobs), 0)
    for name, keys in jobs_by_kind(finished).items():
        store = Store(finished / "store")
        took = sum(json.loads((store.path(name, key) / MEASURED).read_text())["cpu_seconds"] for key in keys)
        if len(keys) == len([group for group in plan.groups if group.kind == name]):
            assert kinds(plan)[name]["cpu_seconds"] == pytest.approx(took)
        assert (kinds(plan)[name]["source"], kinds(plan)[name]["sure"]) == ("earlier", "sure")
    clock, chain = plan.clock
    assert 0 < chain <= clock


def test_another_seed_is_as_long_and_none_of_it_is_done(tiny, finished):
    plan = make_plan(tiny.model_copy(update={"seed": 7}), store=Store(finished / "store"))
    assert plan.takes[1:] == (len(plan.jobs), 0)
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
    told = []
    plan = make_plan(study_of("random", "raises", replicates=2), probe_for=60.0, probed=lambda *made: told.append(made))
    each = {group.example.split(" · ")[1]: group.each for group in plan.groups if group.kind == "condense"}
    assert (each["method random"].source, each["method random"].sure) == ("probe", "sure")
    assert each["method raises"].seconds is None
    assert len(plan.troubles) == 1 and "no luck" in plan.troubles[0]
    students = kinds(plan)["train"]
    assert students["unknown"] == 0 and students["bytes"] > 0 and students["peak"] > 0 and students["overhead"] > 0
    assert told[0] == (0, told[0][1]) and told[-1] == (told[0][1],) * 2


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
    fewer = replace(plan, study=tiny.model_copy(update={"condensers": tiny.condensers[:2]}))
    assert 0 < fewer.takes.seconds < plan.takes.seconds and fewer.takes.unknown == 0


def test_a_run_or_a_store(tiny, finished, tmp_path):
    assert make_plan(tiny, others=[finished / "store"]).takes.unknown == 0
    with pytest.raises(UsageError, match="no such folder"):
        make_plan(tiny, others=[tmp_path / "nowhere"])


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
    assert sorted(key for group in said["groups"] for key in group["keys"]) == sorted(plan.jobs)
    assert said["fits"] == digest(sorted(plan.jobs))
    assert make_plan(tiny.model_copy(update={"seed": 1})).to_json()["fits"] != said["fits"]


def test_jobs_are_probed_once_a_group_the_largest_first_and_measures_last(tiny):
    plan = make_plan(tiny)
    asked = [plan.likes[job.key] for job in plan.asked()]
    assert sorted(like.same for like in asked) == sorted({like.same for like in plan.likes.values()})
    largest = {}
    for like in asked:
        assert like.amount <= largest.setdefault(like.work, like.amount)
    first = [like.kind for i, like in enumerate(asked) if [one.work for one in asked].index(like.work) == i]
    assert first.index("reference") > max(i for i, kind in enumerate(first) if kind not in ("reference", "measure"))
    plan.known.extend(Known(like, Estimate(1, 1, 1, sure="fair")) for like in asked)
    assert not plan.asked()


def test_looking_once_at_those_that_are_alike_finds_the_same_and_every_job_is_in_one_group(tiny, digits):
    plan = make_plan(tiny)
    assert plan.likes == {key: likeness(job, plan.jobs.get, digits) for key, job in plan.jobs.items()}
    assert sorted(key for group in plan.groups for key in group.keys) == sorted(plan.jobs)


@pytest.fixture
def plan_of(digits, tiny):
    """A plan of so many students, of which groups are to do, each with its estimate."""

    def make(jobs, *groups, workers=1, known=()):
        plan = Plan(tiny, digits, (), None, workers, "cpu", list(known), [])
        all_ = [Job(kind="train", keyed={"number": i}, config={}, data="") for i in range(jobs)]
        left = iter(all_)
        made = [Group("train", "…", tuple(next(left).key for _ in range(n)), each) for n, each in groups]
        plan.__dict__["jobs"], plan.__dict__["groups"] = {job.key: job for job in all_}, tuple(made)
        plan.__dict__["todo"] = all_[: sum(n for n, _ in groups)]
        return plan

    return make


def test_groups_add_up_by_their_jobs(plan_of):
    known, rough = (
        Estimate(10.0, 9.0, 1.0, 100.0, 5, "earlier", "sure"),
        Estimate(4.0, 3.0, 0.5, None, 7, "probe", "rough"),
    )
    plan = plan_of(12, (3, known), (2, rough), (4, Estimate()))
    (row,) = plan.kinds
    assert (row["jobs"], row["done"], row["todo"], row["unknown"], row["unsized"]) == (12, 3, 9, 4, 6)
    assert (row["seconds"], row["cpu_seconds"], row["overhead"], row["bytes"]) == (38.0, 33.0, 4.0, 300.0)
    assert (row["peak"], row["source"], row["sure"]) == (7, "both", "rough")
    assert plan.takes == (38.0 + 4.0, 5, 4)


def test_each_worker_works_out_once_what_the_others_share(plan_of):
    each, like = Estimate(1.0, 1.0, 0.0, 0.0, 1, "probe", "fair"), ("train", "same", "work", 1.0)
    known = [Known(Likeness(*like), each, Spent(20.0, 15.0), 1)]
    for workers, entered, clock in ((2, 2, 22.0), (9, 3, 21.0)):
        plan = plan_of(3, (3, each), workers=workers, known=known)
        assert plan.kinds[0]["seconds"] == 3 + entered * 20 and plan.kinds[0]["cpu_seconds"] == 3 + entered * 15
        assert plan.clock == (clock, 21.0) and plan.once["workers"] == entered
    assert plan_of(3, workers=2, known=known).once is None


graphs = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 9), min_size=n, max_size=n),
        st.lists(st.sets(st.integers(0, 7)), min_size=n, max_size=n),
    )
)


@given(graphs, st.integers(1, 4))
def test_a_schedule_is_within_the_bounds(drawn, workers):
    numbers, links = drawn
    seconds = {str(i): float(number) for i, number in enumerate(numbers)}
    needs = {str(i): [str(j) for j in sorted(links[i]) if j < i] for i in range(len(numbers))}
    clock, chain = schedule(needs, seconds, workers)
    work = sum(numbers)
    assert max(chain, work / workers) <= clock + 1e-9
    assert clock <= work / workers + (1 - 1 / workers) * chain + 1e-9  # Graham, 1969
    assert schedule(needs, seconds, 1)[0] == pytest.approx(work)
    assert schedule(needs, seconds, len(numbers))[0] == pytest.approx(chain)


def test_a_fork_waits_for_its_stem():
    needs = {"stem": [], "a": ["stem"], "b": ["stem"], "c": ["stem"], "end": ["a", "b", "c"]}
    seconds = {"stem": 2, "a": 3, "b": 3, "c": 3, "end": 1}
    assert schedule(needs, seconds, 2) == (2 + 3 + 3 + 1, 6)
    assert schedule(needs, seconds, 3) == schedule(needs, seconds, 9) == (6, 6)


def test_what_is_not_to_do_is_done_and_nothing_takes_no_time():
    assert schedule({"a": ["elsewhere"]}, {"a": 4}, 2) == (4, 4)
    assert schedule({}, {}, 2) == (0, 0)


@pytest.fixture
def probed(study_of):
    """``probed(METHODS, …)``: the plan of a study whose sets alone are probed."""

    def make(*methods, seconds=60.0, progress=lambda done, total: None, **more):
        plan = make_plan(study_of(*methods, **more))
        plan.__dict__["todo"] = [job for job in plan.todo if job.kind == "condense"]
        plan.probe(seconds, progress)
        return plan

    return make


def test_one_after_the_other_past_one_that_takes_its_process_down(probed):
    told = []
    plan = probed("good", "dies", "random", progress=lambda *made: told.append(made))
    assert [one.like for one in plan.known] == [plan.likes[plan.todo[i].key] for i in (0, 2)]
    assert len(plan.troubles) == 1 and "process died" in plan.troubles[0]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_when_the_time_is_up_the_rest_says_so_unless_the_work_gives_more(probed, monkeypatch):
    plan = probed("good", "random", seconds=1e-9)
    assert not plan.known and plan.troubles == [f"no time was left to probe 2 sorts of job, such as {plan.todo[0]}"]
    monkeypatch.setattr(module, "PROBE", 0.0)
    assert len(probed("good", seconds=None).troubles) == 1
    monkeypatch.setattr(Plan, "grouped", lambda self: (Group("", "", ("", ""), Estimate(30.0 / module.SHARE)),))
    monkeypatch.setattr(Plan, "asked", lambda self: self.todo)
    assert len(probed("good", seconds=None).known) == 1


def test_what_makes_no_step_is_ended(probed, tmp_path, monkeypatch):
    file = tmp_path / "hangs.py"
    file.write_text(
        '"""A method that waits."""\nimport time\nfrom decoct.core.kinds import Condenser\n\n\n'
        'class Hangs(Condenser):\n    """Waits."""\n\n    family = "coreset"\n\n'
        "    def __call__(self, inputs):\n        time.sleep(600)\n",
        "utf-8",
    )
    monkeypatch.setattr(module, "BRISK", 2.0)
    plan = probed("hangs", seconds=0.5, plugins=[str(file)])
    assert not plan.known and "made no step in 2 s" in plan.troubles[0]
