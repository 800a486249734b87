"""Small studies of every method, protocol and metric, for ``same_results.py``: digits, and colour pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RECOVERY = {"preset": "small_cpu", "iterations": 4}
MATCHING = {"net": "convnet2_w8", "iterations": 2, "batch": 16}
EXPERTS = {"net": "convnet2_w8", "experts": 2, "epochs": 3, "iterations": 3, "syn_steps": 2}
SAMPLING = {"steps": 4, "batch": 4}
SCORES = {"net": "convnet2_w8"}
SMALL: dict[str, dict[str, Any]] = {  # fields that make a method quick; a method that is not here runs as it is
    **dict.fromkeys(("cda", "cv_dd", "delt", "edc", "fadrm", "g_vbsm"), RECOVERY),
    **{"sre2l": RECOVERY | {"shards": 2}, "cim": RECOVERY | {"candidates": 20}},
    **{"rded": {"preset": "small_cpu", "candidates": 20, "shards": 2}, "rded_crops": {"candidates": 20}},
    **{"dm": MATCHING, "dc": MATCHING | {"inner": 2}, "dsa": MATCHING | {"inner": 2}, "mtt": EXPERTS, "datm": EXPERTS},
    **{"d4m_class": SAMPLING, "mgd3": SAMPLING | {"shards": 2}, "minimax": SAMPLING | {"iterations": 6, "phase": 2}},
    "igd": SAMPLING | {"net": "convnet2_w8", "epochs": 2, "low": 0.25, "real": 20},
    **dict.fromkeys(("aum", "ccs", "d2", "dual", "entropy", "forgetting", "least_confidence", "margin"), SCORES),
    **{"tdds": SCORES, "el2n": SCORES | {"runs": 2}, "grand": SCORES | {"runs": 2}, "zcore": {"draws": 2000}},
    "confident": SCORES | {"folds": 2, "epochs": 2},
}
SUPPLIED = ("d4m",)  # need a generator that is not trained here
TEACHERS = ("convnet2_bn", "convnet3_bn", "resnet10t", "test_efficientnet", "test_resnet")


def toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(each)}" for name, each in value.items()) + "}"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def write_studies(folder: Path, known: dict[str, list[str]]) -> None:
    """Write ``digits.toml``, ``colours.toml`` and ``bfloat16.toml`` of what both sides know, and what they read."""
    rng, dyes = np.random.default_rng(1), ((200, 80, 60), (60, 180, 90), (70, 90, 210))
    for dye, count in zip(dyes, (40, 50, 60), strict=True):
        (pictures := folder / "pictures" / str(dye[0])).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(rng.normal(dye, 60, (16, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(pictures / f"{i}.png")
    brought = rng.integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
    np.savez(folder / "brought.npz", images=brought, labels=np.arange(6) % 3)
    both: dict[str, Any] = {
        "seed": 5,
        "budgets": [{"ipc": 2}],
        "condensers": [{"name": name} | SMALL.get(name, {}) for name in known["methods"] if name not in SUPPLIED],
        "teachers": [{"net": net, "epochs": 2} for net in TEACHERS],
        "generators": [{"generator": "own", "epochs": 2, "width": 8}],
        "metrics": {"names": known["metrics"], "draws": 2, "resamples": 2},
    }
    protocols: list[dict[str, Any]] = [{"name": name, "steps": 6} for name in known["protocols"]]
    digits = [*protocols, {"name": "dc", "label": "dc_own", "steps": 6, "dsa": True, "own_labels": True}]
    studies: dict[str, dict[str, Any]] = {
        "digits": {"students": ["convnet2_w8"], "protocols": digits, "replicates": {"condense": 2}},
        "colours": {
            "students": ["convnet2_bn_w8"],
            "replicates": {"condense": 1},
            "data": {"name": "folder", "path": "pictures", "size": 16},
            "same_steps": True,
            "protocols": [protocols[0], {"name": "single_teacher", "steps": 6, "labels": {"bits": 16}}],
            "external": [{"label": "brought", "path": "brought.npz"}],
        },
        # A student alone: in bfloat16 on a CPU, some weights of ResNets on so few pixels are no two times the same.
        "bfloat16": {
            "precision": "bfloat16",
            "condensers": ["random"],
            "protocols": [{"name": "erm", "steps": 20}],
            "metrics": {"names": []},
        },
    }
    for name, study in studies.items():
        lines = [f"{key} = {toml(value)}\n" for key, value in ({"name": name} | both | study).items()]
        (folder / f"{name}.toml").write_text("".join(lines), "utf-8")
