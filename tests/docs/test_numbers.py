"""Numbers of README and of the results against the students' rows beside them, and generated tables made anew."""

import csv
import re
import sys
from collections import defaultdict
from math import fsum
from pathlib import Path

import pytest

from decoct.report.read.manifest import FULL

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
sys.path.insert(0, str(ROOT / "benchmarks"))
PLACE = re.compile(r"^<!-- ([a-z_]+)\.py ([^\n]*) -->\n(.*?)^<!-- end -->$", re.M | re.S)

TOKEN = re.compile(r"([+−]?)(\d+\.\d) (?:\| )?\[[+−]?\d+\.\d, [+−]?\d+\.\d\]")  # a mean with its interval
ROUNDED = 0.051  # half of the last digit
PAGES = {  # how many numbers of each are found in the rows, at least
    "fashion_mnist": 132,
    "clipart": 62,
    "cross_architecture": 40,
    "coresets": 55,
    "decoupled": 78,
    "fifty_images": 5,
    "generative": 17,
    "matching": 10,
    "authors_iterations": 34,
}
SAID = {"full data": FULL, "plain sampling": "plain", "MGD³": "mgd3", "D4M": "d4m_class"}  # names of methods on pages
README = {
    "100 random images": "random",
    "100 by herding (coreset)": "herding",
    "100 by DM (distilled)": "dm",
    "100 by RDED (distilled)": "rded",
    "100 by SRe2L (distilled)": "sre2l",
}


def students(name):
    """Accuracies in percent, by method, then by setting, then by replicate."""
    found = defaultdict(lambda: defaultdict(dict))
    with (RESULTS / f"{name}.csv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            place = row["condense_replicate"], row["train_replicate"]
            setting = row["protocol"], row["student"], row["budget"]
            found[row["method"]][setting][place] = 100 * float(row["accuracy"])
    return found


def mean(values):
    values = list(values)
    return fsum(values) / len(values)


def possible(found, method, signed):
    """Means of a method; or, signed, of its differences to every other, paired."""
    if not signed:
        return [mean(own.values()) for own in found[method].values()]
    return [
        mean(own[place] - other[setting][place] for place in own.keys() & other[setting].keys())
        for setting, own in found[method].items()
        for name, other in found.items()
        if name != method and own.keys() & other.get(setting, {}).keys()
    ]


def named(line, methods):
    """The method that a line of a table begins with, if it is one."""
    first = re.split(r"\||  | (?:−|minus) ", line.replace("\\", "").strip("| `"))[0]
    first = first.strip(" `†")
    first = SAID.get(first, first)
    return next((method for method in methods if method.lower() == first.lower()), None)


@pytest.mark.parametrize("name", PAGES)
def test_means_of_a_page_are_those_of_its_rows(name):
    found, checked = students(name), 0
    text = PLACE.sub("", (RESULTS / f"{name}.md").read_text("utf-8"))  # a benchmark's table has rows of its own
    for line in text.splitlines():
        if (method := named(line, found)) is None:
            continue
        for sign, value in TOKEN.findall(line.replace("\\", "")):
            said = float(value) * (-1 if sign == "−" else 1)
            known = possible(found, method, bool(sign) or not said)  # a difference of 0.0 has no sign
            assert any(abs(said - each) <= ROUNDED for each in known), f"{name}.md: {sign}{value} in {line}"
            checked += 1
    assert checked >= PAGES[name]


def test_accuracies_of_the_readme_are_those_of_fashion_mnist():
    found, text = students("fashion_mnist"), (ROOT / "README.md").read_text("utf-8")
    for label, method in README.items():
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {label}"))
        said = [float(value) for _, value in TOKEN.findall(line)]
        own = found[method]
        known = [mean(own[protocol, "convnet3_w32", "ipc=10"].values()) for protocol in ("erm", "single_teacher")]
        assert said == pytest.approx(known, abs=ROUNDED), label


@pytest.mark.parametrize("module", ["pruning", "one_set"])
def test_generated_tables_are_those_of_their_rows(module, tmp_path, monkeypatch):
    made = __import__(module)
    page = f"{module}.md"
    (tmp_path / page).write_text((RESULTS / page).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(made, "draw", lambda *_: None)
    rows = [str(RESULTS / "pruning.csv")] if module == "pruning" else []
    monkeypatch.setattr(sys, "argv", [module, *rows, "--out", str(tmp_path)])
    made.main()
    assert (tmp_path / page).read_text("utf-8") == (RESULTS / page).read_text("utf-8")


@pytest.mark.parametrize("name", ["cross_architecture", "early_teachers", "fashion_mnist", "generative", "points"])
def test_tables_of_a_benchmark_are_those_of_its_rows(name, monkeypatch, capsys):
    rows = __import__("results").PAGES[name].rows
    files = {f"RUNS/{source}": str(RESULTS / file) for file, source in rows.items()}
    places = PLACE.findall((RESULTS / f"{name}.md").read_text("utf-8"))
    for module, words, kept in places:
        monkeypatch.setattr(sys, "argv", [module, *(files.get(word, word) for word in words.split())])
        made = __import__(module)
        monkeypatch.setattr(made, "draw", lambda *_: None, raising=False)
        made.main()
        assert capsys.readouterr().out.strip() == kept.strip(), module
    assert places
