"""Published numbers: their table, and what of it stands beside a run."""

import csv
import re
from dataclasses import fields
from importlib.resources import files

import pytest

from decoct.core.errors import DecoctError, UsageError
from decoct.core.spec import names
from decoct.report.read import frame
from decoct.report.render import render
from decoct.report.sections.evidence.published import (
    FILE,
    Published,
    alike,
    beside,
    read,
    read_file,
    select,
    to_json,
)
from decoct.report.summary import summarise

FREE = {"sre2l++", "fadrm+", "hald", "dit", "wmdd", "gift", "nrr_dd", "lgd"}  # methods that decoct does not have
FREE |= {"lpld", "igd+minimax"}
DATA = {"imagenet1k", "imagenet100", "imagenet100, 10 classes", "imagenette", "imagewoof", "tiny_imagenet"}
DATA |= {"cifar10", "cifar100", "fashion_mnist"}


@pytest.fixture(scope="module")
def raw():
    text = files("decoct.report").joinpath(FILE).read_text("utf-8")
    return list(csv.DictReader(text.splitlines(), strict=True))


def test_every_row_is_whole(raw):
    assert all(list(row) == [field.name for field in fields(Published)] and None not in row.values() for row in raw)
    assert len(raw) == len(read()) > 100
    for row in raw:
        assert all(value == value.strip() and value.isprintable() for value in row.values()), row


HEAD = b"method,data,resolution,ipc,student,protocol,labels,accuracy,error,source,arxiv\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"method,data\na,b\n",
        HEAD + b"a,b,,,,,,much,,c,\n",
        HEAD + b"a,b,,,,,,,,c,\n",
        HEAD + b"a,b,,,,,,nan,,c,\n",
        HEAD + b"a,b,,99999999999999999999,,,,1.0,,c,\n",
        HEAD + b"\xff,b,,,,,,1.0,,c,\n",
        HEAD + b"a,b\n",
    ],
)
def test_a_damaged_table_is_refused_in_a_line(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DecoctError, match=r"published\.csv is damaged \(.+\): install decoct again") as told:
        read_file(tmp_path / FILE)
    assert len(str(told.value).splitlines()) == 1


def test_every_number_has_a_source_and_can_be(raw):
    for row in read():
        assert row.source, row
        assert 0 < row.accuracy < 100 and (row.error is None or 0 <= row.error < 10), row
        assert row.ipc is None or row.ipc in (1, 10, 20, 50, 100, 200, 500, 1000), row
        assert row.resolution is None or row.resolution in (28, 32, 64, 128, 224), row
        assert not row.arxiv or re.fullmatch(r"\d{4}\.\d{5}", row.arxiv), row
    assert all(re.fullmatch(r"\d+\.\d", row["accuracy"]) for row in raw)


def test_methods_and_data_are_decoct_s_or_free_names():
    assert {row.method for row in read()} <= {*names("condenser"), *FREE}
    assert {row.method for row in read()} & FREE == FREE
    assert {row.data for row in read()} == DATA


def test_no_number_is_there_twice():
    keys = [(row.method, row.data, row.ipc, row.student, row.protocol, row.source) for row in read()]
    assert len(keys) == len(set(keys))


def test_more_images_give_more_in_one_source():
    """A column that slipped would show here."""
    places = {}
    for row in read():
        if row.ipc is not None:
            place = row.method, row.data, row.student, row.protocol, row.source
            places.setdefault(place, []).append((row.ipc, row.accuracy))
    for place, found in places.items():
        assert [a for _, a in sorted(found)] == sorted(a for _, a in found), place


@pytest.mark.parametrize(
    ("method", "data", "ipc", "accuracy"),
    [
        ("rded", "imagenet1k", 10, 42.0),
        ("edc", "tiny_imagenet", 50, 57.2),
        ("fadrm+", "imagewoof", 10, 57.3),
        ("cv_dd", "cifar10", 50, 70.1),
        ("d4m", "imagenet1k", 200, 62.6),
        ("delt", "imagenette", 50, 88.2),
        ("datm", "cifar100", 10, 47.2),
        ("mgd3", "imagenette", 20, 71.2),
        ("lpld", "imagenet1k", 200, 59.6),
    ],
)
def test_numbers_as_their_sources_have_them(method, data, ipc, accuracy):
    assert accuracy in [row.accuracy for row in select(read(), method, data, ipc)]


def test_filters_take_names_as_people_write_them():
    assert select(read(), "CV-DD", "CIFAR-10") == [r for r in read() if (r.method, r.data) == ("cv_dd", "cifar10")]
    assert {row.ipc for row in select(read(), ipc=50)} == {50}
    assert {row.protocol for row in select(read(), protocol="cim")} == {"CIM's"}
    assert select(read(), "rded", ipc=7) == []
    for wrong in ({"method": "rdedd"}, {"data": "mnist"}, {"protocol": "zzz"}):
        with pytest.raises(UsageError):
            select(read(), **wrong)
    with pytest.raises(UsageError, match=r"Did you mean 'rded'"):
        select(read(), "rdedd")


def test_fadrm_plus_is_another_method():
    assert alike("FADRM+") == "fadrm+" != alike("fadrm")


@pytest.fixture
def cifar(builder):
    builder.name = "cifar10"
    builder.students = ("convnet3_w32",)
    return builder.build()


def test_what_matches_a_run_stands_beside_its_own(cifar):
    tables = frame.read(cifar)
    found = beside(tables.manifest, summarise(tables).accuracies)
    by_label = {one.label: one for one in found}
    assert set(by_label) == {"random", "rded", "sre2l"}
    budgets = {(one.label, a.setting.budget) for one in found for a in one.own}
    assert budgets == {("random", "ipc=1"), ("random", "ipc=10"), ("rded", "ipc=10"), ("sre2l", "ipc=10")}
    assert len(by_label["rded"].own) == 3 and [row.accuracy for row in by_label["rded"].published] == [37.1]
    (told,) = to_json(tables.manifest, by_label["rded"].own)
    assert told["published"][0]["of_another_recipe"] is True


def test_other_data_have_nothing_beside_them(run):
    tables = frame.read(run)
    assert beside(tables.manifest, summarise(tables).accuracies) == ()


def page(folder):
    tables = frame.read(folder)
    return render(summarise(tables))


def section(text):
    start = text.index('<section id="published">')
    return text[start : text.index("</section>", start)]


def test_numbers_of_this_data_are_laid_beside(builder):
    builder.name = "cifar10"
    found = section(page(builder.build()))
    assert "37.1" in found and "DELT&#x27;s and CV-DD&#x27;s repositories" in found
    assert "of another recipe" in found and "no verdict of this page depends on them" in found
    assert "convnet3_w32" in found


def test_no_section_where_nothing_matches(run):
    assert '<section id="published">' not in page(run)
