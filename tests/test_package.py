"""What is built from the tree, installed elsewhere, has all that decoct needs: code, data, page and command."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUDY = """
name = "packaged"
students = ["convnet1_w8"]
budgets = [{ipc = 1}]
replicates = {condense = 2}
condensers = ["random"]
protocols = [{name = "erm", steps = 2}]
ceiling = false
metrics = {names = ["cost"]}
"""


def called(*words, **how):
    made = subprocess.run([sys.executable, "-m", *map(str, words)], capture_output=True, text=True, timeout=300, **how)
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the wheel and the source archive."""
    folder = tmp_path_factory.mktemp("built")
    called("hatchling", "build", "-d", folder, cwd=ROOT)
    return folder


def test_the_wheel_has_every_file_and_the_archive_builds_the_same(built, tmp_path):
    own = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/decoct").rglob("*") if path.is_file()}
    own = {name for name in own if "__pycache__" not in name}
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        assert own == {name for name in names if name.startswith("decoct/")}
        assert any(name.endswith("licenses/LICENSE") for name in names)
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.iterdir())
    called("hatchling", "build", "-t", "wheel", "-d", tmp_path / "again", cwd=source)
    with zipfile.ZipFile(next((tmp_path / "again").glob("*.whl"))) as wheel:
        assert set(wheel.namelist()) == names


def test_the_citation_names_the_version(built):
    said = [
        line for line in ROOT.joinpath("CITATION.cff").read_text("utf-8").splitlines() if line.startswith("version")
    ]
    assert said == [f"version: {next(built.glob('*.whl')).name.split('-')[1]}"]


def test_an_installed_wheel_runs_a_study(built, tmp_path):
    site = tmp_path / "site"
    wheel = next(built.glob("*.whl"))
    called("pip", "install", "--quiet", "--no-deps", "--no-index", "--target", site, wheel, cwd=tmp_path)
    alone = {"env": os.environ | {"PYTHONPATH": str(site), "DECOCT_STORE": str(tmp_path / "store")}, "cwd": tmp_path}
    where = "import decoct; print(decoct.__file__)"
    assert Path(subprocess.check_output([sys.executable, "-c", where], text=True, **alone).strip()).is_relative_to(site)
    (tmp_path / "study.toml").write_text(STUDY, "utf-8")
    called("decoct", "run", "study.toml", "--out", "run", "--workers", "1", "--json", **alone)
    assert "packaged" in (tmp_path / "run" / "report.html").read_text("utf-8")
    version = wheel.name.split("-")[1]
    script = subprocess.check_output([site / "bin" / "decoct", "--version"], text=True, **alone)
    assert (script.strip(), json.loads(called("decoct", "doctor", "--json", **alone))["decoct"]) == (version, version)
