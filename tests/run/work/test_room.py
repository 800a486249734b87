"""A construction that does not fit is refused before anything runs, with the estimate."""

import psutil
import pytest

from decoct import api
from decoct.core.budget import Budget
from decoct.core.errors import DecoctError
from decoct.run.compute import Compute
from decoct.run.run import run
from decoct.run.study import Study
from decoct.run.work import room
from decoct.run.work.room import check_room

TEXT = '''
from typing import ClassVar
from decoct.core.kinds import Condenser


class Greedy(Condenser):
    """Takes all that there is."""

    family: ClassVar = "distillation"
    gib: float = 1e6

    def memory(self, shape, classes, ipc):
        return int(self.gib * 2**30) * ipc
'''


@pytest.fixture
def greedy(tmp_path):
    file = tmp_path / "greedy.py"
    file.write_text(TEXT)
    return str(file)


def test_the_machine_has_what_the_system_says_unless_a_container_may_use_less(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "LIMIT", tmp_path / "limit")
    total = psutil.virtual_memory().total
    assert room.room("cpu") == total
    room.LIMIT.write_text("max\n")
    assert room.room("cpu") == total
    room.LIMIT.write_text("4096\n")
    assert room.room("cpu") == 4096


def test_condense_refuses_with_the_estimate_before_it_reads_a_need(greedy, digits, tmp_path):
    compute = Compute(store=tmp_path / "store", plugins=(greedy,))
    with pytest.raises(DecoctError, match=r"greedy of 10 classes × 2 images of 1 × 8 × 8 .* 2,000,000\.0 GiB; cpu has"):
        api.condense("greedy", digits, ipc=2, compute=compute)
    assert not (tmp_path / "store").exists()


def test_a_study_is_refused_before_its_first_job(greedy, tmp_path):
    study = Study(name="s", condensers=("random", "greedy"), protocols=("erm",), plugins=(greedy,))
    with pytest.raises(DecoctError, match="greedy of 10 classes × 1 images"):
        run(study, tmp_path / "run")
    assert not (tmp_path / "run" / "store").exists()


def test_what_fits_and_what_estimates_nothing_passes(greedy, digits):
    from decoct.core.spec import parse

    check_room(parse("condenser", {"name": "greedy", "gib": 1e-6}, (greedy,)), digits, Budget(ipc=1), "cpu")
    check_room(parse("condenser", "random"), digits, Budget(ipc=1), "cpu")
