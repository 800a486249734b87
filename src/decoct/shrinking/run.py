"""``decoct shrink`` from the images to the answer: read, look, race, test, write."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import UsageError
from decoct.core.interfaces import Progress, silent
from decoct.core.seeds import seed as derive
from decoct.data.dataset import default_store
from decoct.data.reading.parallel import cores
from decoct.nets import zoo
from decoct.shrinking import export, folds, words
from decoct.shrinking.answer import Answer, Class, Measured, Point, Problem
from decoct.shrinking.asked import Asked
from decoct.shrinking.choose import METHODS, RANDOM, check, choose, count
from decoct.shrinking.contest import Contest
from decoct.shrinking.embed import Embed
from decoct.shrinking.files import How, check_out
from decoct.shrinking.learner import Learner
from decoct.shrinking.lists import Column, read_list, rows_of
from decoct.shrinking.model import PROBE, Model
from decoct.shrinking.originals import original_path
from decoct.shrinking.pool import TEST, TRAIN, VAL, Pool
from decoct.shrinking.problems import check as look_over
from decoct.shrinking.label_issues import label_issues
from decoct.shrinking.problems import groups_of, tell
try:
    from decoct.shrinking.outliers import outliers
except ImportError:
    outliers = lambda *a: ()
from decoct.shrinking.race import Lane
from decoct.shrinking.read import read_pool
from decoct.shrinking.schedule import USUAL, Schedule, schedule
from decoct.shrinking.shown import Decision, Tested, decide
from decoct.shrinking.sizes import knee, ladder, needed
from decoct.shrinking.splits import folds as split_folds
from decoct.shrinking.trainings import Fit, Look, Trainings
from decoct.shrinking.trial import Trial
from decoct.study.device import resolve
from decoct.study.workers.executors import Inline, process_pool

Rows = NDArray[np.int64]
Bar = Callable[[str], Progress]
FOLDER = "shrink"  # in the store: what was read, and trainings
DUPLICATES = ("exact_duplicates", "near_duplicates")
LABELS = 4  # folds of the trainings that judge labels, where no fold of the test did


@dataclass
class Job:
    """One call, as far as it is.

    Attributes:
        pool: the images.
        learner: what is trained.
        asked: the question.
        folds: who decides and who reports.
        seed: of every draw.
        bar: gives each stage its progress.
        tell: says a line.
        problems: of the images.
        cost: seconds by part.
        tests: from the largest size down, with the share and the methods of the folds.
    """

    pool: Pool
    learner: Learner
    asked: Asked
    folds: tuple[folds.Fold, ...]
    seed: int
    bar: Bar
    tell: Callable[[str], None]
    keep: Rows
    without: Rows
    problems: tuple[Problem, ...] = ()
    cost: dict[str, float] = field(default_factory=dict)
    plan: Schedule | None = None
    contest: Contest | None = None
    trial: Trial | None = None
    tests: list[tuple[float, list[str], Tested]] = field(default_factory=list)

    @property
    def candidates(self) -> Rows:
        """Images that the final set is chosen from."""
        return self.folds[0].train if len(self.folds) == 1 else self.pool.rows(TRAIN, VAL)


def run(
    data: Any,
    asked: Asked,
    *,
    out: Path | None,
    way: How = "copy",
    student: str | None = None,
    protocol: str | None = None,
    extractor: str | None = None,
    methods: Sequence[str] = (),
    keep: Path | None = None,
    groups: str | None = None,
    size: int | None = None,
    folds_: int = 5,
    seed: int = 0,
    workers: int | None = None,
    device: str = "auto",
    only_check: bool = False,
    force: bool = False,
    bar: Bar = lambda title: silent,
    tell: Callable[[str], None] = lambda line: None,
) -> Answer:
    """Everything that ``decoct shrink`` does; see ``decoct.shrink`` for the arguments.

    Raises:
        UsageError: options that do not go together, or images that are too few.
        DecoctError: the images cannot be read, a training fails, or files cannot be written.
    """
    begun = time.monotonic()
    names = check(methods or tuple(METHODS))
    model = Model.of(protocol, student, extractor)
    place = resolve(device)
    if model.student is not None:
        zoo.check_name(model.student)
    if only_check:
        model = replace(model, protocol="scratch", extractor=None)
    embed = Embed(model.extractor) if model.protocol == PROBE and model.extractor else None
    workers = workers or (cores() if place == "cpu" else 1)
    pool = read_pool(
        data,
        default_store() / FOLDER,
        size=size,
        groups=groups,
        embed=embed,
        workers=workers,
        progress=bar(f"reading {data if isinstance(data, str) else 'the images'}"),
    )
    if out is not None:
        check_out(pool, out, way, original_path, force)
    tell(f"{len(pool):,} images of {len(pool.class_names):,} classes{export.named(pool)}")
    problems = look_over(pool)
    for line in tell_all(problems):
        tell(line)
    cost = {"reading": time.monotonic() - begun}
    if only_check:
        return checked(pool, problems, cost, tell_all(problems))
    pool = replace(pool, groups=groups_of(problems, pool.groups))
    learner = model.learner(pool, place)
    kept = rows_of(pool, read_list(keep)) if keep is not None else np.empty(0, np.int64)
    job = Job(
        pool,
        learner,
        asked,
        folds.plan(pool, folds_, seed),
        seed,
        bar,
        tell,
        kept,
        copies(pool, problems, kept),
        problems,
        cost,
    )
    inline = workers == 1
    make = (lambda number: Inline()) if inline else (lambda number: process_pool(number, 1))
    stopped = ""
    with Trainings(pool, learner, pool.folder / "trainings", make, workers) as trainings:
        try:
            contest(job, trainings, names, begun)
            test(job)
        except KeyboardInterrupt:
            stopped = "stopped"
        return finish(job, trainings, out, way, force, stopped)


def tell_all(problems: Sequence[Problem]) -> tuple[str, ...]:
    """What is wrong with the images, in a few lines."""
    return tuple(tell(problems))


def copies(pool: Pool, problems: Sequence[Problem], keep: Rows) -> Rows:
    """Images of which another one stays: all but the first of each group of duplicates; none that is to be kept."""
    own = [[row for row in each.rows if pool.split[row] != TEST] for each in problems if each.kind in DUPLICATES]
    return np.setdiff1d(np.array([row for rows in own for row in rows[1:]], np.int64), keep)


def checked(pool: Pool, problems: tuple[Problem, ...], cost: dict[str, float], said: tuple[str, ...]) -> Answer:
    """The answer of ``--check``."""
    return Answer(
        said=said or ("Nothing is found to be wrong with the images.",),
        source=pool.source,
        learner="",
        candidates=len(pool.rows(TRAIN, VAL)),
        asked={"check": True},
        decided="checked",
        method=None,
        images=None,
        fraction=None,
        full=None,
        small=None,
        loss=None,
        smallest_margin=None,
        images_needed=None,
        random_needed=None,
        points=(),
        classes=(),
        problems=problems,
        cost=cost,
        test={},
    )


def contest(job: Job, trainings: Trainings, names: tuple[str, ...], begun: float) -> None:
    """The race: what fits the time, then one look after the other while there is time."""
    start = time.monotonic()
    shares = sizes_of(job)
    trainings.told = job.bar("a first training")
    contest = Contest(trainings, job.folds, shares, names, (2,), job.seed, job.keep, job.without)
    contest.prepare()
    minutes = USUAL if job.asked.minutes is None else job.asked.minutes
    left = 60 * minutes - (time.monotonic() - begun)
    typical = min(job.folds, key=lambda fold: len(fold.train))
    fixed = not job.learner.stochastic
    job.plan = plan = schedule(
        shares,
        names,
        len(job.folds),
        (len(typical.race), len(typical.train)),
        lambda n: trainings.seconds(n) or 0.0,
        trainings.workers,
        left,
        fixed,
    )
    job.contest = contest = replace_contest(contest, plan)
    job.tell(
        f"{job.learner.title}: {len(plan.methods)} methods race at {len(plan.raced)} sizes"
        f"{f' in each of {len(job.folds)} folds' if len(job.folds) > 1 else ''}, about {plan.seconds / 60:.0f} min"
    )
    contest.line_up()
    trainings.told = job.bar("all images")
    contest.begin()
    job.tell(f"all images: {words.percent(contest.full_mean())} on held-out train images")
    number = 0
    while asks := contest.asks():
        testing = plan.seconds / 2
        if number and contest.work(asks) / trainings.workers > left - (time.monotonic() - start) - testing:
            break
        trainings.told = job.bar(f"race, look {number + 1}")
        contest.look(asks)
        number += 1
        job.tell(so_far(job))
    job.cost["race"] = time.monotonic() - start


def replace_contest(contest: Contest, plan: Schedule) -> Contest:
    """The contest of a schedule, with what methods choose by."""
    return replace(contest, shares=plan.raced, methods=plan.methods, looks=plan.looks)


def sizes_of(job: Job) -> tuple[float, ...]:
    """Shares of the candidates that are tried, rising: the one that was asked for, or the ladder."""
    n = len(job.candidates)
    if job.asked.fraction is not None:
        return (job.asked.fraction,)
    if job.asked.images is not None:
        if job.asked.images >= n:
            raise UsageError(f"--images {job.asked.images:,}: there are {n:,} images to choose from, so ask for fewer")
        return (job.asked.images / n,)
    classes = sum(number > 0 for number in job.pool.counts(job.candidates))
    found = [size / n for size in ladder(n, classes) if size >= len(job.keep)]
    return tuple(found)


def so_far(job: Job) -> str:
    """Where the race is: the best method at each size, and the loss so far."""
    assert job.contest is not None
    curve = job.contest.curve()
    full, parts = curve[max(curve)], []
    for share, methods in job.contest.choices(job.contest.shares).items():
        best = Counter(methods).most_common(1)[0][0]
        gained = f"{100 * (curve[round(share * max(curve))] - full):+.1f}".replace("-", "−")
        parts.append(f"{100 * share:.0f} %: {best} {gained}")
    return "so far, points against all images: " + "; ".join(parts)


def test(job: Job) -> None:
    """Open the test: all images, then the sets from the largest size down, until one is not shown."""
    assert job.contest is not None and job.plan is not None
    start, trainings = time.monotonic(), job.contest.trainings
    if job.asked.within is not None or job.asked.worst is not None:
        opened: tuple[float, ...] = job.plan.tested
    elif len(job.plan.tested) == 1:
        opened = job.plan.tested
    else:
        curve = job.contest.curve()
        bend = knee(curve)
        most = max(curve)
        opened = (min(job.plan.raced, key=lambda share: abs(round(share * most) - (bend or most))),)
    choices = job.contest.choices(opened)
    trial = job.trial = Trial(trainings, job.folds, job.plan.students, job.seed, job.keep, job.without)
    trainings.told = job.bar("test: all images")
    trial.open()
    trial.prepare([[methods[i] for methods in choices.values()] for i in range(len(job.folds))])
    for share in opened:
        trainings.told = job.bar(f"test: {100 * share:.0f} % of the images")
        found = trial.test(share, choices[share], job.asked)
        job.tests.append((share, choices[share], found))
        job.tell(
            f"test: {found.size:,} images {words.interval(found.small)}, all {words.interval(found.full)}, loss "
            f"{100 * found.loss.mean:.1f}, {100 * found.loss.hi:.1f} at most"
        )
        if found.shown is False:
            break
    job.cost["test"] = time.monotonic() - start


def finish(job: Job, trainings: Trainings, out: Path | None, way: How, force: bool, stopped: str) -> Answer:
    """Choose the final set, judge labels, and write what was found."""
    pool, asked = job.pool, job.asked
    margin = words.points(asked.within) if asked.within is not None else ""
    if asked.within is not None and asked.relative:
        margin = f"{100 * asked.within:g} % of the accuracy"
    elif asked.within is None and asked.worst is not None:
        margin = f"{words.points(asked.worst)} in every class"
    said: list[str] = []
    decision: Decision | None = None
    share, method, size, decided = None, None, None, "unfinished"
    n = len(job.candidates)
    if job.tests and not stopped:
        if job.tests[0][2].shown is None:
            share, methods, size = job.tests[0]
            decided = "asked_size" if asked.images or asked.fraction else "curve"
            method = vote(job, share, methods)
            said.append(words.sized(size, method, n))
        else:
            decision = decide([each for _, _, each in job.tests])
            decided = decision.decided
            share, methods, size = next(each for each in job.tests if each[2] is decision.tested)
            method = vote(job, share, methods)
            if decided == "shown":
                said.append(words.named(size, method, n, margin))
                last = job.tests[-1][2]
                if last is not size:
                    said.append(words.below(last, margin, n))
            else:
                said.append(words.nothing(decision, method, n, margin))
        if decided != "not_decidable":
            said.append(words.closest(size))
    elif job.contest is not None and job.contest.full:
        share, method = best_so_far(job)
        if share is not None and method is not None:
            decided = "unfinished"
            said.append(
                f"{stopped.capitalize()} before the test was over. On held-out train images the best so far is "
                f"{words.part(count(share, job.candidates, pool, job.without), n)}, {words.SPELT[method]}."
            )
    gives = decided in ("shown", "asked_size", "curve", "unfinished") and share is not None and method is not None
    rows = np.empty(0, np.int64)
    random_needed = None
    if gives and not stopped:
        assert share is not None and method is not None and size is not None
        rows = final(job, trainings, share, method)
        random_needed = equal_random(job, share)
        said += [words.needed(random_needed, method), words.loses(classes_of(job, size, rows))]
        said.append(cost_line(job, trainings, method, len(rows), n))
    elif gives:
        assert share is not None and method is not None
        rows = after_stop(job, share, method)
    found, columns = ((), ()) if stopped else judged(job, trainings)
    problems = job.problems + found
    answer = Answer(
        said=tuple(line for line in said if line) or (f"{stopped.capitalize()} before anything was found.",),
        source=pool.source,
        learner=job.learner.title,
        candidates=n,
        asked=asked.to_json(),
        decided=decided,
        method=method if gives else None,
        images=len(rows) if gives else None,
        fraction=len(rows) / n if gives else None,
        full=size.full if size else None,
        small=size.small if size and gives else None,
        loss=size.loss if size else None,
        smallest_margin=size.smallest_margin if size else None,
        images_needed=decision.images_needed if decision else None,
        random_needed=random_needed,
        points=points(job),
        classes=classes_of(job, size, rows) if size is not None and gives else (),
        problems=problems,
        cost=job.cost,
        test={
            "by": "folder" if len(job.folds) == 1 else "folds",
            "folds": len(job.folds),
            "images": sum(len(fold.test) for fold in job.folds),
            "students": job.plan.students if job.plan else 0,
        },
        rows=tuple(rows.tolist()),
        unfinished=stopped,
    )
    if out is not None:
        answer = export.write(pool, answer, job.keep, columns, out, way, force, job.bar)
    return answer


def vote(job: Job, share: float, methods: Sequence[str]) -> str:
    """The method of the final set: the one that most folds chose; of equals random, then the first."""
    votes = Counter(methods)
    return max(dict.fromkeys(methods), key=lambda name: (votes[name], name == RANDOM))


def final(job: Job, trainings: Trainings, share: float, method: str) -> Rows:
    """The set that was tested; after folds, one of all images by the method that most of them chose."""
    assert job.trial is not None
    if len(job.folds) == 1:
        return job.trial.sets[0, share, 0]
    material = None
    if method != RANDOM:
        trainings.told = job.bar("the final set")
        material = trainings.materials({0: Look(job.candidates, derive(job.seed, "look", "final"))})[0]
    n = count(share, job.candidates, job.pool, job.without)
    return choose(
        method, job.pool, job.candidates, n, material, derive(job.seed, "set", "final"), job.keep, job.without
    )


def after_stop(job: Job, share: float, method: str) -> Rows:
    """A set of the candidates without another training: of the first race's where the method chooses by one."""
    assert job.contest is not None
    if method == RANDOM:
        n = count(share, job.candidates, job.pool, job.without)
        return choose(
            RANDOM, job.pool, job.candidates, n, None, derive(job.seed, "set", "final"), job.keep, job.without
        )
    return job.contest.chosen(job.folds[0], job.contest.shares.index(share), method, 0)


def best_so_far(job: Job) -> tuple[float | None, str | None]:
    """By the race alone: the smallest size whose loss is within what was asked, or the knee's; None before a look."""
    contest = job.contest
    if contest is None or not any(len(lane.correct) for lane in contest.lanes[0][0].values()):
        return None, None
    curve = contest.curve()
    most = max(curve)
    margin = job.asked.margin(curve[most])
    choices = contest.choices(contest.shares)
    by_share = {share: curve[round(share * most)] for share in contest.shares}
    if margin is not None:
        inside = [share for share, mean in by_share.items() if curve[most] - mean <= margin]
        share = min(inside, default=contest.shares[-1])
    else:
        bend = knee(curve) or most
        share = min(contest.shares, key=lambda each: abs(round(each * most) - bend))
    return share, vote(job, share, choices[share])


def equal_random(job: Job, share: float) -> tuple[float, float, float] | None:
    """How many random images reach what the chosen set does, by the race; None where it was not raced at this size."""
    from decoct.shrinking.shown import Outcome

    contest = job.contest
    assert contest is not None
    place = max((p for p, raced in enumerate(contest.shares) if raced <= share + 1e-9), default=None)
    if place is None or contest.shares[place] < share - 1e-9:
        return None
    choices = contest.choices([share])[share]
    if set(choices) == {RANDOM}:
        return None
    curve: dict[int, list[Outcome]] = {}
    n = len(job.candidates)

    def paired(chosen: Lane, other: Lane) -> Outcome:
        rows = min(len(chosen.correct) if not chosen.fixed else 10**6, len(other.correct) if not other.fixed else 10**6)
        rows = 1 if rows == 10**6 else rows
        return Outcome(chosen.rows(rows), other.rows(rows), fixed=chosen.fixed and other.fixed)

    for at, other in enumerate(contest.shares):
        curve[round(other * n)] = [
            paired(contest.lanes[fold.number][place][name], contest.lanes[fold.number][at][RANDOM])
            for fold, name in zip(job.folds, choices, strict=True)
        ]
    fixed = not job.learner.stochastic
    curve[n] = [
        paired(contest.lanes[fold.number][place][name], Lane(contest.full[fold.number], fixed))
        for fold, name in zip(job.folds, choices, strict=True)
    ]
    if any(not o.fixed and len(o.full) < 2 for each in curve.values() for o in each):
        return None
    return needed(curve)


def classes_of(job: Job, size: Tested, rows: Rows) -> tuple[Class, ...]:
    """What each class gives and loses."""
    there, kept = job.pool.counts(job.candidates), job.pool.counts(rows)
    return tuple(
        Class(each.name, there[c], kept[c], each.full, each.small, each.bound) for c, each in enumerate(size.classes)
    )


def cost_line(job: Job, trainings: Trainings, method: str, images: int, n: int) -> str:
    """What choosing took, in seconds of one core, and after how many trainings it pays."""
    if method == RANDOM:
        return ""
    whole, small = trainings.seconds(n), trainings.seconds(images)
    if whole is None or small is None:  # all was read from earlier trainings
        return ""
    job.cost |= {"choosing": whole, "training_all": whole, "training_set": small}
    job.cost["pays_after"] = whole / (whole - small) if whole > small else np.inf
    return words.paying(whole, whole - small, 1.0)


def judged(job: Job, trainings: Trainings) -> tuple[tuple[Problem, ...], tuple[Column, ...]]:
    """Labels that models which did not see them contradict, and outliers; and what those models say of each label."""
    pool, rows = job.pool, job.candidates
    if job.trial is not None and len(job.folds) > 1 and len(job.trial.full) == len(job.folds):
        rows = np.concatenate([fold.test for fold in job.folds])
        said = np.concatenate([job.trial.full[fold.number].mean(0) for fold in job.folds])
    else:
        parts = split_folds(pool, rows, LABELS, derive(job.seed, "labels"))
        trainings.told = job.bar("judging labels")
        wanted = {
            i: Fit(np.setdiff1d(rows, part), part, derive(job.seed, "labels", i), whole=True)
            for i, part in enumerate(parts)
            if len(part)
        }
        found = trainings.fits(wanted)
        rows = np.concatenate([wanted[i].held for i in wanted])
        said = np.concatenate([found[i] for i in wanted])
    order = np.argsort(rows)
    rows, said = rows[order], said[order]
    features = pool.features[rows] if pool.features is not None else None
    own = np.full(len(pool), np.nan)
    own[rows] = said[np.arange(len(rows)), pool.labels[rows]]
    column = Column("probability of the label", "higher is likelier right", own)
    return label_issues(pool, rows, said) + outliers(pool, rows, features), (column,)


def points(job: Job) -> tuple[Point, ...]:
    """All that was measured, for the chart and the table."""
    found: list[Point] = []
    n, contest = len(job.candidates), job.contest
    if contest is not None and contest.lanes:
        standing = contest.standings()
        for place, share in enumerate(contest.shares):
            for name in contest.methods:
                lanes = [contest.lanes[fold.number][place].get(name) for fold in job.folds]
                had = [lane for lane in lanes if lane is not None and len(lane.correct)]
                if not had:
                    continue
                stands = [standing[fold.number][place] for fold in job.folds]
                status = (
                    "chosen"
                    if vote(job, share, [each.chosen for each in stands]) == name
                    else "dropped"
                    if all(name in each.dropped for each in stands)
                    else "racing"
                )
                found.append(
                    Point(name, count(share, job.candidates, job.pool, job.without), share, over(had), "race", status)
                )
    for share, methods, size in job.tests:
        status = "shown" if size.shown else "not shown" if size.shown is False else "chosen"
        found.append(Point(vote(job, share, methods), size.size, size.size / n, size.small, "test", status, size.loss))
    return tuple(found)


def over(lanes: Sequence[Lane]) -> Measured:
    """A method's accuracy over folds, with its interval."""
    from decoct.shrinking.expected import expected

    fixed = all(lane.fixed for lane in lanes)
    if not fixed and min(len(lane.correct) for lane in lanes) < 2:
        weights = [lane.correct.shape[1] for lane in lanes]
        mean = float(np.average([lane.correct.mean() for lane in lanes], weights=weights))
        return Measured(mean, float("nan"), float("nan"), 1, sum(weights))
    return expected([lane.correct for lane in lanes], False, [lane.fixed for lane in lanes]).measured()
