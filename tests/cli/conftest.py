"""The command line in this process, sets of digits, untrained checkpoints in place of teachers, folders of pictures."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from decoct.cli import main
from decoct.nets import zoo


@pytest.fixture
def decoct(capsys, monkeypatch):
    """``decoct WORDS``: exit code, stdout, stderr."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["decoct", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as leave:
            code = leave.code
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return call


@pytest.fixture
def refused(decoct):
    """A call that must fail: its exit code and its one to three lines on stderr, with nothing on stdout."""

    def call(code, *words):
        said = decoct(*words)
        assert said.code == code, said.err
        assert said.out == ""
        assert said.err.startswith("decoct: ")
        assert 1 <= len(said.err.splitlines()) <= 3
        assert "Traceback" not in said.err
        return said.err

    return call


@pytest.fixture(scope="session")
def brought(tmp_path_factory):
    """``--teacher NET=FILE`` for the two nets that digits need."""
    folder, words = tmp_path_factory.mktemp("checkpoints"), []
    for net in ("convnet2_bn", "test_efficientnet"):
        state = zoo.build(net, 1, 10, 8, seed=0).state_dict()
        file = folder / f"{net}.safetensors"
        save_file({name: value.contiguous() for name, value in state.items()}, file)
        words += ["--teacher", f"{net}={file}"]
    return words


@pytest.fixture
def picks(decoct, tmp_path):
    """A random set of ten digits."""
    folder = tmp_path / "picks"
    assert decoct("condense", "random", "--ipc", 1, "--out", folder).code == 0
    return folder


@pytest.fixture
def pictures(tmp_path):
    """``pictures(NAME, …)``: a folder with eight pictures a class."""

    def make(*classes):
        rng, root = np.random.default_rng(0), tmp_path / "pictures"
        for name in classes:
            (root / name).mkdir(parents=True)
            for i in range(8):
                Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
        return root

    return make


@pytest.fixture
def quick(tmp_path):
    """``quick(METHOD, …)``: a study of sets and students that take no time, and a method "unlucky" that fails."""
    (tmp_path / "unlucky.py").write_text(
        '"""A method that fails."""\n\n'
        "from decoct.core.interfaces import Condenser\n\n\n"
        "class Unlucky(Condenser):\n"
        '    """Fails."""\n\n'
        '    family = "coreset"\n\n'
        "    def __call__(self, inputs):\n"
        '        raise ValueError("no luck")\n',
        "utf-8",
    )

    def make(*methods):
        path = tmp_path / "quick.toml"
        path.write_text(
            f'name = "quick"\nstudents = ["convnet1_w8"]\nbudgets = [{{ipc = 1}}]\ncondensers = {list(methods)}\n'
            'protocols = [{name = "erm", steps = 2}]\nreplicates = {condense = 2}\nmetrics = {names = []}\n'
            'ceiling = false\nplugins = ["unlucky.py"]\n',
            "utf-8",
        )
        return path

    return make
