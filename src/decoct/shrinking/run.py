"""``decoct shrink`` from the images to the answer: read, look, race, test, write."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from decoct.core.interfaces import silent
from decoct.data.dataset import default_store
from decoct.data.reading.parallel import cores
from decoct.shrinking import export, folds, words
from decoct.shrinking.answer import Answer, Class, Problem
from decoct.shrinking.asked import Asked
from decoct.shrinking.choose import METHODS, check
from decoct.shrinking.contest import Contest
from decoct.shrinking.distil import check as makers_of
from decoct.shrinking.faults.problems import check as look_over
from decoct.shrinking.faults.problems import groups_of, tell
from decoct.shrinking.found import classes_of, cost_of, equal_random, points
from decoct.shrinking.inference.race import vote
from decoct.shrinking.inference.shown import Tested, decide
from decoct.shrinking.inference.sizes import knee
from decoct.shrinking.job import Bar, Job, after_stop, best_so_far, copies, final, sizes_of, so_far
from decoct.shrinking.judge import foretold, judged
from decoct.shrinking.made import Set
from decoct.shrinking.making import making
from decoct.shrinking.model import PROBE, SCRATCH, Model
from decoct.shrinking.pool import TEST, TRAIN, VAL
from decoct.shrinking.reading.embed import Embed
from decoct.shrinking.reading.originals import original_path
from decoct.shrinking.reading.read import read_pool
from decoct.shrinking.reading.splits import never_held
from decoct.shrinking.schedule import USUAL, Pace, schedule
from decoct.shrinking.trainings import Trainings
from decoct.shrinking.trial import Trial
from decoct.shrinking.written.files import How, check_out
from decoct.shrinking.written.lists import read_list, rows_of
from decoct.study.store.store import open_store
from decoct.study.workers.place import Place

HERE = Place()  # one training at a time, in this process
FOLDER = "shrink"  # in the store: what was read, and trainings


def run(
    data: Any,
    asked: Asked,
    *,
    out: Path | None,
    way: str = "copy",
    student: str | None = None,
    protocol: str | None = None,
    extractor: str | None = None,
    methods: Sequence[str] = (),
    distil: Sequence[str | Mapping[str, Any]] = (),
    keep: Path | None = None,
    groups: str | None = None,
    size: int | None = None,
    parts: int | None = None,
    seed: int = 0,
    place: Place = HERE,
    only_check: bool = False,
    force: bool = False,
    bar: Bar = lambda title: silent,
    say: Callable[[str], None] = lambda line: None,
) -> Answer:
    """Everything that ``decoct shrink`` does; see ``decoct.shrink`` for the arguments.

    Raises:
        UsageError: options that do not go together, or images that are too few.
        DecoctError: the images cannot be read, a training fails, or files cannot be written.
    """
    begun = time.monotonic()
    names, makers = check(methods or tuple(METHODS)), makers_of(distil, protocol, extractor, keep)
    protocol = protocol or (SCRATCH if makers else None)
    model = Model(SCRATCH, None, None) if only_check else Model.of(protocol, student, extractor)
    pool = read_pool(
        data,
        default_store() / FOLDER,
        size=size,
        most=model.side(place.device),
        groups=groups,
        embed=Embed(model.extractor) if model.protocol == PROBE and model.extractor else None,
        workers=cores() if place.workers is None else place.workers,
        progress=bar(f"reading {data if isinstance(data, str) else 'the images'}"),
    )
    if out is not None:
        check_out(pool, out, way, original_path, force)
    say(f"{len(pool):,} images of {len(pool.class_names):,} classes{export.named(pool)}")
    for line in pool.facts["said"] if not only_check else ():
        say(line)
    problems = look_over(pool)
    said = tell(problems)
    for line in said if not only_check else ():  # a check ends with them
        say(line)
    cost = {"reading": time.monotonic() - begun}
    if only_check:
        clean = ("Nothing is found to be wrong with the images.",)
        return Answer.checked(said or clean, pool.source, len(pool.rows(TRAIN, VAL)), problems, cost)
    pool = replace(pool, groups=groups_of(problems, pool.groups))
    if alone := never_held(pool, pool.rows(TRAIN, VAL)):
        say(f"{len(alone):,} classes are one group each and never held out, such as '{alone[0]}': no race judges them")
    kept = np.empty(0, np.int64) if keep is None else rows_of(pool, read_list(keep))
    pool, parts = folds.set_aside(pool, parts, seed, kept)
    if folds.SET_ASIDE in pool.facts:
        aside = f"no test images: {len(pool.rows(TEST)):,} are set aside, and are in no set"
        say(f"{aside}; --folds {folds.FOLDS} tests all images, and takes longer")
    job = Job(
        pool=pool,
        learner=model.learner(pool, place.device),
        asked=asked,
        folds=folds.plan(pool, parts, seed),
        seed=seed,
        bar=bar,
        say=say,
        keep=kept,
        without=copies(pool, problems, kept),
        problems=problems,
        cost=cost,
    )
    store = pool.folder / "trainings"
    make = place.executors(1, open_store(str(store)), [])
    with Trainings(pool, job.learner, store, make, place.at_once, makers=makers, device=place.device) as trainings:
        try:
            contest(job, trainings, names, begun)
            test(job)
            answer, columns = finish(job, trainings)
        except KeyboardInterrupt:
            answer, columns = stopped(job), ()
        if out is not None:
            answer = export.write(pool, answer, kept, columns, out, cast(How, way), force, bar)
    return answer


def contest(job: Job, trainings: Trainings, names: tuple[str, ...], begun: float) -> None:
    """The race: what fits the time, then one look after the other while there is time."""
    start = time.monotonic()
    end = begun + 60 * (USUAL if job.asked.minutes is None else job.asked.minutes)
    shares = sizes_of(job)
    first = Contest(trainings, job.folds, shares, names, (2,), job.seed, job.keep, job.without)
    made = making(job, first, end - time.monotonic())
    trainings.told = job.bar("first students")
    job.glimpse = first.glimpse()
    job.say(so_far(job))
    trainings.told = job.bar("all images")
    first.begin()
    job.say(f"all images: {words.percent(first.full_mean())} on held-out train images")
    trainings.told = job.bar("what methods choose by")
    first.prepare()
    first.time_choosing()
    end -= (after := foretold(job, trainings))
    fewest = min(job.folds, key=lambda fold: len(fold.train))
    plan = schedule(
        shares,
        names,
        len(job.folds),
        (len(fewest.inner[0].race), len(fewest.train)),
        len(fewest.inner),
        Pace(lambda n: trainings.seconds(n) or 0.0, trainings.choosing, trainings.workers, not job.learner.stochastic),
        end - time.monotonic() - made.seconds,
    )
    job.plan = plan = made.added(plan)
    job.contest = race = made.race(first, plan)
    each = f" in each of {len(job.folds)} folds" if len(job.folds) > 1 else ""
    job.say(
        f"{job.learner.title}: {len(plan.methods)} methods race at {len(plan.raced)} sizes{each}, "
        f"about {(plan.seconds + after) / 60:.0f} min"
    )
    race.line_up()
    trainings.told = job.bar("all images")
    race.begin()
    trainings.told = job.bar("what methods choose by")
    race.prepare()
    number = 0
    while asks := race.asks():
        left = end - time.monotonic() - plan.testing
        if number and race.work(asks) / trainings.workers > left:
            break
        parts = [asks] if number else race.parts(asks)
        for part in parts[:-1]:
            trainings.told = job.bar("race, first students")
            race.look(part)
            job.say(so_far(job, whole=False))
        trainings.told = job.bar(f"race, look {number + 1}")
        race.look(parts[-1])
        number += 1
        job.say(so_far(job))
    job.cost["race"] = time.monotonic() - start


def test(job: Job) -> None:
    """Open the test: all images, then the sets from the largest size down, until one is not shown."""
    assert job.contest is not None and job.plan is not None
    start, trainings, asked = time.monotonic(), job.contest.trainings, job.asked
    opened = job.plan.tested
    if asked.within is None and asked.worst is None and len(opened) > 1:
        curve = job.contest.curve()
        bend, most = knee(curve), max(curve)
        opened = (min(opened, key=lambda share: abs(round(share * most) - (bend or most))),)
    choices = job.contest.choices(opened)
    trial = job.trial = Trial(trainings, job.folds, job.plan.students, job.seed, job.keep, job.without)
    trainings.told = job.bar("test: all images")
    trial.open()
    for share in opened:
        trainings.told = job.bar(f"test: {100 * share:.0f} % of the images")
        found = trial.test(share, choices[share], asked)
        job.tests.append((share, choices[share], found))
        job.say(
            f"test: {found.size:,} images {words.interval(found.small)}, all {words.interval(found.full)}, loss "
            f"{100 * found.loss.mean:.1f}, {100 * found.loss.hi:.1f} at most"
        )
        if found.shown is False:
            break
    job.cost["test"] = time.monotonic() - start


@dataclass(frozen=True)
class Verdict:
    """What the test decided: a set or none, and the first sentences."""

    decided: str
    share: float
    method: str
    tested: Tested
    images_needed: int | None
    said: tuple[str, ...]

    @property
    def gives(self) -> bool:
        """Whether a set is named."""
        return self.decided not in ("not_shown", "not_decidable")


def verdict(job: Job) -> Verdict:
    """The smallest size shown, or why there is none; or the size that was asked for, or the knee's."""
    n, margin = len(job.candidates), job.asked.spelt()
    if job.tests[0][2].shown is None:
        share, methods, size = job.tests[0]
        method = vote(methods)
        asked = job.asked.images is not None or job.asked.fraction is not None
        sized = (words.sized(size, method, n), words.closest(size))
        return Verdict("asked_size" if asked else "curve", share, method, size, None, sized)
    decision = decide([each for _, _, each in job.tests])
    share, methods, size = next(each for each in job.tests if each[2] is decision.tested)
    method, last = vote(methods), job.tests[-1][2]
    said: tuple[str, ...]
    if decision.decided == "shown":
        below = "" if last is size else words.below(last, vote(job.tests[-1][1]), margin, n)
        said = (words.named(size, method, n, margin), below)
    else:
        said = (words.nothing(decision, method, n, margin),)
    if decision.decided != "not_decidable":
        said += (words.closest(size),)
    return Verdict(decision.decided, share, method, size, decision.images_needed, said)


def finish(job: Job, trainings: Trainings) -> tuple[Answer, tuple[Any, ...]]:
    """The answer with its final set; labels are judged by the way, and what was found there stands in columns."""
    found = verdict(job)
    some: Set = np.empty(0, np.int64)
    said, random = list(found.said), None
    classes: tuple[Class, ...] = ()
    if found.gives:
        some = final(job, trainings, found.share, found.method)
        random = equal_random(job, found.share)
        classes = classes_of(job, found.tested, some)
        job.cost |= cost_of(job, trainings, found.method, some)
        said += [words.needed(random, found.method), words.loses(classes), words.paying(job.cost, found.method)]
    more: tuple[Problem, ...] = ()
    columns: tuple[Any, ...] = ()
    unfinished = ""
    try:
        more, columns = judged(job, trainings)
    except KeyboardInterrupt:  # the answer is known, and stays
        unfinished = "stopped before labels were judged"
    answer = job.answer(
        tuple(line for line in said if line),
        found.decided,
        some,
        found.method if found.gives else None,
        full=found.tested.full,
        small=found.tested.small if found.gives else None,
        loss=found.tested.loss,
        smallest_margin=found.tested.smallest_margin,
        images_needed=found.images_needed,
        random_needed=random,
        points=points(job),
        classes=classes,
        problems=job.problems + more,
        unfinished=unfinished,
    )
    return answer, columns


def stopped(job: Job) -> Answer:
    """The best answer so far, of the race alone."""
    share, method = best_so_far(job)
    if share is None or method is None:
        return job.answer(
            ("Stopped before anything was found.",), "unfinished", np.empty(0, np.int64), None, unfinished="stopped"
        )
    some = after_stop(job, share, method)
    best = words.a_set(len(some), method, len(job.candidates))
    said = f"Stopped before the test was over. On held-out train images the best so far is {best}."
    return job.answer((said,), "unfinished", some, method, points=points(job), unfinished="stopped")
