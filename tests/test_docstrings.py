"""Every public name shows how it is used, in a few lines that are run."""

import doctest
import inspect

import numpy as np
import pytest

import decoct
from decoct import api, functional, select

LONGEST = 4  # lines that somebody types
MODULES = ("functional", "select")  # whose names are taken one by one
PUBLIC = {
    **{f"decoct.{name}": getattr(decoct, name) for name in decoct.__all__ if name not in MODULES},
    **{f"decoct.api.{name}": getattr(api, name) for name in api.__all__ if name not in decoct.__all__},
    **{f"{of.__name__}.{name}": getattr(of, name) for of in (functional, select) for name in of.__all__},
}


def example(name):
    doc = inspect.getdoc(PUBLIC[name]) or ""
    globs = {"np": np, "decoct": decoct}
    return doctest.DocTestParser().get_doctest(doc, globs, name, None, 0)


def test_all_names_are_walked():
    assert set(MODULES) <= set(decoct.__all__) and len(PUBLIC) > 25
    assert {"decoct.load_data", "decoct.api.Scores", "decoct.functional.vendi", "decoct.select.herding"} <= set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example_and_it_is_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, said = example(name), []
    typed = [line for each in found.examples for line in each.source.splitlines()]
    assert 1 <= len(typed) <= LONGEST, f"{name} needs an example of one to {LONGEST} lines in its docstring"
    assert found.examples[-1].want, f"the example of {name} shows nothing"
    failed, _ = doctest.DocTestRunner().run(found, out=said.append)
    assert not failed, "".join(said)
