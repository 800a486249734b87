"""run, report, published, ls and check, and the program as a whole."""

import json
import os
import re
import subprocess
import sys

import pyarrow.parquet
import pytest
from PIL import Image

HEAVY = ("torch", "torchvision", "timm", "pyarrow", "scipy", "sklearn")


def program(code):
    """Run Python code in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})


def test_run_leaves_tables_and_a_page(decoct, quick, tmp_path):
    out = tmp_path / "out"
    said = decoct("run", quick("random"), "--out", out, "--workers", 1, "--seed", 7, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert (found["planned"], found["trained"], found["failures"]) == (2, 2, [])
    rows = pyarrow.parquet.read_table(out / "results.parquet").to_pylist()
    assert [(r["data"], r["method"], r["protocol"], r["student"], r["budget"]) for r in rows] == [
        ("digits", "random", "erm", "convnet1_w8", "ipc=1")
    ] * 2
    assert [(r["images"], r["condense_replicate"], r["train_replicate"]) for r in rows] == [(10, 0, 0), (10, 1, 0)]
    assert all(0 <= r["accuracy"] <= 1 for r in rows)
    names = {path.name for path in out.iterdir()}
    assert {"report.html", "results.parquet", "results.csv", "metrics.parquet", "costs.parquet", "store"} <= names
    assert json.loads((out / "run.json").read_text())["study"]["seed"] == 7


def test_a_run_and_its_report_say_sentences_then_accuracies_then_where_the_page_is(decoct, quick, tmp_path):
    out = tmp_path / "out"
    first = decoct("run", quick("random"), "--out", out, "--workers", 1).out
    sentences, table, page = (block.splitlines() for block in first.rstrip().split("\n\n"))
    assert len(sentences) <= 11 and sentences[0].startswith("quick, convnet1_w8: 2 sets per method")
    assert table[0].startswith("Test accuracy, %") and "IPC 1" in table[1]
    assert re.fullmatch(r"  random +\d+\.\d \[\d+\.\d, \d+\.\d\]", table[-1].rstrip())
    assert page == [f"The page: {out / 'report.html'}"]
    assert decoct("report", out).out == first
    assert "erm, convnet1_w8, IPC 1" in decoct("report", out, "--all").out and "erm, convnet1_w8" not in first


def test_a_run_goes_on_where_it_stopped_and_seeds_differ(decoct, quick, tmp_path):
    study, out = quick("random"), tmp_path / "out"
    words = ("run", study, "--workers", 1, "--json")
    first = decoct(*words, "--out", out)
    again = decoct(*words, "--out", out)
    other = decoct(*words, "--out", tmp_path / "other", "--seed", 1)
    assert "4 jobs, 0 of them in the store" in first.err
    assert "4 jobs, 4 of them in the store" in again.err
    assert again.out == first.out
    assert json.loads(other.out)["accuracy"] != json.loads(first.out)["accuracy"]


def test_a_failed_job_fails_the_run_after_its_report(decoct, quick, tmp_path):
    out = tmp_path / "out"
    said = decoct("run", quick("random", "unlucky"), "--out", out, "--workers", 1, "--json")
    assert said.code == 1
    found = json.loads(said.out)
    assert (found["planned"], found["trained"]) == (4, 2) and found["failures"]
    assert "no luck" in said.err and "Traceback" not in said.err
    assert said.err.splitlines()[-1] == "the same command tries again"
    assert "no luck" in (out / "report.html").read_text("utf-8")
    assert not list(out.glob(".*"))


def test_debug_shows_where_a_job_failed(decoct, quick, tmp_path):
    said = decoct("run", quick("unlucky"), "--out", tmp_path / "out", "--workers", 1, "--debug")
    assert said.code == 1 and "Traceback" in said.err


def test_the_report_of_a_half_finished_run(decoct, quick, tmp_path):
    out = tmp_path / "out"
    decoct("run", quick("random"), "--out", out, "--workers", 1)
    cell = next(path for path in (out / "store").rglob("result.json")).parent
    (cell / "cell.json").unlink()
    said = decoct("report", out, "--json")
    assert said.code == 0
    assert (json.loads(said.out)["planned"], json.loads(said.out)["trained"]) == (2, 1)
    assert "1 of 2 students trained" in (out / "report.html").read_text("utf-8")


def test_ctrl_c_exits_130_and_resumes(decoct, quick, tmp_path, monkeypatch):
    study, out = quick("random"), tmp_path / "out"
    from decoct.study.execute import WORK

    def stop(cell):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(WORK, "train", stop)
        said = decoct("run", study, "--out", out, "--workers", 1)
        assert said.code == 130 and "Traceback" not in said.err
    assert not list((out / "store").glob(".tmp-*"))
    assert decoct("report", out).code == 0
    said = decoct("run", study, "--out", out, "--workers", 1)
    assert said.code == 0 and "1 of them in the store" in said.err  # the set of the first student


def test_what_is_no_run(refused, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        assert "decoct run" in refused(1, "report", folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "study.toml"),
        ("name =", "TOML"),
        ('nam = "x"\ncondensers = ["random"]\nprotocols = ["erm"]', "'name'"),
        ('name = "x"\ncondensers = ["randon"]\nprotocols = ["erm"]', "'random'"),
        ('name = "x"\ncondensers = ["random"]\nprotocols = ["emr"]', "'erm'"),
        ('name = "x"\ncondensers = ["random"]\nprotocols = ["erm"]\nstudents = ["convnet33"]', "'convnet3'"),
        ('name = "x"\ncondensers = ["random"]\nprotocols = ["erm"]\nmetrics = {names = ["prcd"]}', "'prdc'"),
        ('name = "x"\ncondensers = ["random"]\nprotocols = ["erm"]\ndata = "digit"', "'digits'"),
    ],
)
def test_a_study_that_cannot_be_meant(decoct, tmp_path, text, says):
    study, out = tmp_path / "study.toml", tmp_path / "out"
    if text is not None:
        study.write_text(text)
    said = decoct("run", study, "--out", out)
    assert said.code == 2 and said.out == "" and says in said.err
    assert len(said.err.splitlines()) <= 3
    assert not out.exists()


@pytest.mark.parametrize(
    ("what", "name"), [("methods", "sre2l"), ("protocols", "multi_teacher"), ("metrics", "prdc"), ("data", "folder")]
)
def test_ls(decoct, what, name):
    assert name in decoct("ls", what).out
    found = json.loads(decoct("ls", what, "--json").out)
    assert list(found) == [what] and found[what][name]


def test_ls_names_every_decoupled_method_with_its_first_line(decoct):
    nine = ("sre2l", "cda", "rded", "g_vbsm", "edc", "cv_dd", "fadrm", "delt", "cim")
    found = json.loads(decoct("ls", "methods", "--json").out)["methods"]
    assert all(found[name].strip() for name in nine)
    printed = decoct("ls", "methods").out
    assert all(f"  {name} " in printed for name in nine)


def test_ls_runs(decoct, quick, tmp_path):
    assert json.loads(decoct("ls", "runs", "--in", tmp_path, "--json").out) == {"runs": {}}
    decoct("run", quick("random"), "--out", tmp_path / "mine", "--workers", 1)
    found = json.loads(decoct("ls", "runs", "--in", tmp_path, "--json").out)
    assert list(found["runs"]) == [str(tmp_path / "mine")]
    assert re.fullmatch(r"digits, 2 of 2 students trained, \d\.\d MB", found["runs"][str(tmp_path / "mine")])
    assert str(tmp_path / "mine") in decoct("ls", "runs", "--in", tmp_path).out


def test_ls_all(decoct):
    assert set(json.loads(decoct("ls", "--json").out)) == {"methods", "protocols", "metrics", "data", "runs"}


def test_unknown_words(refused):
    assert "'methods'" in refused(2, "ls", "method")
    assert "'condense'" in refused(2, "condens", "random")
    assert "--nonsense" in refused(2, "--nonsense")
    assert "'random'" in refused(2, "check", "randon")
    assert "decoct plan study.toml" in refused(2, "check", "study.toml")


def test_without_arguments_it_shows_the_help_and_exits_2(decoct):
    said = decoct()
    assert said.code == 2 and said.out == "" and "condense" in said.err


def test_version(decoct):
    import decoct as package

    assert decoct("--version").out.strip() == package.__version__


def test_what_is_light_imports_nothing_heavy():
    done = program(
        "import sys\n"
        "from decoct.cli import main\n"
        'for words in ("--help", "ls", "ls runs --json", "condense --help", "--version"):\n'
        "    sys.argv = ['decoct', *words.split()]\n"
        "    try:\n        main()\n    except SystemExit as leave:\n        assert not leave.code\n"
        f"    heavy = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "    assert not heavy, (words, heavy)\n"
        "    print(f'did {words}', flush=True)\n"
    )
    assert done.returncode == 0, done.stderr
    for words in ("--help", "ls", "ls runs --json", "condense --help", "--version"):
        assert f"did {words}\n" in done.stdout and not done.stdout.startswith("did")


def test_as_a_module_and_into_a_closed_pipe():
    done = subprocess.run([sys.executable, "-m", "decoct", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "decoct", "ls", "--json"], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 1 and b"Traceback" not in done.stderr and b"Broken" not in done.stderr


def test_numbers_are_listed_with_their_sources(decoct):
    said = decoct("published", "--method", "CIM", "--json")
    assert said.code == 0, said.err
    rows = json.loads(said.out)
    assert {row["method"] for row in rows} == {"cim"} and all(row["source"] == "CIM (ECCV'26), Table 2" for row in rows)
    told = decoct("published", "--data", "imagewoof", "--ipc", 10)
    assert told.code == 0 and "57.3" in told.out and "7 numbers" in told.out and "another recipe" in told.out


def test_a_published_method_that_is_misspelt_is_told(refused):
    assert "Did you mean 'rded'" in refused(2, "published", "--method", "rdeed")


def test_beside_a_run_on_other_data_there_is_nothing(decoct, refused, quick, tmp_path):
    out = tmp_path / "out"
    assert decoct("run", quick("random"), "--out", out, "--workers", 1).code == 0
    said = decoct("report", out, "--published")
    assert said.code == 0 and "nothing is published here" in said.out
    assert json.loads(decoct("report", out, "--published", "--json").out) == []
    assert "--published asks one run" in refused(2, "report", out, "--published", "--for", "10 images")


def test_a_card_is_written_and_nothing_else(decoct, quick, tmp_path):
    out, place = tmp_path / "out", tmp_path / "new" / "card.png"
    decoct("run", quick("random"), "--out", out, "--workers", 1)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    said = decoct("report", out, "--card", place)
    assert said.code == 0 and said.out.strip() == str(place), said.err
    with Image.open(place) as picture:
        assert picture.width == 2400 and picture.height > 800
        assert len(picture.convert("RGB").getcolors(1 << 22)) > 50
    svg = place.with_suffix(".svg")
    assert json.loads(decoct("report", out, "--card", svg, "--json").out) == {"card": str(svg)}
    assert svg.read_text("utf-8").startswith("<svg ") and "digits" in svg.read_text("utf-8")
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_what_a_card_refuses(refused, decoct, quick, tmp_path):
    out = tmp_path / "out"
    decoct("run", quick("random"), "--out", out, "--workers", 1)
    assert "name it card.png or card.svg" in refused(2, "report", out, "--card", tmp_path / "card.pdf").replace(
        "\n", " "
    )
    assert "nothing else" in refused(2, "report", out, "--card", tmp_path / "card.png", "--for", "10 images")
    (tmp_path / "mine.svg").write_text("<svg/>")
    assert "not a card" in refused(2, "report", out, "--card", tmp_path / "mine.svg")
    assert not (tmp_path / "card.png").exists()
