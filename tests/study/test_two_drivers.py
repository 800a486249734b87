"""Two drivers on one store: both finish, nothing is lost, and what is left is as if there had been one."""

import json
import os
import shutil
import subprocess
import sys

from decoct.study.run import run
from decoct.study.store.store import Store
from decoct.study.store.upkeep import verify

DRIVER = """
import json
import sys
from pathlib import Path

from decoct.study.run import run
from decoct.study.study import Study

if __name__ == "__main__":
    table, *places = sys.argv[1:]
    for out, store in zip(places[::2], places[1::2], strict=True):
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(run(Study.from_dict(json.loads(table)), Path(out), store=store)), flush=True)
"""


def test_two_drivers_on_one_store(study_of, bad, contents, tmp_path):
    """In two runs on a shared store, then in one folder."""
    study, stores = study_of("random", "good", replicates=2), (tmp_path / "shared", tmp_path / "own")
    assert run(study, tmp_path / "alone") == {}
    table = json.dumps(study.model_dump(mode="json", exclude_unset=True))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    drivers = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                DRIVER,
                table,
                *map(str, (tmp_path / name, stores[0], tmp_path / "both", stores[1])),
            ],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for store in stores:
        for driver in drivers:
            assert driver.stdout.readline() == "ready\n"
        for driver in drivers:  # both have imported all: they plan the same, and race for every cell
            driver.stdin.write("\n")
            driver.stdin.flush()
        for driver in drivers:
            assert json.loads(driver.stdout.readline()) == {}
        assert {each.state for each in verify(Store(store))} == {"whole"}
        assert list(store.glob(".tmp-*")) == []
        shutil.rmtree(store / "studies")
        assert contents(store) == contents(tmp_path / "alone" / "store")
    for driver in drivers:
        driver.communicate(timeout=300)
        assert driver.returncode == 0
