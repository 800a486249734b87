"""Where the paths in a study start: at its file's folder."""

from pathlib import Path
from typing import Any

from decoct.data.reading.snapshot import HUB as FROM_HUB
from decoct.needs import features
from decoct.needs.generator import HUB, OWN
from decoct.run.external import of_hub


def anchored(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A study's table with the paths in it made absolute: plug-ins, data, checkpoints, extractors, generators, sets.

    Args:
        table: as TOML has it; a value of a wrong type stays as it is, and whoever reads it says so.
        folder: of the study's file.
    """

    def absolute(path: Any) -> Any:
        return str((folder / Path(path).expanduser()).resolve()) if isinstance(path, str) else path

    def at(entry: Any, key: str) -> Any:
        return entry | {key: absolute(entry[key])} if isinstance(entry, dict) and entry.get(key) else entry

    def extractor(word: Any) -> Any:
        return features.anchored(word, folder) if isinstance(word, str) else word

    def generator(entry: Any) -> Any:
        word = entry.get("generator") if isinstance(entry, dict) else None
        own = not isinstance(word, str) or word == OWN or word.startswith(HUB)
        return entry if own else at(entry, "generator")

    def located(name: str, path: Any) -> Any:  # of data; what is on the hub has a name there and no place here
        on_hub = path.startswith(FROM_HUB) or (name == "hub" and not (folder / Path(path).expanduser()).exists())
        return path if on_hub else absolute(path)

    def source(word: Any) -> Any:
        name, colon, path = word.partition(":") if isinstance(word, str) else (word, "", "")
        return f"{name}:{located(name, path)}" if colon else word

    if isinstance(table.get("plugins"), list):
        table["plugins"] = [absolute(path) for path in table["plugins"]]
    if isinstance(table.get("teachers"), list):
        table["teachers"] = [at(teacher, "checkpoint") for teacher in table["teachers"]]
    for kind in ("extractors", "condensers"):  # whatever a method calls the field
        if isinstance(entries := table.get(kind), list):
            named = [{k: extractor(v) for k, v in e.items()} if isinstance(e, dict) else e for e in entries]
            table[kind] = named
    for kind in ("generators", "condensers"):
        if isinstance(entries := table.get(kind), list):
            table[kind] = [generator(entry) for entry in entries]
    if isinstance(entries := table.get("external"), list):
        local = [entry if of_hub(entry) else at(entry, "path") for entry in entries]
        table["external"] = [at(entry, "labels") for entry in local]
    if isinstance(metrics := table.get("metrics"), dict) and isinstance(words := metrics.get("extractors"), list):
        table["metrics"] = metrics | {"extractors": [extractor(word) for word in words]}
    if isinstance(data := table.get("data"), dict):
        path = {"path": located(str(data.get("name")), data["path"])} if isinstance(data.get("path"), str) else {}
        table["data"] = data | path | ({"name": source(data["name"])} if "name" in data else {})
    elif data is not None:
        table["data"] = source(data)
    return table
