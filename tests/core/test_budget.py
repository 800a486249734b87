"""Budgets."""

import pytest
from pydantic import ValidationError

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError


def test_every_class_gives_ipc_images_up_to_all_that_it_has():
    assert Budget(ipc=3).per_class([3, 10, 4], ["a", "b", "c"]) == [3, 3, 3]
    assert str(Budget(ipc=10)) == "ipc=10"


@pytest.mark.parametrize("have", [2, 0])
def test_a_class_with_too_few_images_is_named(have):
    with pytest.raises(DecoctError, match=f"class 'b' has {have} training images, fewer than ipc=3"):
        Budget(ipc=3).per_class([3, have], ["a", "b"])


@pytest.mark.parametrize("wrong", [{"ipc": 0}, {"ipc": -1}, {"ipc": 1.5}, {}, {"ipc": 1, "fractoin": 0.1}])
def test_what_is_no_budget_is_refused(wrong):
    with pytest.raises(ValidationError):
        Budget(**wrong)
