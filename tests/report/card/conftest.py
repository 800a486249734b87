"""Runs whose cards are hard to draw."""

from functools import cache

import pytest
from tests.report.conftest import Builder

from decoct.report.card.content import card
from decoct.report.read import frame
from decoct.report.summary import summarise

SCRIPT, QUOTES, RIGHT = "<script>alert(1)</script>", '"quo\'te" & <b>bold</b> $x_1$ 50%', "مرحبا"


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """``told(NAME)``: summary and card of a run of ``RUNS``, made once."""

    @cache
    def make(name):
        builder = Builder(tmp_path_factory.mktemp("card") / name, replicates=3)
        RUNS[name](builder)
        summary = summarise(frame.read(builder.build()))
        return summary, card(summary)

    return make


def many(b):
    names = [
        "random",
        "herding_with_a_label_that_is_long",
        *(f"coreset_method_{i}" for i in range(24)),
        "rded",
        "sre2l",
    ]
    b.methods = {m: ("distillation" if m in ("rded", "sre2l") else "coreset", True) for m in names}
    b.truth = {m: 0.1 + 0.02 * i for i, m in enumerate(names)}
    b.budgets = tuple(f"ipc={ipc}" for ipc in (1, 10, 50))
    b.replicates = 2
    b.protocols = ("erm", "single_teacher", "multi_teacher", "a_protocol_of_great_length_and_more", "fifth")


def hostile(b):
    b.methods = {
        "random": ("coreset", True),
        "=herding": ("coreset", False),
        SCRIPT: ("distillation", True),
        QUOTES: ("distillation", True),
        RIGHT: ("distillation", True),
    }
    b.truth = dict(zip(b.methods, (0.5, 0.52, 0.6, 0.3, 0.45), strict=True))
    b.protocols, b.students = ("erm", SCRIPT), ("net_a", f"{RIGHT}\x01\u202e")
    b.class_names, b.name = (SCRIPT, QUOTES, RIGHT, "</bdi>", "a\u2028b"), QUOTES


def one(b):
    """One setting, of methods whose names are hard to fit."""
    names = ("random", "herding", "a_method_with_a_name_that_is_too_long_for_its_column", SCRIPT, RIGHT)
    b.methods = {m: ("distillation" if m == SCRIPT else "coreset", m != "herding") for m in names}
    b.truth = {m: 0.6 - 0.1 * i for i, m in enumerate(names)}
    b.protocols, b.budgets = ("erm",), ("ipc=10",)


def coresets(b):
    b.methods = {m: about for m, about in b.methods.items() if about[0] == "coreset"}
    b.protocols, b.full = ("erm",), False


def chance(b):
    b.truth, b.noise, b.budgets = dict.fromkeys(b.truth, 0.1), 0.001, ("ipc=1",)


def holes(b):
    b.holes = lambda job: job.get("method") == "sre2l" or (job.get("method"), job.get("budget")) == ("rded", "ipc=10")


def nothing(b):
    b.holes = lambda job: True


def untrained(b):
    b.holes = lambda job: job["kind"] == "train"


def thousand(b):
    b.class_names, b.test_images = tuple(f"class {i}" for i in range(1000)), 5000
    b.budgets = ("fraction=0.01", "fraction=0.1", "ipc=3")


def single(b):
    b.replicates = 1


def lonely(b):
    b.methods, b.protocols, b.budgets = {"rded": ("distillation", True)}, ("erm",), ("ipc=10",)


def students(b):
    b.students, b.class_names = ("convnet3_w32", "resnet10t"), ("cat", "dog")


def usual(b):
    b.replicates = 5


RUNS = {
    run.__name__: run
    for run in (
        usual, many, hostile, coresets, chance, holes, nothing, untrained, thousand, single, lonely, students, one
    )
}  # fmt: skip
