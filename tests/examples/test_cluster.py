"""The files for clusters parse, and name only what is there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

import decoct
from decoct.cli import app

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "examples" / "cluster"
BASH = shutil.which("bash")
yaml = pytest.importorskip("yaml")


@pytest.mark.parametrize("path", sorted(CLUSTER.glob("*.yaml")), ids=lambda path: path.name)
def test_a_cluster_is_one_that_ray_takes(path):
    ray, jsonschema = pytest.importorskip("ray"), pytest.importorskip("jsonschema")
    config = yaml.safe_load(path.read_text("utf-8"))
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text("utf-8"))
    jsonschema.validate(config, schema)
    if types := config.get("available_node_types"):
        assert config["head_node_type"] in types
    for named in re.findall(r"decoct\[.*?\]==(\S+?)\"", path.read_text("utf-8")):
        assert named == decoct.__version__


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_the_slurm_script_parses_and_says_what_it_lacks(tmp_path):
    script = CLUSTER / "slurm.sh"
    subprocess.run([BASH, "-n", script], check=True)
    said = subprocess.run([BASH, script], env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert said.returncode and "STUDY: path of a study" in said.stderr


def test_every_option_in_the_guide_is_one_that_decoct_run_has():
    guide = (ROOT / "docs" / "cluster.md").read_text("utf-8") + (CLUSTER / "slurm.sh").read_text("utf-8")
    commands = re.findall(r"decoct run [^`'|\n]*", guide)
    assert len(commands) > 5
    (run,) = [command for name, command in typer.main.get_command(app).commands.items() if name == "run"]
    known = {option for parameter in run.params for option in parameter.opts}
    for command in commands:
        assert set(re.findall(r"--[a-z]+", command)) <= known, command
    for named in re.findall(r"examples/cluster/[\w.-]+", guide):
        assert (ROOT / named).is_file()
