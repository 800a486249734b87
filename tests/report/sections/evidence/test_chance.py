"""Both intervals of every difference to random, as the verdicts have them; nothing where nothing can be said."""

import numpy as np
import pytest
from tests.report.conftest import view

from decoct.report import wording
from decoct.report.read.frame import read
from decoct.report.sections.evidence import chance
from decoct.report.stats.comparisons import WORDS
from decoct.report.summary import summarise


def shown(builder):
    folder, rng = builder.build(), np.random.default_rng(0)
    run = read(folder).manifest
    for job in run.finished("train"):
        right = rng.random(builder.test_images) < run.load(job, "result.json")["accuracy"]
        np.save(run.cell(job) / "correct.npy", np.packbits(right))
    summary = summarise(read(folder))
    return summary, chance.show(view(summary), summary.verdicts)


def test_every_method_has_a_row_in_every_setting(builder):
    summary, page = shown(builder)
    told = [v for v in summary.verdicts if v.random]
    assert page.count("<tr>") == len(told) + len(summary.settings)
    for v in told:
        assert wording.bounds(v.random.lo, v.random.hi) in page
        assert f"{100 * v.random.detectable:.2f}" in page
        assert f"{100 * v.components.together:.2f}" in page
        i = v.random.over_images
        assert f"{wording.bounds(i.lo, i.hi)}, n = {i.n:,}" in page and i.n == builder.test_images
        assert f"[{100 * v.ahead.lo:.0f}, {100 * v.ahead.hi:.0f}], n = {v.ahead.n}" in page
        i = v.random.over_sets
        assert f"{wording.bounds(i.lo, i.hi)}, n = 5" in page
    for word in WORDS:
        assert page.count(f'class="chip {word.replace(" ", "-")}"') == sum(v.random.verdict == word for v in told)
    assert "nan" not in page


def test_with_several_students_a_set_sets_and_students_are_told_apart(builder):
    builder.train_replicates = 3
    summary, page = shown(builder)
    assert "spread, students<" in page and "spread, sets<" in page and "over both<" in page
    assert "spread, sets and students" not in page
    v = next(v for v in summary.verdicts if v.random)
    assert f"{100 * v.components.train:.2f}" in page


@pytest.mark.parametrize("change", [{"replicates": 1}, {"methods": {"herding": ("coreset", False)}}])
def test_without_two_pairs_there_is_no_section(builder, change):
    for name, value in change.items():
        setattr(builder, name, value)
    assert shown(builder)[1] == ""


def test_the_interval_over_both_holds_that_over_sets(builder):
    """Half-widths add as errors do; what sets make of single images is in both parts, and is taken off once."""
    summary, _ = shown(builder)
    for v in summary.verdicts:
        for c in v.coresets.values():
            own, sets, images = (i.hi - i.lo for i in (c.interval, c.over_sets, c.over_images))
            assert c.interval.by == "both" and sets <= own * (1 + 1e-12) <= np.hypot(sets, images) * 1.02
