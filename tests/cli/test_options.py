"""Groups of options: a command has their options one by one, where the group stands, and gets them as one."""

import inspect

import pytest

from decoct.cli.options import Format, Json, Machine, Pictures, grouped
from decoct.core.errors import UsageError


def test_the_options_of_a_group_stand_where_the_group_does():
    got = {}

    @grouped
    def command(name: str, *, machine: Machine, pictures: Pictures, json: Json = False) -> None:
        """What it does."""
        got.update(name=name, machine=machine, pictures=pictures, json=json)

    laid = inspect.signature(command).parameters
    assert list(laid) == ["name", "device", "threads", "size", "skip_corrupt", "json"]
    assert laid["device"].default == "auto" and laid["size"].default is None
    assert (command.__name__, command.__doc__) == ("command", "What it does.")
    command(name="x", device="cpu", threads=2, size=32, skip_corrupt=True, json=True)
    assert got == {"name": "x", "machine": Machine("cpu", 2), "pictures": Pictures(32, True), "json": True}


def test_a_format_says_which_words_it_takes():
    assert Format(layout="NHWC", number=1).checked().layout == "NHWC"
    with pytest.raises(UsageError, match="layout"):
        Format(layout="WHCN").checked()
