"""Every method beside every coreset: words and pairs are those of the verdicts, and what they are corrected over."""

import re

from decoct.report import wording
from decoct.report.read import frame
from decoct.report.sections.evidence.coresets import SECTION, show
from decoct.report.stats.comparisons import WORDS
from decoct.report.summary import summarise
from decoct.report.verdict import correction


def summary(builder, **changes):
    for name, value in changes.items():
        setattr(builder, name, value)
    return summarise(frame.read(builder.build()))


def grid(page):
    return page[: page.index("</table>")]


def test_a_word_for_every_method_and_setting_is_that_over_all_coresets(builder):
    found = summary(builder, noise=0.03)
    table = grid(str(show(found)))
    words = [v.against_coresets for v in found.verdicts]
    assert len(words) == 5 * 6 and len(set(words)) > 1
    for word in WORDS:
        assert table.count(f'class="chip {word.replace(" ", "-")}"') == words.count(word)
    for v in found.verdicts:
        if v.against_coresets == "worse":
            assert "than " + ", ".join(n for n, c in v.coresets.items() if c.verdict == "worse") in table
        if v.needed:
            assert f"≈ {v.needed} sets" in table


def test_every_pair_has_its_difference_interval_and_word(builder):
    found = summary(builder)
    page = str(show(found))
    for setting in found.settings:
        assert str(setting.protocol) in page
    pairs = page[page.index("Row minus column") : page.index("Every verdict as a sentence")]
    assert pairs.count("<table") == len(found.settings) == 6
    every = [c for v in found.verdicts for c in v.coresets.values()]
    assert pairs.count('class="chip') == len(every) == 6 * (2 * 3 + 3 * 2)
    assert all(wording.bounds(c.lo, c.hi) in pairs for c in every)


def test_every_verdict_is_a_sentence_and_every_methods_range_is_shown(builder):
    found = summary(builder)
    page = str(show(found))
    assert all(f"<li>{v.setting}: {line}.</li>" in page for v in found.verdicts for line in v.sentences())
    lines = found.claims.of("coresets").methods
    assert len(lines) == 2 and all(f"<li>{line}.</li>" in page for line in lines)


def test_what_words_are_corrected_over_is_said(builder):
    found = summary(builder)
    assert "all 54 comparisons" in correction(found.verdicts) and f"{correction(found.verdicts)}." in show(found)


def test_it_counts_the_words_of_distilled_sets_that_can_be_read(builder):
    found = summary(builder)
    assert {v.against_coresets for v in found.verdicts if v.family == "distillation"} == {"better", "worse"}
    assert SECTION.say(found).endswith("6 better, 6 worse")


def test_which_methods_it_is_said_of_is_named(builder):
    page = str(show(summary(builder)))
    assert "these two distillation methods (rded, sre2l) and these three coresets (random, herding, k_center)" in page


def test_without_a_coreset_there_is_no_section_and_one_replicate_has_no_word(builder):
    found = summary(builder, methods={m: builder.methods[m] for m in ("rded", "sre2l")})
    assert show(found) == "" and SECTION.say(found) == ""
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    builder.methods, builder.replicates = {m: builder.methods.get(m, ("coreset", True)) for m in ("random", "rded")}, 1
    page = str(show(summary(builder)))
    assert not re.search(r"\bnan\b|\bNone\b", page)
