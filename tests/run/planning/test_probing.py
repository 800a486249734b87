"""Many probes: within their time, in a process that may die."""

import pytest

from decoct.run.expand import expand
from decoct.run.planning.probing import Asked, probing


@pytest.fixture
def sets(digits, study_of):
    """Jobs by key, and those of the sets of some methods."""

    def make(*methods):
        jobs = {job.key: job for job in expand(study_of(*methods), digits)}
        return jobs, [job for job in jobs.values() if job.kind == "condense"]

    return make


def ask(jobs, asked, **how):
    return probing(asked, jobs, store=None, device="cpu", threads=1, **{"limit": 60.0} | how)


def test_one_after_the_other_past_one_that_takes_its_process_down(sets):
    jobs, own = sets("good", "dies", "random")
    told = []
    found = ask(jobs, map(Asked, own), progress=lambda done, total: told.append((done, total)))
    assert [sample.key for sample in found] == [job.key for job in own]
    assert [bool(sample.trouble) for sample in found] == [False, True, False]
    assert "process died" in found[1].trouble
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_when_the_time_is_up_the_rest_says_so(sets):
    jobs, own = sets("good")
    (found,) = ask(jobs, map(Asked, own), limit=0.0)
    assert "no time left" in found.trouble and found.seconds is None


def test_what_was_found_may_give_more_time_once(sets):
    jobs, own = sets("good", "random", "raises")
    asked, seen = [Asked(job) for job in own], []
    found = ask(jobs, asked, limit=0.0, more=lambda samples: seen.append(len(samples)) or 60.0)
    assert seen == [0] and not found[0].trouble and not found[1].trouble and "no luck" in found[2].trouble
    found = ask(jobs, asked, limit=0.0, more=lambda samples: seen.append(len(samples)) or 0.001)
    assert seen == [0, 0] and "no time left" in found[-1].trouble


def test_what_makes_no_step_is_ended(sets, tmp_path, digits, study_of):
    file = tmp_path / "hangs.py"
    file.write_text(
        '"""A method that waits."""\nimport time\nfrom decoct.core.kinds import Condenser\n\n\n'
        'class Hangs(Condenser):\n    """Waits."""\n\n    family = "coreset"\n\n'
        "    def __call__(self, inputs):\n        time.sleep(600)\n",
        "utf-8",
    )
    jobs = {job.key: job for job in expand(study_of("hangs", plugins=[str(file)]), digits)}
    job = next(job for job in jobs.values() if job.kind == "condense")
    students = {key: other for key, other in jobs.items() if other.kind != "train"}  # nothing to warm up with
    (found,) = ask(students, [Asked(job)], limit=0.01, patience=8.0)
    assert "made no step in 8 s" in found.trouble


def test_what_stands_around_a_student(digits, study_of):
    jobs = {job.key: job for job in expand(study_of("random"), digits)}
    job = next(job for job in jobs.values() if job.kind == "train")
    (found,) = ask(jobs, [Asked(job, around=True)])
    assert found.seconds is None and found.overhead > 0 and not found.trouble
