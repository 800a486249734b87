"""A set as Parquet with its pictures inside, and as a folder for Hugging Face's ``datasets`` and its hub."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from decoct.core.condensed import Condensed, png, to_bytes

SHARD, CARD = "data/train-00000-of-00001.parquet", "README.md"
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LICENCE = (
    "The images come from, or were made from, the source data set: its licence and terms hold for them, and whoever "
    "shares this set must keep to them. decoct does not know them."
)


def write_hub_folder(folder: Path, condensed: Condensed, readings: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write a set with its pixels as ``SHARD``, and a card, ``README.md``, with readings of ``decoct measure``."""
    (folder / SHARD).parent.mkdir(parents=True)
    write_parquet(folder / SHARD, condensed)
    (folder / CARD).write_text(card(condensed, readings), "utf-8")


def write_parquet(path: Path, condensed: Condensed) -> None:
    """Write the set as one file: a PNG and a class a row, soft labels and weights as further columns.

    Exact for uint8 images; float images are quantised with a warning that states the error, and bare picks are a
    DecoctError. What decoct knows of the set stands in the schema's metadata.
    """
    import pyarrow as pa
    from pyarrow import parquet

    images = to_bytes(condensed.pixels())
    pictures = [{"bytes": png(image), "path": f"{row:06d}.png"} for row, image in enumerate(images)]
    columns: dict[str, Any] = {
        "image": pa.array(pictures, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "label": pa.array(condensed.labels, pa.int64()),
    }
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": list(condensed.class_names), "_type": "ClassLabel"},
    }
    number = {"dtype": "float32", "_type": "Value"}
    if condensed.soft_labels is not None:
        columns["soft_label"] = pa.array(list(condensed.soft_labels), pa.list_(pa.float32()))
        features["soft_label"] = {"feature": number, "_type": "Sequence"}
    if condensed.weights is not None:
        columns["weight"] = pa.array(condensed.weights, pa.float32())
        features["weight"] = number
    cost = None if condensed.cost is None else condensed.cost.model_dump(mode="json")
    known: dict[str, Any] = {
        "provenance": condensed.provenance.model_dump(mode="json"),
        "mosaic": condensed.mosaic,
        "cost": cost,
    }
    known |= {} if condensed.rate is None else {"rate": condensed.rate}
    said = {"huggingface": {"info": {"features": features}}, "decoct": known}
    table = pa.table(columns)
    parquet.write_table(table.replace_schema_metadata({k: json.dumps(v) for k, v in said.items()}), path)


def is_export(path: Path) -> bool:
    """Whether a file is one that ``write_parquet`` wrote."""
    from pyarrow import ArrowException, parquet

    try:
        return b"decoct" in (parquet.read_schema(path).metadata or {})
    except (OSError, ArrowException):
        return False


def card(condensed: Condensed, readings: Sequence[Mapping[str, Any]] = ()) -> str:
    """The card: YAML that the hub reads, then what the set is, how it was made, what it cost, and its main readings."""
    who, cost = condensed.provenance, condensed.cost
    title = f"{who.method} on {who.data}, {who.budget}"
    size = next((word for limit, word in SIZES if len(condensed) < limit), "1M<n<10M")
    head = {
        "pretty_name": _yaml(title),
        "task_categories": "[image-classification]",
        "size_categories": f"[{_yaml(size)}]",
        "tags": "[dataset-distillation, coreset-selection, decoct]",
        "license": "other",
    }
    config = ["configs:", "- config_name: default", "  data_files:", "  - split: train", "    path: data/train-*"]
    lines = ["---", *(f"{key}: {value}" for key, value in head.items()), *config, "---", "", f"# {_text(title)}", ""]
    classes = len(condensed.class_names)
    lines += [f"A small training set: {len(condensed)} images of {classes} classes, written by decoct.", ""]
    facts: dict[str, Any] = {
        "method": who.method,
        **{f"· {key}": value for key, value in who.spec.get("fields", {}).items() if value is not None},
        "budget": who.budget,
        "seed": "none: deterministic, or unknown" if who.seed is None else who.seed,
        "source data": who.data,
        "source digest": who.data_digest or "unknown",
        "tiles per side of each image": condensed.mosaic,
        **({} if condensed.rate is None else {"learnt rate": f"{condensed.rate:g}"}),
        **({"not counted in the cost": "; ".join(who.not_counted)} if who.not_counted else {}),
        **{f"{generator} has seen": seen for generator, seen in who.seen.items()},
    }
    lines += [*_table(("", ""), facts.items()), "", "## Cost", ""]
    if cost is None:
        lines.append("Unknown.")
    else:
        took = {
            "wall time (s)": f"{cost.seconds:.6g}",
            "processor time (s)": f"{cost.cpu_seconds:.6g}",
            "accelerator time (s)": f"{cost.device_seconds:.6g}",
            "peak memory (bytes)": cost.peak_memory,
            "machine": f"{cost.hardware} ({cost.device})",
        }
        lines += ["Including everything that the set uses, such as teachers.", "", *_table(("", ""), took.items())]
    leading = [row for row in readings if row.get("lead") and row.get("value") is not None]
    if leading:
        rows = [(r["metric"], f"{r['value']:.4g}", r["scope"], r["reference"], r["extractor"]) for r in leading]
        lines += ["", "## Metrics", "", *_table(("metric", "value", "scope", "against", "features"), rows)]
    columns = "`image` and `label`"
    columns += ", `soft_label` (probabilities, in class order)" if condensed.soft_labels is not None else ""
    columns += ", `weight` (relative to the mean)" if condensed.weights is not None else ""
    return "\n".join([*lines, "", "## Use", "", f"Columns: {columns}.", "", "## Licence", "", LICENCE, ""])


def _table(head: Sequence[str], rows: Any) -> list[str]:
    """A table in Markdown; nothing in a cell can be markup."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join(map(_text, row))} |" for row in rows]


def _text(value: object) -> str:
    """A value as Markdown that says it and nothing else: one line, no markup, no HTML."""
    line = " ".join(_printable(str(value)).split())
    return re.sub(r"([\\`*_{}\[\]()#|~>])", r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;"))


def _yaml(value: str) -> str:
    """A double-quoted YAML scalar."""
    return json.dumps(_printable(value), ensure_ascii=False)


def _printable(value: str) -> str:
    return "".join(c if c.isprintable() else " " for c in value)
