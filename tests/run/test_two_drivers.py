"""Two drivers on one store: both finish, nothing is lost, and what is left is as if there had been one."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from decoct.run.run import run
from decoct.run.storage.store import Store
from decoct.run.storage.upkeep import verify

DRIVER = """
import json
import sys
from pathlib import Path

from decoct.run.run import run
from decoct.run.study import Study

if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    table, out, store = sys.argv[1:]
    print(json.dumps(run(Study.from_dict(json.loads(table)), Path(out), store=store)))
"""


@pytest.mark.parametrize("apart", [True, False])
def test_two_drivers_on_one_store(study_of, bad, contents, tmp_path, apart):
    """In two runs on a shared store, and in one folder."""
    study, store = study_of("random", "good", replicates=2), tmp_path / "shared"
    assert run(study, tmp_path / "alone") == {}
    table = json.dumps(study.model_dump(mode="json", exclude_unset=True))
    outs = [tmp_path / ("one" if apart else "both"), tmp_path / ("two" if apart else "both")]
    command = [sys.executable, "-c", DRIVER, table]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    drivers = [
        subprocess.Popen(
            [*command, str(out), str(store)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for out in outs
    ]
    for driver in drivers:
        assert driver.stdout.readline() == "ready\n"
    for driver in drivers:  # both have imported all: they plan the same, and race for every cell
        driver.stdin.write("\n")
        driver.stdin.flush()
    for driver in drivers:
        said, _ = driver.communicate(timeout=300)
        assert driver.returncode == 0 and json.loads(said) == {}
    assert {each.state for each in verify(Store(store))} == {"whole"}
    assert list(store.glob(".tmp-*")) == []
    shutil.rmtree(store / "studies")
    assert contents(store) == contents(tmp_path / "alone" / "store")
