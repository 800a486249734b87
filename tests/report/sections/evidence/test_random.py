"""Every method beside random: the word of its verdict in every setting, each method's range, and the answer."""

import re
from collections import Counter

import pytest

from decoct.report.read import frame
from decoct.report.sections.evidence.random import SECTION, show
from decoct.report.stats.comparisons import WORDS
from decoct.report.summary import summarise


def summary(builder, **changes):
    for name, value in changes.items():
        setattr(builder, name, value)
    return summarise(frame.read(builder.build()))


def test_a_word_for_every_method_and_setting_is_that_of_its_verdict(builder):
    found = summary(builder, noise=0.03)
    page = str(show(found))
    words = [v.random.verdict for v in found.verdicts if v.random]
    assert len(words) == 4 * 6 and len(set(words)) > 1
    for word in WORDS:
        assert page.count(f'class="chip {word.replace(" ", "-")}"') == words.count(word)
    assert page.count("<tr>") == 2 + 4  # two of headings; random is not beside itself


def test_the_answer_and_every_methods_range_are_shown(builder):
    found = summary(builder)
    claim = found.claims.of("random")
    assert SECTION.say(found) == claim.answer and len(claim.methods) == 2
    page = str(show(found))
    assert all(f"<li>{line}.</li>" in page for line in claim.methods)


def test_what_the_words_hold_after_and_within_is_said(builder):
    page = str(show(summary(builder)))
    assert "(within 1 point)" in page and "Holm" in page and "does not mean equal" in page
    assert "† One set" in page
    builder.folder, builder.jobs = builder.folder.with_name("again"), []
    builder.methods = {m: (family, True) for m, (family, _) in builder.methods.items()}
    assert "†" not in str(show(summary(builder)))


@pytest.mark.parametrize("methods", [("herding", "rded"), ("random",)])
def test_without_random_or_another_there_are_no_words(builder, methods):
    found = summary(builder, methods={m: builder.methods[m] for m in methods})
    page = str(show(found))
    assert "chip" not in page and not re.search(r"\bnan\b|\bNone\b", page)
    missing = "This study has no random selection: nothing can be said"
    assert SECTION.say(found) == (missing if "rded" in methods else "")


def test_coresets_alone_stand_beside_random(builder):
    found = summary(builder, methods={m: builder.methods[m] for m in ("random", "herding", "k_center")})
    page = str(show(found))
    assert page.count('class="chip') == 2 * 6
    words = Counter(v.random.verdict for v in found.verdicts if v.random)
    counts = ", ".join(f"{word} in {n}" for word, n in words.most_common())
    assert SECTION.say(found) == f"12 comparisons of 2 other coresets with random: {counts}"
