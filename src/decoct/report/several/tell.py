"""Comparison and leaderboard as plain values for JSON, and the leaderboard's files."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decoct.core.owned import check_own
from decoct.core.scratch import replace
from decoct.report import frame
from decoct.report.accuracy import Accuracy
from decoct.report.sections.ranks import Ranks
from decoct.report.several.change import Change
from decoct.report.several.compare import Compared, Trained
from decoct.report.several.leaderboard import Board, Panel, leaderboard
from decoct.report.several.page import render
from decoct.report.several.prices import Priced
from decoct.report.several.readings import Read
from decoct.report.stats import Interval

PAGE, TABLE = "leaderboard.html", "leaderboard"
TITLE = " · decoct</title>".encode()


def write_leaderboard(folders: list[Path], out: Path) -> Board:
    """Write ``leaderboard.html``, ``.parquet`` and ``.csv`` of several runs, each file whole or not at all.

    Args:
        folders: of the runs.
        out: folder, made if it is not there.

    Raises:
        DecoctError: one is no run, or is damaged.
        UsageError: they cannot stand on one board, or ``out`` holds files of these names that decoct did not write.
    """
    page = out / PAGE
    ours = page.is_file() and TITLE in page.read_bytes()
    check_own(out, (PAGE, f"{TABLE}.parquet", f"{TABLE}.csv"), ours)
    found = leaderboard([frame.read(folder) for folder in folders])
    out.mkdir(parents=True, exist_ok=True)
    frame.write(out, TABLE, found.table(), csv=True)
    text = render(found)
    replace(page, lambda path: path.write_text(text, "utf-8"))
    return found


def board_json(found: Board, page: Path) -> dict[str, Any]:
    """For ``json.dumps``; what is not defined is None."""
    return {
        "report": str(page),
        "data": list(found.data),
        "runs": [
            {
                "folder": str(e.run.folder),
                "name": e.run.name,
                "data": e.data,
                "digest": e.run.data["digest"],
                "planned": e.planned,
                "trained": e.trained,
            }
            for e in found.entries
        ],
        "methods": dict(found.methods),
        "unlike": list(found.unlike),
        "accuracy": [
            {key: _number(value) for key, value in row.items() if key not in ("lo", "hi")}
            | {"ci95": _ends(row["lo"], row["hi"])}
            for row in found.table().to_pylist()
        ],
        "ranks": _panels(found.ranks),
        "ranks_over_data_sets": _panels(found.over_data),
    }


def comparison_json(found: Compared) -> dict[str, Any]:
    """For ``json.dumps``; what is not defined is None."""
    sides = {}
    for side, tables in (("a", found.a), ("b", found.b)):
        run = tables.manifest
        planned = len(run.of_kind("train"))
        sides[side] = {
            "folder": str(run.folder),
            "name": run.name,
            "planned": planned,
            "trained": tables.results.num_rows,
        }
    return {
        **sides,
        "settings": list(found.settings),
        "paired": found.paired,
        "margin": found.margin,
        "overall": found.overall(),
        "accuracy": [_trained(row) for row in found.trained],
        "metrics": [_read(row) for row in found.read],
        "costs": [_priced(row) for row in found.priced],
        "not_compared": list(found.unlike),
        "results_in_one_alone": dict(found.alone),
    }


def _trained(row: Trained) -> dict[str, Any]:
    return {
        "method": row.a.method,
        **row.a.setting._asdict(),
        "a": _accuracy(row.a),
        "b": _accuracy(row.b),
        **_change(row.change),
        "conditional_on_set": row.conditional,
        "text": row.sentence(),
    }


def _read(row: Read) -> dict[str, Any]:
    return {
        "method": row.a.method,
        "budget": row.a.budget,
        **row.a.name._asdict(),
        "higher_is_better": row.a.higher_is_better,
        "a": _number(row.a.interval.mean),
        "b": _number(row.b.interval.mean),
        **_change(row.change),
    }


def _priced(row: Priced) -> dict[str, Any]:
    return {
        "method": row.method,
        "budget": row.budget,
        "cost": row.what,
        "a": row.a,
        "b": row.b,
        "ratio": _number(row.ratio.mean) if row.ratio else None,
        "ci95": _bounds(row.ratio) if row.ratio else None,
        "n": row.ratio.n if row.ratio else None,
    }


def _change(c: Change | None) -> dict[str, Any]:
    if c is None:
        return {"same": True, "difference": 0.0, "ci95": None, "n": None, "paired": None, "p": None, "verdict": None}
    return {
        "same": False,
        "difference": _number(c.interval.mean),
        "ci95": _bounds(c.interval),
        "n": list(c.n),
        "paired": c.paired,
        "p": _number(c.p),
        "verdict": c.word,
    }


def _accuracy(a: Accuracy) -> dict[str, Any]:
    return {"accuracy": a.interval.mean, "ci95": _bounds(a.interval), "n": a.interval.n}


def _panels(found: Mapping[Panel, Ranks]) -> list[dict[str, Any]]:
    return [
        {
            "protocol": panel[0],
            "student": panel[1],
            "mean": dict(own.mean),
            "blocks": [list(block) for block in own.blocks],
            "incomplete": own.incomplete,
            "not_ranked": list(own.absent),
            "p": _number(own.p),
            "critical_difference": _number(own.critical),
            "not_told_apart": [list(group) for group in own.groups],
            "text": own.sentences(),
        }
        for panel, own in found.items()
    ]


def _bounds(i: Interval) -> list[float] | None:
    return _ends(i.lo, i.hi)


def _ends(lo: float, hi: float) -> list[float] | None:
    return [lo, hi] if math.isfinite(lo) and math.isfinite(hi) else None


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
