"""The answer for a terminal: its sentences and sizes, in few lines."""

from tests.shrinking.answers import SAID, an_answer

from decoct.shrinking.written.terminal import LINES, WIDTH, terminal


def test_sentences_come_first_then_the_sizes_with_the_test():
    lines = terminal(an_answer(said=SAID[:3])).splitlines()
    assert " ".join(lines[:4]).startswith(" ".join(SAID[:3])[:150])
    assert lines[5].split() == ["images", "best", "in", "the", "race", "random", "on", "test"]
    assert [line.split()[0] for line in lines[6:]] == ["2,250", "1,500", "1,050", "600", "300", "150"]
    assert lines[9].endswith("facility_location 90.4 [88.9, 91.9] shown")
    assert len(lines) <= LINES and max(map(len, lines)) <= WIDTH


def test_many_sentences_are_cut_and_tested_sizes_stay():
    lines = terminal(an_answer(said=SAID * 4, unfinished="two sizes of the test")).splitlines()
    assert len(lines) == LINES
    assert "… the page has the rest" in lines
    assert [line.split()[0] for line in lines[-3:]] == ["1,500", "1,050", "600"]


def test_without_a_point_only_the_sentences_are_said():
    assert terminal(an_answer(said=("Nothing yet.",), points=(), unfinished="the race")) == (
        "Nothing yet.\nNot finished: the race"
    )
