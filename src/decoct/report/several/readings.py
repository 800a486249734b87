"""Leading readings of the metrics in two runs, where both were taken with the same eyes."""

from collections.abc import Iterable

from decoct.report import wording
from decoct.report.read.frame import Frame
from decoct.report.sections.standing import Name, Standing, standings
from decoct.report.several.change import Change, Row, change, row, same, span, worded
from decoct.report.several.settings import apart, measures
from decoct.report.stats.intervals import Replicates

Key = tuple[str, Name, str]  # budget, reading, method


def readings(a: Frame, b: Frame, paired: bool) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Leading readings of both runs, and a line for each extractor whose readings are no two of a kind.

    Words hold after Holm over all readings that have a direction; there is no margin, so that none is *equivalent*.
    """
    unlike = dict(_unlike(a, b))
    first, second = ({(s.budget, s.name, s.method): s for s in standings(frame) if s.lead} for frame in (a, b))
    shared = [key for key in first if key in second]
    told = [key for key in shared if key[1].extractor not in unlike]
    values = [_values(frame) for frame in (a, b)]
    sides = {key: (values[0].get(key, {}), values[1].get(key, {})) for key in told}
    changes = {key: change(*own, paired) for key, own in sides.items() if not same(*own)}
    judged = {key: up for key in changes if (up := first[key].higher_is_better) is not None}
    changes |= dict(zip(judged, worded([changes[key] for key in judged], list(judged.values())), strict=True))
    used = {key[1].extractor for key in shared}
    lines = tuple(line for extractor, line in unlike.items() if extractor in used)
    return tuple(_row(first[key], second[key], changes.get(key)) for key in told), lines


def _row(a: Standing, b: Standing, change: Change | None) -> Row:
    title = f"{wording.budget(a.budget)}, leading readings in the features of {a.name.extractor}"
    values = [wording.reading(x.interval.mean) for x in (a, b)]
    cells = (a.name.metric.replace("_", " "), a.method, *values, span(change.interval) if change else "")
    facts = {"method": a.method, "budget": a.budget, **a.name._asdict(), "higher_is_better": a.higher_is_better}
    facts |= {"a": a.interval.mean, "b": b.interval.mean}
    return row(title, cells, facts, change, "same sets", judged=a.higher_is_better is not None)


def _unlike(a: Frame, b: Frame) -> Iterable[tuple[str, str]]:
    """Extractors whose readings are no two of a kind, with the reason."""
    told = [measures(frame.manifest) for frame in (a, b)]
    if other := [label for label in told[0] if label in told[1] and apart(told[0][label], told[1][label])]:
        for extractor in dict.fromkeys(a.metrics["extractor"].to_pylist()):
            yield extractor, f"readings in the features of {extractor}: {', '.join(other)} was set otherwise"
    keys = [
        {job.labels["extractor"]: job.key for job in frame.manifest.of_kind("features") if "extractor" in job.labels}
        for frame in (a, b)
    ]
    for extractor in (e for e in keys[0] if e in keys[1] and keys[0][e] != keys[1][e]):
        yield extractor, f"readings in the features of {extractor}: it is another net in each run"


def _values(frame: Frame) -> dict[Key, Replicates]:
    values: dict[Key, dict[tuple[int, int], float]] = {}
    for reading in frame.metrics.to_pylist():
        name = Name(*(reading[field] for field in Name._fields))
        if reading["value"] is not None:
            key = reading["budget"], name, reading["method"]
            values.setdefault(key, {})[reading["condense_replicate"], 0] = reading["value"]
    return dict(values)
