"""Seeds: stable across machines and versions, and different for different names."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from decoct.core.seeds import seed

NAMES = st.lists(st.text(max_size=8) | st.integers(0, 99), max_size=4)


def test_a_seed_is_the_top_63_bits_of_the_sha256_of_the_names():
    top = hashlib.sha256(b'[7, "student", "digits", 3]').hexdigest()[:16]
    assert seed(7, "student", "digits", 3) == int(top, 16) // 2


@given(st.integers(0, 2**40), NAMES, NAMES)
def test_equal_names_give_equal_seeds_and_others_do_not(root, some, others):
    assert 0 <= seed(root, *some) < 2**63
    assert (seed(root, *some) == seed(root, *others)) == (some == others)


def test_neither_spelling_nor_grouping_nor_order_collides():
    draws = [("a", "b"), ("b", "a"), ("ab",), ("a,b",), ('a", "b',), ("1",), (1,), (), ("",), ("ü",), ("\\u00fc",)]
    assert len({seed(0, *names) for names in draws} | {seed(1, "a", "b")}) == len(draws) + 1
