"""Plans: the jobs of the run itself, estimates where there is something to take them from, and nothing written."""

import json
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.core.record import MEASURED
from decoct.core.spec import digest
from decoct.study.estimate import plan as module
from decoct.study.estimate.estimates import Estimate
from decoct.study.estimate.plan import PLAN, Group, Plan, make_plan, schedule
from decoct.study.jobs import Job
from decoct.study.store.store import Store


@pytest.fixture
def planned(digits):
    """``planned(STUDY, …)``: its plan."""
    return lambda study, **how: make_plan(study, digits, **how)


def kinds(plan):
    return {kind["name"]: kind for kind in plan.kinds}


def jobs_by_kind(out):
    found = {}
    for job in json.loads((out / "run.json").read_text())["jobs"]:
        found.setdefault(job["kind"], []).append(job["key"])
    return found


def test_without_results_or_probes_nothing_is_made_up(tiny, finished, planned):
    plan = planned(tiny)
    assert {name: kind["jobs"] for name, kind in kinds(plan).items()} == {
        kind: len(keys) for kind, keys in jobs_by_kind(finished).items()
    }
    assert (plan.clock, plan.unknown) == (0.0, len(plan.jobs))
    assert all(row["seconds"] == 0 and row["sources"] == [] for row in plan.kinds)


def test_a_study_that_is_done_has_nothing_to_do(tiny, finished, planned):
    plan = planned(tiny, store=Store(finished / "store")).probed(60.0)
    assert plan.groups == [] and plan.clock == 0 and plan.troubles == []
    assert all(row["todo"] == 0 and row["jobs"] for row in plan.kinds)


def test_from_another_run_or_its_store(tiny, finished, planned):
    """Medians of one are what it took, so that the sum is what the run took."""
    plan = planned(tiny, others=[finished], workers=2)
    assert plan.unknown == planned(tiny, others=[finished / "store"]).unknown == 0 and plan.clock > 0
    for name, keys in jobs_by_kind(finished).items():
        store = Store(finished / "store")
        took = sum(json.loads((store.path(name, key) / MEASURED).read_text())["cpu_seconds"] for key in keys)
        if len(keys) == len([group for group in plan.groups if group.kind == name]) and name not in module.MEASURING:
            assert kinds(plan)[name]["cpu_seconds"] == pytest.approx(took)
        assert kinds(plan)[name]["sources"] == ["earlier"]


def test_another_seed_is_as_long_and_none_of_it_is_done(tiny, finished, planned):
    plan = planned(tiny.model_copy(update={"seed": 7}), store=Store(finished / "store"))
    assert plan.unknown == 0 and len(plan.todo) == len(plan.jobs)


def test_half_a_run_counts_what_is_there(tiny, finished, tmp_path, planned):
    half = shutil.copytree(finished, tmp_path / "half")
    shutil.rmtree(half / "store" / "train")
    plan = planned(tiny, store=Store(half / "store"))
    assert {row["name"] for row in plan.kinds if row["todo"]} == {"train"}
    assert kinds(plan)["train"]["unknown"] == kinds(plan)["train"]["jobs"]


def test_probes_tell_what_no_result_tells(study_of, planned):
    told = []
    plan = planned(study_of("random", "raises", replicates=2)).probed(60.0, lambda *made: told.append(made))
    each = {group.example.split(" · ")[1]: group.each for group in plan.groups if group.kind == "condense"}
    assert each["method random"].source == "probe" and each["method random"].seconds > 0
    assert each["method raises"].seconds is None
    assert len(plan.troubles) == 1 and "no luck" in plan.troubles[0]
    assert kinds(plan)["train"]["unknown"] == 0 and kinds(plan)["train"]["overhead"] > 0
    assert told[0] == (0, told[0][1]) and told[-1] == (told[0][1],) * 2


def test_a_smaller_study_by_the_same_estimates(tiny, finished, planned):
    plan = planned(tiny, others=[finished])
    fewer = replace(plan, study=tiny.model_copy(update={"condensers": tiny.condensers[:2]}))
    assert 0 < fewer.clock < plan.clock and fewer.unknown == 0


def test_a_file_that_is_no_plan_is_not_replaced(tiny, finished, tmp_path, planned):
    plan = planned(tiny, others=[finished])
    (tmp_path / PLAN).write_text('{"name": "mine"}')
    with pytest.raises(UsageError, match="which decoct did not write"):
        plan.write(tmp_path)
    assert (tmp_path / PLAN).read_text() == '{"name": "mine"}'
    (tmp_path / PLAN).unlink()
    for _ in range(2):
        plan.write(tmp_path)


def test_the_file_says_all_and_fits_its_jobs_alone(tiny, finished, tmp_path, planned):
    plan = planned(tiny, others=[finished])
    file = plan.write(tmp_path / "new" / "run")
    assert file.name == PLAN and [path.name for path in file.parent.iterdir()] == [PLAN]
    said = json.loads(file.read_text())
    assert said == json.loads(json.dumps(plan.to_json()))
    assert sorted(key for group in said["groups"] for key in group["keys"]) == sorted(plan.jobs)
    assert said["fits"] == digest(sorted(plan.jobs))
    assert planned(tiny.model_copy(update={"seed": 1})).to_json()["fits"] != said["fits"]


@pytest.fixture
def plan_of(digits, tiny):
    """A plan of so many students, of which groups are to do, each with its estimate."""

    def make(jobs, *groups, workers=1):
        plan = Plan(tiny, digits, (), None, workers, "cpu", {}, [])
        all_ = [Job(kind="train", keyed={"number": i}, config={}, data="") for i in range(jobs)]
        left = iter(all_)
        made = [Group("train", "…", tuple(next(left).key for _ in range(n)), each) for n, each in groups]
        plan.__dict__["jobs"], plan.__dict__["groups"] = {job.key: job for job in all_}, tuple(made)
        plan.__dict__["todo"] = all_[: sum(n for n, _ in groups)]
        return plan

    return make


def test_groups_add_up_by_their_jobs(plan_of):
    known, probed = Estimate("earlier", 10.0, 9.0, 1.0), Estimate("probe", 4.0, 3.0, 0.5)
    plan = plan_of(12, (3, known), (2, probed), (4, Estimate()))
    (row,) = plan.kinds
    assert (row["jobs"], row["todo"], row["unknown"]) == (12, 9, 4)
    assert (row["seconds"], row["cpu_seconds"], row["overhead"]) == (38.0, 33.0, 4.0)
    assert row["sources"] == ["earlier", "probe"]
    assert (plan.clock, plan.unknown) == (38.0 + 4.0, 4)


def test_measures_bear_what_each_worker_works_out_once(tiny, finished, planned):
    plan = planned(tiny, others=[finished])
    own = {like: [took._replace(once=20.0, cpu_once=15.0) for took in known] for like, known in plan.known.items()}
    none = {like: [took._replace(once=0.0, cpu_once=0.0) for took in known] for like, known in plan.known.items()}
    measures = sum(kinds(plan)[kind]["todo"] for kind in module.MEASURING)
    for workers, entered in ((2, 2), (measures + 5, measures)):
        with_, without = (replace(plan, workers=workers, known=known).to_json() for known in (own, none))
        assert with_["seconds"] == pytest.approx(without["seconds"] + entered * 20)
        assert with_["cpu_seconds"] == pytest.approx(without["cpu_seconds"] + entered * 15)


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
    clock, chain, work = schedule(needs, seconds, workers), schedule(needs, seconds, len(numbers)), sum(numbers)
    assert max(chain, work / workers) <= clock + 1e-9
    assert clock <= work / workers + (1 - 1 / workers) * chain + 1e-9  # Graham, 1969
    assert schedule(needs, seconds, 1) == pytest.approx(work)


def test_a_fork_waits_for_its_stem():
    needs = {"stem": [], "a": ["stem"], "b": ["stem"], "c": ["stem"], "end": ["a", "b", "c"]}
    seconds = {"stem": 2, "a": 3, "b": 3, "c": 3, "end": 1}
    assert schedule(needs, seconds, 2) == 2 + 3 + 3 + 1
    assert schedule(needs, seconds, 3) == schedule(needs, seconds, 9) == 6


def test_what_is_not_to_do_is_done_and_nothing_takes_no_time():
    assert schedule({"a": ["elsewhere"]}, {"a": 4}, 2) == 4
    assert schedule({}, {}, 2) == 0


def test_jobs_are_probed_once_a_group_and_measures_last(tiny, planned, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "process_pool", lambda *_: module.Inline())
    monkeypatch.setattr(module, "probe", lambda *given: calls.append(given[2]) or Estimate("probe", 1.0, 1.0, 1.0))
    plan = planned(tiny)
    probed = plan.probed()
    assert probed.unknown == 0 and len(plan.groups) == len(calls) == len({job.key for job in calls})
    first = [job.kind for job in calls]
    last = [kind in module.MEASURING for kind in first]
    assert last == sorted(last) and first.index("teacher") < first.index("condense") < first.index("train")
    assert not probed.probed().troubles and len(calls) == len(plan.groups)


@pytest.fixture
def probed(study_of, planned):
    """``probed(METHODS, …)``: the plan of a study whose sets alone are probed."""

    def make(*methods, seconds=60.0, progress=lambda done, total: None, **more):
        plan = planned(study_of(*methods, **more))
        plan.__dict__["todo"] = [job for job in plan.todo if job.kind == "condense"]
        return plan.probed(seconds, progress)

    return make


def test_one_after_the_other_past_one_that_takes_its_process_down(probed):
    told = []
    plan = probed("good", "dies", "random", progress=lambda *made: told.append(made))
    known = {group.example.split(" · ")[1] for group in plan.groups if group.each.source}
    assert known == {"method good", "method random"}
    assert len(plan.troubles) == 1 and "process died" in plan.troubles[0]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_when_the_time_is_up_the_rest_says_so_unless_nobody_set_one(probed, monkeypatch):
    plan = probed("good", "random", seconds=1e-9)
    (trouble,) = plan.troubles
    assert not plan.known and trouble.startswith("no time was left to probe 2 kinds of job, such as condense")
    monkeypatch.setattr(module, "PROBE", 0.0)
    plan = probed("good", seconds=None)
    assert len(plan.known) == 1 and not plan.troubles


def test_what_makes_no_step_is_ended(probed, tmp_path, monkeypatch):
    file = tmp_path / "hangs.py"
    file.write_text(
        '"""A method that waits."""\nimport time\nfrom decoct.core.interfaces import Condenser\n\n\n'
        'class Hangs(Condenser):\n    """Waits."""\n\n    family = "coreset"\n\n'
        "    def __call__(self, inputs):\n        time.sleep(600)\n",
        "utf-8",
    )
    monkeypatch.setattr(module, "BRISK", 2.0)
    plan = probed("hangs", seconds=0.5, plugins=[str(file)])
    assert not plan.known and "made no step in 2 s" in plan.troubles[0]
