"""The classes of ImageNet-1K against facts that everybody knows of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.nets import imagenet_classes
from decoct.nets.imagenet_classes import english, known, rows, wnids

IMAGENETTE = {  # outputs of ImageNet-1K's heads, as fastai and every classifier's label file have them
    "n01440764": 0,
    "n02102040": 217,
    "n02979186": 482,
    "n03000684": 491,
    "n03028079": 497,
    "n03394916": 566,
    "n03417042": 569,
    "n03425413": 571,
    "n03445777": 574,
    "n03888257": 701,
}


def test_there_are_a_thousand_in_sorted_order():
    assert len(set(wnids())) == len(english()) == imagenet_classes.CLASSES == 1000
    assert list(wnids()) == sorted(wnids())


def test_imagenette():
    assert rows(list(IMAGENETTE)) == list(IMAGENETTE.values())
    assert rows([english()[row] for row in IMAGENETTE.values()]) == list(IMAGENETTE.values())
    assert english()[0] == "tench, Tinca tinca"


@given(st.lists(st.integers(0, 999), min_size=1, max_size=20, unique=True))
def test_rows_follow_the_names_in_any_order(some):
    names = [wnids()[row] for row in some]
    assert rows(names) == some
    assert known(names)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["n01440764", "n99999999"], "'n99999999' is not a class"),
        (["n01440764", "tench, Tinca tinca"], "'tench, Tinca tinca' is not a class"),  # one kind of name, not both
        (["cat", "dog"], "'cat' is not a class"),
        (["goldfish, Carassius auratus", "tench"], "'tench' is not a class"),
        (["tench, Tinca tinca", "crane"], "'crane' is the name of two classes"),  # the bird and the machine
    ],
)
def test_a_name_that_is_unknown_or_ambiguous_is_told(names, said):
    with pytest.raises(DecoctError, match=said) as caught:
        rows(names)
    assert "WordNet ids" in str(caught.value)
    assert known(names) is ("crane" in names)
