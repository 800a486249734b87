"""Groups: every job is in one, and of each one job is probed."""

from decoct.run.expand import expand
from decoct.run.planning.estimates import Estimates, Known
from decoct.run.planning.groups import grouped, likenesses, worth_asking


def test_jobs_are_probed_once_a_group_the_largest_first(digits, tiny):
    jobs = expand(tiny, digits)
    likes = likenesses(jobs, digits, ())
    asked = worth_asking(jobs, likes, Estimates([]))
    aside = [likes[one.job.key].set_aside for one in asked]
    assert len(aside) == len(set(aside)) == len({like.set_aside for like in likes.values()})
    seen = {}
    for one in asked:
        like = likes[one.job.key]
        assert seen.setdefault(like.work, like.amount) is None or (like.amount or 0) <= seen[like.work]


def test_measures_come_after_the_others_of_the_first_round(digits, tiny):
    jobs = expand(tiny, digits)
    likes = likenesses(jobs, digits, ())
    asked = worth_asking(jobs, likes, Estimates([]))
    works = [likes[one.job.key].work for one in asked]
    first = [one.job.kind for i, one in enumerate(asked) if works.index(works[i]) == i]
    assert first.index("reference") > max(i for i, kind in enumerate(first) if kind not in ("reference", "measure"))


def test_of_students_whose_time_is_known_one_tells_what_stands_around(digits, tiny):
    jobs = expand(tiny, digits)
    likes = likenesses(jobs, digits, ())
    asked = worth_asking(jobs, likes, Estimates([Known(likes[job.key], 1.0, 1.0) for job in jobs]))
    assert [(one.job.kind, one.around) for one in asked] == [("train", True)]


def test_every_job_is_in_one_group(digits, tiny):
    jobs = expand(tiny, digits)
    groups = grouped(jobs, likenesses(jobs, digits, ()), Estimates([]))
    assert sorted(key for group in groups for key in group.keys) == sorted(job.key for job in jobs)


def test_where_operations_are_counted_the_least_of_each_work_is_enough(digits, tiny):
    jobs = expand(tiny, digits)
    likes = likenesses(jobs, digits, ())
    asked = worth_asking(jobs, likes, Estimates([]), counting=True)
    least = {}
    for like in likes.values():
        least[like.work] = min(least.get(like.work, like.amount or 0.0), like.amount or 0.0)
    assert all((likes[one.job.key].amount or 0.0) == least[likes[one.job.key].work] for one in asked)
    assert {likes[one.job.key].work for one in asked} == set(least)
