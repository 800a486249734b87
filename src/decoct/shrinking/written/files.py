"""A set as the user's own files: copied, linked or listed beside ``kept.csv`` and ``left_out.csv``; all or nothing."""

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Progress, silent
from decoct.core.owned import LIST, check_free, whole
from decoct.report.wording import size
from decoct.shrinking.answer import Problem
from decoct.shrinking.pool import Pool
from decoct.shrinking.written.lists import KEPT, LEFT_OUT, PROBLEMS, Column, write_lists, write_problems
from decoct.shrinking.written.places import parts, places

How = Literal["copy", "symlink", "hardlink", "list"]
Original = Callable[[Pool, int], tuple[bytes, str]]  # an image's bytes as they were, and their ending
OriginalPath = Callable[[Pool, int], Path | None]  # its file, where it has one of its own
PAGE = "report.html"
CLUSTER = 4096  # bytes: files take a whole number of them
OTHERWISE = "use --as copy, or --as symlink"
LINKLESS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES}  # why a hard link is refused


def check_out(pool: Pool, out: Path, how: str, original_path: OriginalPath, force: bool = False) -> None:
    """Raise a UsageError where a set cannot be exported, so that nobody waits for it: see ``export``."""
    if how not in get_args(How):
        raise UsageError(f"--as is one of {', '.join(get_args(How))}, not '{how}'")
    place, source = out.resolve(), Path(pool.source).expanduser().resolve()
    if source.is_dir() and place.is_relative_to(source):
        raise UsageError(f"{out} lies in {pool.source}, where its images would count as yours: choose another --out")
    check_free(out, force)
    if how in ("symlink", "hardlink") and len(pool) and original_path(pool, 0) is None:
        raise UsageError(f"the images of {pool.source} are no files that can be linked to: use --as copy or --as list")


def export(
    pool: Pool,
    kept: NDArray[np.int64],
    out: Path,
    how: How,
    why: Sequence[str],
    *,
    original: Original,
    original_path: OriginalPath,
    columns: Sequence[Column] = (),
    nearest: NDArray[np.int64] | None = None,
    problems: Sequence[Problem] = (),
    force: bool = False,
    also: Callable[[Path], Any] = lambda folder: None,
    progress: Progress = silent,
) -> tuple[str, ...]:
    """Make the folder ``out`` with a set's original files, its lists, and what ``also`` adds.

    Files keep folders, names, formats and bytes (``places`` says where each lies). Originals are only read. A hard link
    is the original file itself under a second name: who changes it changes both. The folder is made beside its place
    and renamed, so that what is killed leaves nothing under its name.

    Args:
        pool: of all images.
        kept: of them, in the order in which they were chosen.
        out: the folder; what is there is replaced only with ``force``, and only if decoct made all of it.
        how: symlinks are absolute; "list" makes the lists alone.
        why: [N], why each image is kept or left out.
        original: gives an image's bytes where it has no file of its own.
        original_path: gives its file.
        columns: scores for the lists.
        nearest: [N], the nearest kept image of each; None leaves the column out.
        problems: for ``problems.csv``; it is left out where there are none.
        force: see ``out``.
        also: writes further files into the folder that it is given, such as the page.
        progress: over files.

    Returns:
        sentences on files that could not keep their names.

    Raises:
        UsageError: ``out`` is taken or lies among the originals, or images cannot be linked like this.
        DecoctError: the disk has no room, or an original has gone or changed since it was read.
    """
    check_out(pool, out, how, original_path, force)
    out.resolve().parent.mkdir(parents=True, exist_ok=True)
    if how == "copy":
        _check_room(pool, kept, out)
    with whole(out) as folder:
        folder.mkdir()
        files: list[str] = []
        if how != "list":
            files = _Writer(pool, folder, how, original, original_path).write(kept, progress)
        write_lists(folder, pool, kept, why, columns, nearest, files)
        if problems:
            write_problems(folder, problems)
        also(folder)
    return _renamed(pool, kept, files)


class _Writer:
    """Brings originals into a folder that nobody else sees yet."""

    def __init__(self, pool: Pool, folder: Path, how: How, original: Original, original_path: OriginalPath) -> None:
        self.pool, self.folder, self.how = pool, str(folder), how
        self.original, self.original_path = original, original_path

    def write(self, kept: NDArray[np.int64], progress: Progress) -> list[str]:
        """Write the images; where each lies in the folder."""
        rows = kept.tolist()
        sources = [self.original_path(self.pool, row) for row in rows]
        endings = ["" if source else self._aside(row) for row, source in zip(rows, sources, strict=True)]
        reserved = (KEPT, LEFT_OUT, PROBLEMS, PAGE, LIST)
        files = places(self.pool, kept, endings, reserved, folds(Path(self.folder)))
        for folder in dict.fromkeys(file.rpartition("/")[0] for file in files):
            os.makedirs(f"{self.folder}/{folder}", exist_ok=True)  # noqa: PTH103
        for done, (row, source, file) in enumerate(zip(rows, sources, files, strict=True), 1):
            target = f"{self.folder}/{file}"
            if source is None:
                os.rename(self._part(row), target)  # noqa: PTH104
            else:
                self._bring(source, target, row)
            progress(done, len(rows))
        return files

    def _aside(self, row: int) -> str:
        """Write an image that has no file; its ending, which its name needs, is known only now."""
        data, ending = self.original(self.pool, row)
        with open(self._part(row), "xb") as file:  # noqa: PTH123
            file.write(data)
        return f".{ending.lstrip('.')}" if ending else ""

    def _part(self, row: int) -> str:
        return f"{self.folder}/.{row}.part"

    def _bring(self, source: Path, target: str, row: int) -> None:
        own = os.path.realpath(source)  # a link to a link would break with the first of them
        try:
            if os.stat(own).st_size != self.pool.bytes[row]:  # noqa: PTH116
                raise DecoctError(f"{source} has changed since it was read: run again")
        except OSError as error:
            raise DecoctError(f"{source} cannot be read any more: {error.strerror}; run again") from error
        if self.how == "copy":
            shutil.copyfile(own, target)
        elif self.how == "symlink":
            os.symlink(own, target)  # noqa: PTH211
        else:
            self._link(own, target)

    def _link(self, own: str, target: str) -> None:
        try:
            os.link(own, target)
        except OSError as error:
            if error.errno not in LINKLESS:
                raise
            why = "it is on another disk" if error.errno == errno.EXDEV else error.strerror
            raise UsageError(f"{own} cannot get a hard link there: {why}\n{OTHERWISE}") from None


def _check_room(pool: Pool, kept: NDArray[np.int64], out: Path) -> None:
    """Raise a DecoctError where copies are larger than what the disk has left."""
    need = int(((pool.bytes[kept] + CLUSTER - 1) // CLUSTER * CLUSTER).sum())
    free = shutil.disk_usage(out.resolve().parent).free
    if need > free:
        raise DecoctError(
            f"copies of {len(kept):,} images take {size(need)}, and the disk of {out} has {size(free)} left\n"
            "use --as symlink, --as hardlink or --as list, or free some space"
        )


def folds(folder: Path) -> bool:
    """Whether names there that differ in case are the same."""
    (probe := folder / "a").touch()
    same = (folder / "A").exists()
    probe.unlink()
    return same


def _renamed(pool: Pool, kept: NDArray[np.int64], files: Sequence[str]) -> tuple[str, ...]:
    """What could not keep its name: which of how many, with the first."""
    pairs = [(pool.paths[row], file) for row, file in zip(kept.tolist(), files, strict=bool(files))]
    other = [(path, file) for path, file in pairs if not _same(parts(path)[-1:], file.rpartition("/")[2])]
    out = [(path, file) for path, file in pairs if path.startswith("/") or ".." in path.split("/") or "\\" in path]
    said = []
    if other:
        (path, file), lead = other[0], "1 file has" if len(other) == 1 else f"{len(other):,} files have"
        said.append(f"{lead} another name than in the source, such as {file} for {path}")
    if out:
        (path, file), lead = out[0], "1 path leads" if len(out) == 1 else f"{len(out):,} paths lead"
        said.append(f"{lead} out of the folder of the images; files stay inside the set's, such as {file} for {path}")
    return tuple(f"{each}: {KEPT} lists both" for each in said)


def _same(names: Sequence[str], name: str) -> bool:
    """Whether a name is the last one of a path, but for an ending that was added."""
    return bool(names) and (name == names[0] or name.startswith(f"{names[0]}."))
