"""Which methods cover the data better than random sets: by readings that agree, in features that made no set."""

from collections import Counter
from typing import TYPE_CHECKING

from decoct.report import standing, wording
from decoct.report.grouped import grouped
from decoct.report.read.manifest import REFERENCE
from decoct.report.sections.beyond import _agreed
from decoct.report.sections.beyond._independent import independent
from decoct.report.standing import Standing
from decoct.report.stats.intervals import ALPHA

if TYPE_CHECKING:
    from decoct.report.summary import Summary


def ahead(summary: "Summary") -> str:
    """One sentence over all methods, without the full stop; empty where nothing was read beside random."""
    own = [s for s in summary.found(standing.find) if s.method != REFERENCE and s.name.extractor]
    read = [s for s in own if s.word or (s.name.metric in _agreed.MODES and s.random and s.interval.n)]
    apart = independent(summary.run, {s.name.extractor for s in read})
    told = [s for s in read if s.name.extractor in apart]
    if not told:
        return _agreed.NONE_INDEPENDENT if read else ""
    if lacking := [kind for kind in _agreed.KINDS if not _agreed.reading((s.name for s in told), kind)]:
        return _agreed.missing(lacking)
    places, won, clashes = set(), Counter[str](), dict[str, None]()
    for (method, budget, extractor), own in grouped(told, lambda s: (s.method, s.budget, s.name.extractor)).items():
        words = {s.name: _side(s) if s.name.metric in _agreed.MODES else str(s.word) for s in own}
        names = [_agreed.reading(words, kind) for kind in _agreed.KINDS]
        if None in names:
            continue
        places.add((budget, extractor))
        coverage, distance, modes = (words[n] for n in names if n)
        if clash := _agreed.split({n.metric: words[n] for n in names if n}):
            clashes[f"{method} at {wording.budget(budget)} ({clash})"] = None
        elif coverage == distance == "better" and modes != "worse":
            won[method] += 1
    said = "No method is shown to cover held-out images better than random sets of its size"
    if won:
        verb, whose = ("covers", "its") if len(won) == 1 else ("cover", "their")
        counts = " and ".join(str(n) for n in won.values())
        said = (
            f"{' and '.join(won)} {verb} held-out images better than random sets of {whose} size, in {counts} of "
            f"{wording.count(len(places), 'combination')} of budget and independent extractor"
        )
    return f"{said}; readings disagree on {', '.join(clashes)}" if clashes else said


def _side(s: Standing) -> str:
    """What a reading shows by itself."""
    return ("better" if s.towards > 0 else "worse") if s.p < ALPHA else ""
