"""The report of runs that differ only in their seed: the same files as for one run, in a folder of its own."""

from collections.abc import Sequence
from pathlib import Path

from decoct.core.errors import UsageError
from decoct.core.owned import check_own, holds
from decoct.report.read.frame import Frame
from decoct.report.read.manifest import RUN
from decoct.report.read.pool import pool
from decoct.report.several.page import TITLE
from decoct.report.summary import PAGE, Summary
from decoct.report.write import FOLDER, write_frame

TABLES = ("results.parquet", "results.csv", "metrics.parquet", "costs.parquet", "scores.parquet", "scores.csv")


def write_pooled(frames: Sequence[Frame], out: Path) -> Summary:
    """Write page and tables of runs that are pooled, each file whole or not at all.

    Args:
        frames: of ``pool.groups``.
        out: folder, made if it is not there.

    Raises:
        UsageError: ``out`` is a run's own folder, or holds files of these names that decoct did not write.
    """
    if holds(out / RUN, "jobs"):
        raise UsageError(f"{out} is a run's own folder, with that run's report: choose another --out")
    page = out / PAGE
    ours = page.is_file() and TITLE in page.read_bytes()
    check_own(out, (PAGE, FOLDER, *TABLES), ours)
    out.mkdir(parents=True, exist_ok=True)
    return write_frame(out, pool(frames, out))
