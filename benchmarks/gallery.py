"""A sheet of sets by a few coresets and decoupled methods from real colour pictures, for docs/results.

    python examples/clipart.py runs/openclipart
    python benchmarks/gallery.py runs/openclipart docs/results/gallery.png

Debian's clip art at 64 px, two images per class, the presets for two cores with narrow ConvNets as teachers. The pages
of the methods show their panels of the sheet.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import decoct
from decoct.core.spec import find
from decoct.data.dataset import load_data
from sheet import panel, sheet

TEACHER, COMMITTEE = "convnet4_bn_w32", ("convnet4_bn_w32", "convnet3_bn_w32", "convnet4_bn_w16")
SEVERAL = ("g_vbsm", "edc", "cv_dd", "fadrm")  # whose paper has several nets
METHODS = (
    *("random", "herding", "k_center", "rded"),
    *("sre2l", "cda", "g_vbsm", "edc"),
    *("cv_dd", "fadrm", "delt", "cim"),
)
CLASSES, IPC = 8, 2


def fields(name: str) -> dict[str, Any]:
    """The preset for two cores, with nets that know 64 px."""
    spec = find("condenser", name)
    known = set(spec.model_fields)
    made: dict[str, Any] = {"preset": "small_cpu"} if "preset" in known else {}
    made |= {"nets": COMMITTEE if name in SEVERAL else (TEACHER,)} if "nets" in known else {}
    return made | dict.fromkeys(known & {"teacher", "extractor", "ranker"}, TEACHER)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path, help="what examples/clipart.py made")
    arguments.add_argument("out", type=Path, help="the sheet")
    asked = arguments.parse_args()
    data = load_data({"name": "folder", "path": str(asked.data), "size": 64, "skip_corrupt": True})
    panels = {}
    for name in METHODS:
        start = time.perf_counter()
        made = decoct.condense(name, data, ipc=IPC, **fields(name))
        panels[name] = panel(made, data.train.images, CLASSES, IPC)
        print(f"{name:9} {time.perf_counter() - start:6.1f} s", flush=True)
        sheet(panels).save(asked.out)


if __name__ == "__main__":
    main()
