"""A job: one piece of work, as plain data, with a key that says what it does and not where it runs."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from decoct.core.record import Record
from decoct.core.spec import digest, names

OWN = ("shard", "condense", "labels", "train", "measure", "reference")  # kinds of job that make no need


def kinds(plugins: Sequence[str] = ()) -> tuple[str, ...]:
    """Every kind of job: those that make a need, which go by its name, and the runner's own."""
    return (*sorted(names("need", plugins)), *OWN)


class Job(Record):
    """One cell of the store to be.

    Attributes:
        kind: what ``execute`` does: one of ``OWN``, or the name of a need.
        keyed: everything that decides the result: identity of the spec, seed, data digest, threads, options.
        inputs: keys of the cells that it reads, by role, such as "condensed" or "teacher:convnet3_bn".
        labels: its coordinates in the study, for people and tables.
        config: name and fields that ``parse`` turns into the spec.
        data: folder of the cached data set.
        plugins: files to load before parsing.
        student: of a student, the word that means it here, with the place of its file or folder.
        drawn: of a need, whether another replicate would draw it anew: it is trained from a seed, not loaded.
    """

    kind: str
    keyed: dict[str, Any]
    inputs: dict[str, str] = {}
    labels: dict[str, str | int] = {}
    config: dict[str, Any]
    data: str
    plugins: tuple[str, ...] = ()
    student: str = ""
    drawn: bool = False

    @cached_property
    def key(self) -> str:
        """Digest of what the job does and of the keys of its inputs, but for shards, which change nothing."""
        inputs = {role: key for role, key in self.inputs.items() if not role.startswith("shard:")}
        return digest({"kind": self.kind, "keyed": self.keyed, "inputs": inputs})

    def __str__(self) -> str:
        labels = [f"{name.replace('_replicate', '')} {value}" for name, value in self.labels.items()]
        return " · ".join([self.kind, *labels])

    def role(self, prefix: str) -> dict[str, str]:
        """Inputs of a role by what stands behind its colon: ``role("teacher")`` gives net -> key."""
        start = f"{prefix}:"
        return {role.removeprefix(start): key for role, key in self.inputs.items() if role.startswith(start)}


class ExternalJob(Job):
    """An external set, or labels of one: its key digests its content, and nothing runs to make it.

    ``keyed`` holds its ``content`` and, of a set, the digest of its ``data``, both in the key, and its ``budget``,
    which its content decides.
    """

    @cached_property
    def key(self) -> str:
        """Digest of the content."""
        content = {name: self.keyed[name] for name in ("content", "data") if name in self.keyed}
        return digest({"kind": self.kind, **content})
