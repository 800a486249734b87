"""List scheduling: closed forms, a naive clock that ticks, and Graham's bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.run.planning.schedule import schedule


def naive(needs, seconds, workers):
    """Whole seconds tick by; jobs in order of name where several became ready at once."""
    left, done, running, ready, now = dict(seconds), set(), [], [], 0
    waiting = list(needs)
    while len(done) < len(needs):
        ready += [job for job in waiting if set(needs[job]) <= done]
        waiting = [job for job in waiting if job not in ready]
        while ready and len(running) < workers:
            running.append(ready.pop(0))
        now += 1
        for job in list(running):
            left[job] -= 1
            if left[job] == 0:
                running.remove(job)
                done.add(job)
    return now


graphs = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 9), min_size=n, max_size=n),
        st.lists(st.sets(st.integers(0, 7)), min_size=n, max_size=n),
    )
)


@given(graphs, st.integers(1, 4))
def test_within_the_bounds(drawn, workers):
    numbers, links = drawn
    seconds = {str(i): float(number) for i, number in enumerate(numbers)}
    needs = {str(i): [str(j) for j in sorted(links[i]) if j < i] for i in range(len(numbers))}
    found = schedule(needs, seconds, workers)
    assert found.work == sum(numbers)
    assert max(found.critical, found.work / workers) <= found.clock + 1e-9
    assert found.clock <= found.work / workers + (1 - 1 / workers) * found.critical + 1e-9  # Graham, 1969
    assert schedule(needs, seconds, 1).clock == pytest.approx(found.work)
    assert schedule(needs, seconds, len(numbers)).clock == pytest.approx(found.critical)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 3))
def test_as_a_clock_that_ticks_where_nothing_waits(numbers, workers):
    seconds = {str(i): number for i, number in enumerate(numbers)}
    needs = {job: [] for job in seconds}
    assert schedule(needs, seconds, workers).clock == naive(needs, seconds, workers)


def test_a_fork_waits_for_its_stem():
    needs = {"stem": [], "a": ["stem"], "b": ["stem"], "c": ["stem"], "end": ["a", "b", "c"]}
    seconds = {"stem": 2, "a": 3, "b": 3, "c": 3, "end": 1}
    assert schedule(needs, seconds, 2).clock == naive(needs, seconds, 2) == 2 + 3 + 3 + 1
    assert schedule(needs, seconds, 3).clock == schedule(needs, seconds, 9).critical == 6


def test_what_is_not_to_do_is_done_and_nothing_takes_no_time():
    assert schedule({"a": ["elsewhere"]}, {"a": 4}, 2).clock == 4
    assert schedule({}, {}, 2).clock == 0


def test_each_worker_takes_longer_over_its_first_job_of_some():
    seconds = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0, "e": 9.0}
    needs = {job: [] for job in seconds} | {"e": ["a"]}
    assert schedule(needs, seconds, 1, {"b", "c", "d"}, 10.0).clock == 13 + 10
    found = schedule(needs, seconds, 2, {"b", "c", "d"}, 10.0)
    assert found.work == 13 + 2 * 10
    assert found.clock == 1 + 11 + 9  # c enters when a ends, at 1, until 12; d when b ends, at 11; then e
    assert schedule(needs, seconds, 2, {"b"}, 10.0).work == 13 + 10
    assert schedule(needs, seconds, 9, {"b", "c", "d"}, 10.0).clock == 11 == found.critical


@given(graphs, st.integers(1, 4), st.sets(st.integers(0, 7)))
def test_what_is_worked_out_once_is_between_nothing_and_all_the_time(drawn, workers, which):
    numbers, _ = drawn
    seconds = {str(i): float(number) for i, number in enumerate(numbers)}
    needs, some = {job: [] for job in seconds}, {str(i) for i in which} & seconds.keys()
    without, found = schedule(needs, seconds, workers), schedule(needs, seconds, workers, some, 2.5)
    always = schedule(needs, {job: s + 2.5 * (job in some) for job, s in seconds.items()}, workers)
    assert without.work <= found.work <= always.work
    assert found.work == without.work + 2.5 * round((found.work - without.work) / 2.5)
    assert found.work - without.work <= 2.5 * min(workers, len(some))
