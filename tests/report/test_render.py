"""What stands above the doors of a page: what a reader must know before believing its answer."""

from decoct.report.read import frame
from decoct.report.render import render
from decoct.report.summary import summarise


def above(summary) -> str:
    """The page up to its first door."""
    return render(summary).split('<details class="door"')[0]


def test_settings_that_cannot_be_read_are_counted_above_the_doors_and_not_again_behind_them(builder):
    builder.truth, builder.budgets = dict.fromkeys(builder.truth, 0.02), ("ipc=1",)
    summary = summarise(frame.read(builder.build()))
    said = "3 of 3 settings are not readable and left out of every count"
    assert said in above(summary) and render(summary).count(said) == 1


def test_a_generator_that_saw_more_is_said_above_the_doors(builder):
    summary = summarise(frame.read(builder.build()))
    assert summary.cautions == () and 'role="status"' not in above(summary)
    object.__setattr__(summary, "cautions", ("The sets of <b> come from a generator",))  # a cached property
    assert "<li>The sets of &lt;b&gt; come from a generator.</li>" in above(summary)
