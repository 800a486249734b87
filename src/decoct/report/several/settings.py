"""What two runs were told differently, and where they ran: in words."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from decoct.report.read.manifest import Manifest

TOLD_APART = ("condensers", "protocols", "metrics")  # of a study: tables that have labels, compared by them
MISSING = object()


def differences(a: Manifest, b: Manifest) -> tuple[str, ...]:
    """One line for each setting that differs, the first run's value before the second's.

    Plain settings come first, then methods, protocols and metrics by label, the version of decoct and what failed.
    """
    plain = [{k: v for k, v in run.study.items() if k not in TOLD_APART} for run in (a, b)]
    lines = list(_changed("", *plain))
    first, second = labelled(a), labelled(b)
    for kind in first:
        lines += _labelled(kind, first[kind], second[kind])
        lines += _changed("control of", a.controls, b.controls) if kind == "method" else ()
    rest = [{k: v for k, v in run.study.get("metrics", {}).items() if k != "names"} for run in (a, b)]
    lines += _changed("metrics", *rest)
    lines += _changed("", {"images": a.data["images"]}, {"images": b.data["images"]})
    lines += _changed("", *({"decoct": run.decoct} | machines(run) for run in (a, b)))
    return tuple(lines)


def labelled(run: Manifest) -> dict[str, dict[str, dict[str, Any]]]:
    """What a study gives labels to, as it is set: methods, protocols and metrics."""
    methods = {label: about["config"] for label, about in run.methods.items()}
    return {"method": methods, "protocol": run.protocols, "metric": measures(run)}


def measures(run: Manifest) -> dict[str, dict[str, Any]]:
    """The metrics' fields by label; none where a run lists names alone."""
    names = run.study.get("metrics", {}).get("names", {})
    return dict(names) if isinstance(names, dict) else {}


def machines(run: Manifest) -> dict[str, str]:
    """Hardware and versions of what a run finished; several of each where it was moved."""
    made = [job for kind in ("condense", "train") for job in run.finished(kind) if not run.external(job)]
    costs = [run.cost(job) for job in made]
    found = {"hardware": {f"{cost.hardware} ({cost.device})" for cost in costs}}
    for cost in costs:
        for library, version in cost.versions.items():
            if library != "decoct":
                found.setdefault(library, set()).add(version)
    return {what: " and ".join(sorted(values)) for what, values in found.items() if values}


def apart(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Names of the fields in which two tables differ, nested ones with a dot."""
    a, b = flat(first), flat(second)
    return [field for field in dict.fromkeys((*a, *b)) if a.get(field, MISSING) != b.get(field, MISSING)]


def flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A table's values by path, ``a.b``; lists are values."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{above}.{key}" if above else str(key)
        found |= flat(value, path) if isinstance(value, Mapping) and value else {path: value}
    return found


def _labelled(kind: str, a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    for side, own, other in (("A", a, b), ("B", b, a)):
        if alone := [label for label in own if label not in other]:
            yield f"only {side} has the {kind}{'s' * (len(alone) > 1)} {', '.join(alone)}"
    for label in (label for label in a if label in b):
        yield from _changed(f"{kind} {label}", a[label], b[label])


def _changed(where: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterable[str]:
    first, second = flat(a), flat(b)
    for field in apart(a, b):
        told = [_word(own.get(field, MISSING)) for own in (first, second)]
        yield f"{where} {field}: {told[0]} → {told[1]}".strip()


def _word(value: Any) -> str:
    if value is MISSING or value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
