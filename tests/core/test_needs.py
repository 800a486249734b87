"""A need that says nothing but its fields is one job, keyed by them, under a name that a role can hold."""

from typing import ClassVar

import pytest

from decoct.core.errors import DecoctError
from decoct.core.needs import Need


class Edges(Need):
    """Some edges."""

    name: ClassVar[str] = "edges"

    width: int = 3
    way: str = "up"


class Plan:
    """A plan that draws a seed from the names alone."""

    def derive(self, *names):
        return "-".join(map(str, names))


def test_it_is_one_job_that_its_fields_decide():
    (part,) = Edges().parts(Plan())
    assert (part.name, part.spec, part.keyed) == ("3/up", Edges(), {"seed": "edges-3/up"})
    assert part.labels == {"edges": "3/up"} and part.reads == ()


def test_other_fields_have_another_name_and_long_or_odd_ones_a_digest():
    titles = [Edges(**fields).title for fields in ({}, {"width": 4}, {"way": "a:b"}, {"way": "a:c"}, {"way": "x" * 99})]
    assert len(set(titles)) == 5
    assert titles[:2] == ["3/up", "4/up"] and all(len(title) == 12 for title in titles[2:])


def test_it_comes_again_from_its_config():
    assert Edges.again(Edges(width=5).config()) == Edges(width=5)


def test_what_it_does_not_say_is_an_error_that_says_what_to_define():
    with pytest.raises(DecoctError, match=r"the need edges does not say how it is made: define make\(cls, work\)"):
        Edges.make(None)
    with pytest.raises(DecoctError, match=r"the need edges does not say what a method gets: define load\(self, work\)"):
        Edges().load(None)
    assert (Edges.uncounted({}), Edges.saw({})) == (False, None)
