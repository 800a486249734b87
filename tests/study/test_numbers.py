"""Every number that a study may hold, at the ends of what can be written: one line, or a plan, and at once."""

import math
import signal
from contextlib import contextmanager
from typing import get_args

import pytest

from decoct.core.bounds import MOST, TIMES, Bounded
from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.spec import build, find, names
from decoct.data.external.stored import SetFormat
from decoct.needs.features import Extract
from decoct.needs.generator import TeachGenerator
from decoct.needs.teacher import Teach
from decoct.study.expand import expand
from decoct.study.study import External, Metrics, Replicates, StatedCost, Study
from decoct.training.recipe import Storing

EXTREMES = (10**30, 16**9000, MOST, -1, -(10**30), math.nan, math.inf, True, 1e300)
PARTS = (Teach, TeachGenerator, Extract, Replicates, Metrics, StatedCost, Budget, Study, SetFormat, External, Storing)
KINDS = ("condenser", "protocol", "metric", "source", "need")
SPECS = {f"{kind} {name}": (kind, name) for kind in KINDS for name in names(kind)}


@contextmanager
def at_once():
    """Ten seconds, after which a hang is a failure and no hang of the tests."""

    def ring(*_):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(10)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def kinds(annotation):
    inner = get_args(annotation)
    return set().union(*map(kinds, inner)) if inner else {annotation}


def numbers(cls):
    return [name for name, field in cls.model_fields.items() if kinds(field.annotation) & {int, float}]


def required(cls):
    given = {"condensers": ["random"], "protocols": ["erm"]}
    return {name: given.get(name, "x") for name, field in cls.model_fields.items() if field.is_required()}


def refused_or_made(cls, name, value):
    """The model, or None where a line says why not."""
    try:
        with at_once():
            return build(cls, {**required(cls), name: value}, "here")
    except UsageError as error:
        assert name in str(error) and len(str(error).splitlines()) == 1 and len(str(error)) < 400
        return None


@pytest.mark.parametrize("cls", PARTS)
def test_every_number_of_a_study_is_refused_in_a_line_or_taken(cls):
    for name in numbers(cls):
        for value in EXTREMES:
            made = refused_or_made(cls, name, value)
            if made is not None:
                held = getattr(made, name)
                assert not isinstance(held, bool) or bool in kinds(cls.model_fields[name].annotation)
                assert math.isfinite(held) and (abs(held) <= MOST or isinstance(held, float))


@pytest.mark.parametrize("spec", SPECS)
def test_every_number_of_a_spec_is_refused_in_a_line_or_planned(spec, digits):
    kind, name = SPECS[spec]
    cls = find(kind, name)
    assert issubclass(cls, Bounded)
    for field in numbers(cls):
        for value in EXTREMES:
            made = refused_or_made(cls, field, value)
            if made is None or kind not in ("condenser", "protocol", "metric"):
                continue
            table = {"name": "a", "condensers": ["random"], "protocols": ["erm"], "replicates": {"condense": 1}}
            table |= {"metrics": {"names": ["cost"]}, "students": ["convnet1_w8"], "budgets": [{"ipc": 1}]}
            entry = {"name": name, "label": "extreme", field: getattr(made, field)}
            if kind == "metric":
                table["metrics"] = {"names": [entry], "extractors": ["pixels"]}
            else:
                table[f"{kind}s"] = [entry]
            try:
                with at_once():
                    expand(Study.from_dict(table), digits)
            except DecoctError as error:
                assert len(str(error).splitlines()) <= 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"replicates": {"condense": 10_000_000}}, r"replicates\.condense: .*10000 \(got 10000000\)"),
        ({"replicates": {"condense": TIMES, "train": TIMES}}, "students.*more than 1,000,000: take fewer replicates"),
        ({"metrics": {"draws": 10**20}}, r"metrics\.draws: .*10000"),
        ({"protocols": [{"name": "erm", "steps": 10**30}]}, r"steps: must be at most 2,147,483,647 \(got 10{30}\)"),
        ({"budgets": [{"ipc": True}]}, r"budgets\.0\.ipc: a number is wanted, not true or false \(got True\)"),
        (
            {"condensers": [{"name": "rded", "shards": 10**9}]},
            "shards of 'rded' must be .* to 10,000",
        ),
        ({"condensers": [{"name": "rded", "sets": 10**9}]}, "sets of 'rded' must be .* to 10,000"),
        ({"seed": 16**9000}, "seed: .*more than can be shown"),
    ],
)
def test_what_no_machine_could_do_is_refused_when_it_is_read(words, said):
    with at_once(), pytest.raises(UsageError, match=said) as caught:
        Study.from_dict({"name": "a", "condensers": ["random"], "protocols": ["erm"], **words})
    assert len(str(caught.value).splitlines()) == 1
