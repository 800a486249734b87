"""Labels that models which did not see an image contradict, and images unlike the others of their class."""

import numpy as np

from decoct.core.seeds import seed as derive
from decoct.shrinking.answer import Problem
from decoct.shrinking.faults.label_issues import label_issues
from decoct.shrinking.faults.outliers import outliers
from decoct.shrinking.job import Job
from decoct.shrinking.reading.splits import folds as split_folds
from decoct.shrinking.trainings import Fit, Trainings
from decoct.shrinking.written.lists import Column

LABELS = 4  # folds of the trainings that judge labels, where no fold of the test did


def foretold(job: Job, trainings: Trainings) -> float:
    """Seconds that trainings for the labels alone take, beside those of the test; before any training 0."""
    if len(job.folds) > 1:
        return 0.0
    rows = round(len(job.candidates) * (1 - 1 / LABELS))
    return LABELS * (trainings.seconds(rows) or 0.0) / trainings.workers


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
