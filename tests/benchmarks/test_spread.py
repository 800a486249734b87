"""How a study spreads: sums and chains in closed form, and the bounds of any order for graphs that nobody chose."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.study.jobs import Job

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from spread import spread


def job(number, *inputs):
    needs = {str(at): each.key for at, each in enumerate(inputs)}
    return Job(kind="train", keyed={"n": number}, inputs=needs, config={}, data="")


@pytest.mark.parametrize(("workers", "seconds"), [(1, 84.0), (2, 48.0), (5, 24.0), (64, 12.0)])
def test_equal_jobs_fill_the_workers(workers, seconds):
    jobs = [job(n) for n in range(7)]
    took = spread(jobs, {each.key: 12.0 for each in jobs}, workers)
    assert took == pytest.approx((seconds, 84 / (workers * seconds)))


def test_a_set_waits_for_its_last_shard_and_a_student_for_its_set():
    shards = [job(n) for n in range(4)]
    made = job(9, *shards)
    student = job(10, made)
    seconds = {each.key: 10.0 for each in shards} | {shards[-1].key: 30.0, made.key: 1.0, student.key: 100.0}
    assert spread([*shards, made, student], seconds, 8).seconds == 131.0
    assert spread([*shards, made, student], seconds, 1).seconds == 161.0


@st.composite
def graphs(draw):
    jobs, seconds = [], {}
    for number in range(draw(st.integers(1, 20))):
        needs = draw(st.lists(st.sampled_from(jobs), unique_by=lambda one: one.key, max_size=3)) if jobs else []
        jobs.append(job(number, *needs))
        seconds[jobs[-1].key] = float(draw(st.integers(0, 9)))
    return jobs, seconds


@given(graph=graphs(), workers=st.integers(1, 6))
def test_no_order_is_faster_than_the_longest_chain_or_slower_than_grahams_bound(graph, workers):
    jobs, seconds = graph
    ends: dict[str, float] = {}
    for each in jobs:
        ends[each.key] = seconds[each.key] + max((ends[key] for key in each.inputs.values()), default=0.0)
    work, chain = sum(seconds.values()), max(ends.values())
    took = spread(jobs, seconds, workers)
    assert max(chain, work / workers) - 1e-9 <= took.seconds <= work / workers + chain * (1 - 1 / workers) + 1e-9
    if took.seconds:
        assert took.busy == pytest.approx(work / workers / took.seconds)
