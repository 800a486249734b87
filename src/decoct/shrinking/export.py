"""What is written: the set's files, the lists, and the page of the answer."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from decoct.core.interfaces import Progress
from decoct.core.record import write_json
from decoct.shrinking.answer import Answer
from decoct.shrinking.pool import Pool
from decoct.shrinking.reading.originals import original, original_path
from decoct.shrinking.written import files, lists
from decoct.shrinking.written.lists import Column
from decoct.shrinking.written.nearest import nearest_kept
from decoct.shrinking.written.page import render
from decoct.shrinking.written.pngs import write_pngs

ANSWER = "answer.json"


def write(
    pool: Pool,
    answer: Answer,
    keep: NDArray[np.int64],
    columns: tuple[Column, ...],
    out: Path,
    how: files.How,
    force: bool,
    bar: Callable[[str], Progress],
) -> Answer:
    """Write everything into ``out``, all or nothing; the answer says where it is, and what could not keep its name.

    Args:
        pool: of all images.
        answer: with the rows of the set; without any, only the lists and the page are written.
        keep: rows that the user wanted to stay.
        columns: scores of the images.
        out: the folder.
        how: see ``files.export``.
        force: replace what decoct made there.
        bar: gives the progress of copying.
    """
    kept, made, method = np.array(answer.rows, np.int64), answer.made, answer.method or ""
    way = how if len(kept) else "list"
    otherwise = "not chosen" if made is None else f"not in the set, whose images are made by {method}"
    why = lists.reasons(pool, kept, method, answer.problems, keep, method not in ("random", "ccs"), otherwise)
    place = str(out)
    listed = {name: f"{place}/{file}" for name, file in (("kept", lists.KEPT), ("left_out", lists.LEFT_OUT))}
    where = {**({"set": place} if way != "list" or made else {}), **listed, "page": f"{place}/{files.PAGE}"}
    where["answer"] = f"{place}/{ANSWER}"
    if answer.problems:
        where["problems"] = f"{place}/{lists.PROBLEMS}"
    answer = replace(answer, files=where)

    def also(folder: Path) -> None:
        if made is not None:
            write_pngs(folder, pool, made, method)
        (folder / files.PAGE).write_text(render(answer, pool, made or (kept if len(kept) else None)), "utf-8")
        write_json(folder / ANSWER, answer.to_json())

    told = files.export(
        pool,
        kept,
        out,
        way,
        why,
        original=original,
        original_path=original_path,
        columns=columns,
        nearest=nearest_kept(pool, np.arange(len(pool)), kept) if len(kept) else None,
        problems=answer.problems,
        force=force,
        also=also,
        progress=bar("writing the set"),
    )
    if made is not None and how != "copy":
        told = (*told, f"The images of the set are made: they are PNG files in {place}, whatever --as {how} says.")
    return replace(answer, said=(*answer.said, *told))


def named(pool: Pool) -> str:
    """What kinds of splits a source has, in a few words."""
    counts = [int((pool.split == split).sum()) for split in (0, 1, 2)]
    if counts[1] == counts[2] == 0:
        return ""
    words = [f"{number:,} {name}" for number, name in zip(counts, ("train", "val", "test"), strict=True) if number]
    return f" ({', '.join(words)})"
