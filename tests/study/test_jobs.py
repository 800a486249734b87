"""A key says what a job does, and nothing of where it runs or what it is called."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.study.jobs import Job

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NESTED = st.dictionaries(st.text(), PLAIN | st.lists(PLAIN) | st.dictionaries(st.text(), PLAIN))
WORDS = st.dictionaries(st.text(), st.text())


@given(keyed=NESTED, inputs=WORDS, seed=st.randoms())
def test_the_order_of_what_is_keyed_does_not_matter(keyed, inputs, seed):
    def shuffled(table):
        items = list(table.items())
        seed.shuffle(items)
        return dict(items)

    one = Job(kind="train", keyed=keyed, inputs=inputs, config={}, data="a")
    other = Job(kind="train", keyed=shuffled(keyed), inputs=shuffled(inputs), config={}, data="a")
    assert one.key == other.key


@given(keyed=NESTED, inputs=WORDS)
def test_labels_config_data_folder_and_plugins_are_not_keyed(keyed, inputs):
    one = Job(kind="train", keyed=keyed, inputs=inputs, config={}, data="a")
    labels, config = {"method": "x"}, {"name": "erm"}
    other = Job(kind="train", keyed=keyed, inputs=inputs, config=config, data="b", labels=labels, plugins=("p.py",))
    assert one.key == other.key


@pytest.mark.parametrize(
    "change", [{"kind": "condense"}, {"keyed": {"seed": 2}}, {"keyed": {"seed": 1, "x": None}}, {"inputs": {"a": "c"}}]
)
def test_what_decides_the_result_is_keyed(change):
    fields = {"kind": "train", "keyed": {"seed": 1}, "inputs": {"a": "b"}, "config": {}, "data": "d"}
    assert Job(**fields).key != Job(**fields | change).key


def test_a_job_travels_to_a_worker_with_its_key():
    job = Job(kind="train", keyed={"seed": 1}, inputs={"teacher:a": "k"}, config={"name": "erm"}, data="d")
    assert job.key == pickle.loads(pickle.dumps(job)).key


def test_roles_are_found_by_what_stands_before_the_colon():
    job = Job(
        kind="measure", keyed={}, inputs={"condensed": "1", "teacher:a": "2", "teacher:b": "3"}, config={}, data=""
    )
    assert job.role("teacher") == {"a": "2", "b": "3"}
    assert job.role("features") == {}
