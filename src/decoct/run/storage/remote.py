"""A store at a URL: cells are made in this machine's mirror, and sent there with their record last."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

from decoct.core import integrity
from decoct.core.cells import Name, grouped, within
from decoct.core.errors import DecoctError
from decoct.core.mirror import MirroredCells, dated
from decoct.core.places import default_store
from decoct.core.record import CELL, MEASURED
from decoct.core.remote import Entry
from decoct.core.scratch import LONG, scratch, written
from decoct.data import cache
from decoct.data.cache import FACTS
from decoct.run.storage.store import STUDIES, UNFINISHED, Store, by_job

DATA = "data"


class RemoteStore(MirroredCells, Store):
    """Cells at a URL. One without ``cell.json`` is none; whoever is killed leaves files that the next writer replaces.

    Of two writers of one cell the first to send its record wins. The other compares: where both wrote the same, all is
    well; where they did not (another processor, another library), the files there may be of both, and it sends all of
    its own again.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._begun: set[Name] = set()  # jobs with something unfinished there, as far as this process knows

    def prepare(self) -> None:
        """Make and sweep the mirror, and see that the URL can be written.

        Raises:
            DecoctError: it cannot; which of address, credentials and permissions is the reason is said.
        """
        super().prepare()
        probe = scratch("probe")
        self.remote.write(probe, b"")
        self.remote.remove([probe])

    def sweep(self) -> None:
        """Remove what killed processes left half-written here, and there half-written cells of more than a day ago."""
        super().sweep()
        old = time.time() - LONG
        listing = self.remote.list()
        for (kind, key), files in grouped(listing).items():
            if CELL not in files and all(entry.modified < old for entry in files.values()):
                self.remote.remove([f"{within(kind, key)}/{file}" for file in files])
        self.remote.remove([name for name, e in listing.items() if written(name) and e.modified < old])

    def remove(self, kind: str, key: str) -> None:
        """Remove a cell there, its record first, so that it is none from the first moment on; and here."""
        files = self.remote.list(within(kind, key))
        self.remote.remove([name for name in files if name.endswith(f"/{CELL}")])
        self.remote.remove([name for name in files if not name.endswith(f"/{CELL}")])
        self.forget(kind, key)

    def _publish(self, kind: str, key: str, folder: Path) -> None:
        at = within(kind, key)
        if self.remote.exists(f"{at}/{CELL}"):
            return
        files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
        record = files.pop(CELL).read_bytes()
        everything = {f"{at}/{name}": file for name, file in files.items()}
        self.remote.put(everything)
        if self.remote.create(f"{at}/{CELL}", record):
            return
        theirs = json.loads(self.remote.read(f"{at}/{CELL}") or b"{}")
        if theirs.get(integrity.FILES) != json.loads(record)[integrity.FILES]:
            self.remote.put(everything)
            self.remote.write(f"{at}/{CELL}", record)

    def resume(self, kind: str, key: str) -> None:
        """Let the unfinished state here be that there, if there is one; it is no older: each save was sent.

        Files are replaced, and what is not there is removed: a construction must not find stages of two attempts.
        """
        there = self._unfinished(kind, key)
        if not there:
            return
        self._begun.add((kind, key))
        file = self.unfinished(kind, key)
        folder = file.with_suffix("")
        asides = {}
        for name in there:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            asides[name] = path.with_name(scratch(path.name))
        try:
            self.remote.get(asides)
            for path in (file, *folder.glob("[!.]*")):
                path.unlink(missing_ok=True)
            for name, aside in asides.items():
                aside.replace(self.root / name)
        finally:
            for aside in asides.values():
                aside.unlink(missing_ok=True)

    def saved(self, path: Path) -> None:
        """Send a file of an unfinished job, or remove it there if it is gone here."""
        name = path.relative_to(self.root).as_posix()
        _, kind, key, *_ = name.split("/")
        self._begun.add((kind, key.removesuffix(".safetensors")))
        if path.is_file():
            self.remote.put({name: path})
        else:
            self.remote.remove([name])

    def finish(self, kind: str, key: str) -> None:
        """Remove what an unfinished job left, here and there."""
        super().finish(kind, key)
        if (kind, key) in self._begun:  # else there is nothing, and nobody needs to be asked
            self.remote.remove(self._unfinished(kind, key))

    def begun(self) -> dict[Name, dict[str, Entry]]:
        """What jobs left unfinished there, by job and file."""
        found = by_job(self.remote.list(UNFINISHED))
        self._begun |= found.keys()
        return found

    def faults(self, kind: str, key: str, files: Mapping[str, Entry]) -> dict[str, str] | None:
        """What is wrong with a complete cell there, by file; its bytes are read and not kept."""
        at = within(kind, key)
        try:
            facts = json.loads(self.remote.read(f"{at}/{CELL}") or b"")
            sums = integrity.read_sums(facts, key)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {CELL: f"cannot be read ({error})"}
        found = {}
        for name, each in (sums or {}).items():
            if name not in files:
                found[name] = "is missing"
            elif files[name].size != each.bytes:
                found[name] = f"has {files[name].size:,} bytes where {each.bytes:,} were written"
            elif self.remote.sha256(f"{at}/{name}") != each.sha256:
                found[name] = "has other bytes than were written"
        if why := integrity.cost_fault(self.remote.read(f"{at}/{MEASURED}") if MEASURED in files else None, facts):
            found[MEASURED] = why
        return found if found or sums is not None else None

    def note(self, name: str, content: bytes) -> None:
        """Leave a study's note there."""
        self.remote.write(f"{STUDIES}/{name}", content)

    def notes(self) -> dict[str, bytes]:
        """The notes that studies left there, by name."""
        found = {name: self.remote.read(name) for name in self.remote.list(STUDIES)}
        return {name.removeprefix(f"{STUDIES}/"): content for name, content in found.items() if content is not None}

    def drop(self, name: str) -> None:
        """Remove a study's note."""
        self.remote.remove([f"{STUDIES}/{name}"])

    def _unfinished(self, kind: str, key: str) -> list[str]:
        """Names of what a job left there."""
        start = f"{UNFINISHED}/{kind}/{key}"
        return [n for n in self.remote.list(f"{UNFINISHED}/{kind}") if n.startswith((f"{start}/", f"{start}."))]

    def offer(self, data: Path) -> None:
        """Send a data set there, unless it is; its facts go last."""
        at = f"{DATA}/{data.name}"
        if not self.remote.exists(f"{at}/{FACTS}"):
            self.remote.put({f"{at}/{file.name}": file for file in sorted(data.iterdir()) if file.name != FACTS})
            self.remote.write(f"{at}/{FACTS}", (data / FACTS).read_bytes())

    def dataset(self, data: Path) -> Path:
        """The folder of a cached data set: on this machine as it was planned, or fetched into this machine's cache.

        Raises:
            DecoctError: it is neither here nor there, or there it is not whole.
        """
        own = default_store() / DATA / data.name
        for folder in (data, own):
            if (folder / FACTS).is_file():
                return folder
        start = f"{DATA}/{data.name}/"
        files = {name.removeprefix(start): entry for name, entry in self.remote.list(start.rstrip("/")).items()}
        if FACTS not in files:
            raise DecoctError(f"the data set {data.name} is neither here nor at {self.url}/{DATA}: run the study again")
        with cache.temporary_folder(own.parent) as folder, self.room():
            self.remote.get({f"{start}{name}": folder / name for name in files})
            for name, entry in files.items():
                if (folder / name).stat().st_size != entry.size:
                    raise DecoctError(f"{self.url}/{start}{name} changed while it was fetched: run the study again")
                dated(folder / name, entry)
            cache.publish(folder, own)
        return own
