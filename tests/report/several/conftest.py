"""Second runs: of other data, of another seed, with cells of their own."""

import hashlib
import json
import shutil

import pytest

from decoct.core.record import cell_dir


@pytest.fixture
def edited():
    """``edited(FOLDER, fn)``: a run whose ``run.json`` went through ``fn``."""

    def edit(folder, change):
        run = json.loads((folder / "run.json").read_text())
        change(run)
        (folder / "run.json").write_text(json.dumps(run))
        return folder

    return edit


@pytest.fixture
def on_other_data(edited):
    """``on_other_data(FOLDER, NAME)``: a run whose data set is another one."""

    def edit(folder, name):
        def change(run):
            run["data"] |= {"name": name, "digest": hashlib.sha256(name.encode()).hexdigest()}

        return edited(folder, change)

    return edit


@pytest.fixture
def rekeyed(edited):
    """``rekeyed(FOLDER, SALT)``: a run whose cells have keys of their own, as if it had been told something else."""

    def edit(folder, salt, kinds=("condense", "train")):
        def change(run):
            new = {j["key"]: hashlib.sha256(f"{salt}{j['key']}".encode()).hexdigest()[:32] for j in run["jobs"]}
            for job in run["jobs"]:
                if job["kind"] in kinds:
                    old, job["key"] = job["key"], new[job["key"]]
                    source, target = (cell_dir(folder / "store", job["kind"], k) for k in (old, job["key"]))
                    if source.exists():
                        target.parent.mkdir(parents=True, exist_ok=True)
                        shutil.move(source, target)
            there = {job["key"] for job in run["jobs"]}
            for job in run["jobs"]:
                job["inputs"] = {role: key if key in there else new[key] for role, key in job["inputs"].items()}

        return edited(folder, change)

    return edit
