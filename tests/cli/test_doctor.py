"""The doctor says what is there as the libraries themselves say it, and what is wrong with what is made to be wrong."""

import json
import tomllib
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import constants

from decoct.cli import doctor
from decoct.data.reading.parallel import cores

PROJECT = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DECOCT_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(doctor, "LITTLE", 0)
    monkeypatch.setattr(doctor, "DRIVER", tmp_path / "none")
    return tmp_path / "store"


def test_it_says_what_is_there(decoct, store):
    said = decoct("doctor", "--json")
    found = json.loads(said.out)
    assert (said.code, found["problems"], found["broken"]) == (0, [], {})
    wanted = next(one for one in PROJECT["dependencies"] if one.startswith("torch>")).removeprefix("torch")
    assert found["packages"]["torch"] == {"wanted": wanted, "version": metadata.version("torch"), "fits": True}
    assert found["machine"]["cores"] == cores() and found["machine"]["memory"] > 10**8
    assert bool(found["machine"]["gpus"]) == torch.cuda.is_available()
    assert found["store"]["where"] == str(store) and found["store"]["writable"]
    assert found["weights"]["timm:tf_efficientnet_lite0"].endswith(".pth")
    assert not store.exists()  # it only looked
    read = decoct("doctor")
    assert read.code == 0 and "problems" not in read.out
    for word in (found["decoct"], found["python"], metadata.version("numpy"), "cores" if cores() > 1 else "core"):
        assert word in read.out


def test_every_extra_of_users_has_a_line():
    developers = {"bench", "docs", "test"}
    assert set(PROJECT["optional-dependencies"]) - developers == set(doctor.EXTRAS)
    found = doctor.packages()
    assert set(found["extras"]["diffusion"]) == {"diffusers", "transformers"}
    assert not set(found["packages"]) & {"ray", "mkdocs", "pytest"}


def test_what_is_missing_or_old_is_a_problem(decoct, store, monkeypatch):
    real = metadata.version

    def version(name):
        if name in ("ray", "pyarrow"):
            raise metadata.PackageNotFoundError(name)
        return "0.9" if name == "timm" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    said = decoct("doctor")
    assert said.code == 1
    asked = {one.partition(">=")[0]: one for one in PROJECT["dependencies"]}
    assert f"timm is 0.9: pip install '{asked['timm']}'" in said.out
    assert f"pyarrow is missing: pip install '{asked['pyarrow']}'" in said.out
    assert "--on ray: no, pip install 'decoct[ray]'" in said.out


def test_a_torch_that_does_not_load_is_told(decoct, store, monkeypatch):
    def load(name):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nand more")

    monkeypatch.setattr(doctor, "importlib", SimpleNamespace(import_module=load))
    said = decoct("doctor")
    assert said.code == 1
    assert "torchvision cannot be loaded: operator torchvision::nms does not exist" in said.out.replace("\n  ", " ")
    assert "weights" not in said.out and "Traceback" not in said.err


def test_gpus_and_a_driver_without_them(store, monkeypatch, tmp_path):
    (tmp_path / "none").write_text("NVRM version: 570", "utf-8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    facts = {"packages": {}, "broken": {}, "store": {"where": "s3://bucket"}, "machine": doctor.machine()}
    assert [line.partition(":")[0] for line in doctor.problems(facts)] == [
        "this machine has an NVIDIA driver, but torch sees no GPU"
    ]
    seen = SimpleNamespace(name="NVIDIA H100", total_memory=85 * 10**9, major=9)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: seen)
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: True)  # which asks the GPU
    facts["machine"] = found = doctor.machine()
    assert found["gpus"] == 2 * [{"name": "NVIDIA H100", "memory": 85 * 10**9, "bfloat16": True}]
    assert found["no_gpu"] == "" and not list(doctor.problems(facts))


@pytest.mark.parametrize("fast", [False, True])
def test_a_processor_says_how_it_computes_in_bfloat16(decoct, store, monkeypatch, fast):
    monkeypatch.setattr("decoct.nets.precision.NATIVE", fast)
    assert json.loads(decoct("doctor", "--json").out)["machine"]["bfloat16"] is fast
    assert ("bfloat16 by way of float32" in decoct("doctor").out) is not fast


def test_a_store_that_cannot_be_written(decoct, store, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DECOCT_STORE", str(tmp_path / "file" / "store"))
    said = decoct("doctor")
    assert said.code == 1 and "cannot be written: let DECOCT_STORE name" in said.out
    monkeypatch.setenv("DECOCT_STORE", str(store))
    monkeypatch.setattr(doctor, "LITTLE", 2**70)
    assert "is almost full" in decoct("doctor").out


def test_weights_in_the_hub_s_cache(store, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for repo, name in (
        ("timm--vit_small_patch14_dinov2.lvd142m", "model.safetensors"),
        ("facebook--DiT-XL-2-256", "model_index.json"),
    ):
        root = tmp_path / "hub" / f"models--{repo}"
        file = root / "snapshots" / "0" / name
        file.parent.mkdir(parents=True)
        file.touch()
        (root / "refs").mkdir()
        (root / "refs" / "main").write_text("0", "ascii")
    found = doctor.weights()
    assert found["dinov2_s"] == str(
        file.parents[3] / "models--timm--vit_small_patch14_dinov2.lvd142m/snapshots/0/model.safetensors"
    )
    assert found["dinov2"] is None
    assert doctor.generators() == ["facebook/DiT-XL-2-256"]
