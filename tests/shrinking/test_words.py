import math

import pytest

from decoct.shrinking import words
from decoct.shrinking.answer import Class, Measured
from decoct.shrinking.choose import METHODS
from decoct.shrinking.inference import shown
from decoct.shrinking.inference.shown import Decision
from decoct.shrinking.made import MAKERS


def size_of(size=620, small=0.904, loss=0.015, hi=0.024, inside=True, **more):
    full = small + loss
    return shown.Tested(
        size,
        Measured(full, full - 0.01, full + 0.01, 5, 600),
        Measured(small, small - 0.015, small + 0.015, 5, 600),
        Measured(loss, loss - 0.01, hi, 5, 600),
        **{"within": 0.03, "smallest_margin": 0.024, "images_needed": None, "inside": inside, "shown": inside} | more,
    )


def test_a_set_that_is_shown():
    said = words.named(size_of(), "facility_location", 3000, "3.0 points")
    assert said == (
        "620 of 3,000 images (21 %), chosen by facility location, are shown to train your model to within 3.0 points "
        "of all of them: 90.4 % [88.9, 91.9] against 91.9 % [90.9, 92.9]."
    )
    assert words.closest(size_of()) == "With 600 test images nothing closer than 2.4 points can be shown."


def test_what_cannot_be_decided_says_what_it_takes():
    one = size_of(images_needed=4800, inside=False)
    said = words.nothing(Decision("not_decidable", one, 0.024, 4800, "margin"), "random", 3000, "1.0 point")
    assert "within 1.0 point cannot be decided here" in said
    assert "nothing closer than 2.4 points" in said and "about 4,800 test images would do" in said


def test_what_is_not_shown_says_what_is_lost():
    one = size_of(size=2100, loss=0.05, hi=0.07, inside=False)
    said = words.nothing(Decision("not_shown", one, 0.01, None, "margin"), "herding", 3000, "3.0 points")
    assert said.startswith("No set is shown to train your model to within 3.0 points of all 3,000 images")
    assert "2,100 of 3,000 images (70 %), chosen by herding" in said and "lose 5.0 points, 7.0 at most" in said


def test_where_the_test_ended():
    one = size_of(size=300, loss=0.05, hi=0.07, inside=False)
    assert words.below(one, "random", "3.0 points", 3000) == (
        "300 of 3,000 images (10 %) are not shown within 3.0 points: they lose 5.0 points, 7.0 at most."
    )
    lost = shown.ClassLoss("cat", 0.9, 0.7, 0.2, 0.3, 50)
    assert "may cost 'cat' more than was asked" in words.below(size_of(failed=(lost,)), "random", "3.0 points", 3000)


@pytest.mark.parametrize(
    ("found", "method", "said"),
    [
        ((1104.0, 800.0, 1600.0), "herding", "Random images needed 1,100 [800, 1,600]"),
        ((math.inf, 900.0, math.inf), "herding", "did not reach that accuracy"),
        ((1104.0, 800.0, math.inf), "herding", "1,100 [800, more than were tried]"),
        (None, "random", "take random images"),
        (None, "herding", ""),
    ],
)
def test_random_images_for_as_much(found, method, said):
    assert said in words.needed(found, method)


def test_what_choosing_costs_and_when_it_pays():
    cost = {"choosing": 30.0, "training_all": 12.0, "training_set": 2.0, "pays_after": 3.0}
    assert words.paying(cost, "herding").endswith("12 s on all images, 2.0 s on the set: it pays after 3 trainings.")
    assert words.paying(cost, "dm").startswith("Making took 30 s of one core")
    del cost["pays_after"]
    assert words.paying(cost, "herding").endswith("which saves nothing.")
    assert words.paying({"training_all": 1.0}, "random") == ""


def test_the_class_that_loses_most():
    classes = [
        Class("a", 10, 2, 0.9, 0.8, 0.2),
        Class("b", 10, 2, 0.9, 0.6, math.inf),
        Class("c", 9, 1, math.nan, math.nan, 1),
    ]
    assert words.loses(classes) == "Class 'b' loses most: 30.0 points."
    assert words.loses(classes[:1]) == "Class 'a' loses most: 10.0 points, 20.0 at most."
    assert words.loses([Class("a", 10, 2, 0.8, 0.9, 0.1)]) == "No class loses."
    assert words.loses([]) == ""


def test_every_method_has_words():
    assert set(words.SPELT) == {*METHODS, *MAKERS}


def test_a_set_that_is_made_is_no_part_of_the_images():
    one = size_of(size=50)
    assert words.named(one, "dm", 3000, "3.0 points").startswith(
        "50 images (2 % as many), made by DM from 3,000, are shown to train your model to within 3.0 points"
    )
    assert words.sized(one, "dsa", 3000).startswith("50 images (2 % as many), made by DSA from 3,000, train your model")
    assert words.below(one, "dc", "1.0 point", 3000).startswith(
        "50 images (2 % as many), made by DC from 3,000, are not shown within 1.0 point"
    )
