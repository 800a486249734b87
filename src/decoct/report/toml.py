"""A study written out as TOML."""

import json
from typing import Any

from decoct.report import wording


def written(study: dict[str, Any]) -> str:
    """The study as TOML: plain values first, then tables; None is left out, as TOML has no null."""
    study = {key: listed(value) if _is_named(value) else value for key, value in study.items()}
    plain = {key: value for key, value in study.items() if not _is_tables(value)}
    blocks = [tables(key, value) for key, value in study.items() if _is_tables(value)]
    return "\n\n".join(["\n".join(_pairs(plain)), *blocks]) + "\n"


def tables(key: str, entries: list[dict[str, Any]]) -> str:
    """An array of tables."""
    return "\n\n".join("\n".join([f"[[{_key(key)}]]", *_pairs(entry)]) for entry in entries)


def _pairs(table: dict[str, Any]) -> list[str]:
    return [f"{_key(str(k))} = {literal(v)}" for k, v in table.items() if v is not None]


def _is_named(value: Any) -> bool:
    """Whether it maps labels to tables, as a run keeps protocols."""
    return isinstance(value, dict) and bool(value) and all(isinstance(v, dict) and "name" in v for v in value.values())


def listed(named: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables as a study lists them: the name first, then a label where it is another."""
    labels = {label: {} if label == fields["name"] else {"label": label} for label, fields in named.items()}
    return [{"name": fields["name"], **labels[label], **fields} for label, fields in named.items()]


def _is_tables(value: Any) -> bool:
    named = isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)
    return named and any("name" in entry for entry in value)


def _key(key: str) -> str:
    return key if key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key) else json.dumps(key)


def literal(value: Any) -> str:
    """A value as TOML writes it; a dash for None."""
    if value is None:
        return wording.NONE
    if isinstance(value, dict):
        return f"{{{', '.join(_pairs(value))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans are written alike in TOML
