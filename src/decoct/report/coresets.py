"""Which coreset to use: the verdicts of a study without distillation. Nothing is tested here."""

from collections import Counter
from collections.abc import Sequence

from decoct.report import wording
from decoct.report.conclusion import no_setting, too_few
from decoct.report.grouped import grouped
from decoct.report.read.manifest import REFERENCE
from decoct.report.verdict import Verdict


def which(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    """Which coreset is better than every other, if any, and a sentence with the counts behind it.

    Args:
        verdicts: of all methods and settings; those outside are left out of every count.
    """
    coresets = [v for v in verdicts if v.family == "coreset"]
    own = [v for v in coresets if v.coresets and not v.outside]
    if why := _untold(coresets, own):
        return f"No answer: {why}", f"No answer: {why}."
    places = len({v.setting for v in own})
    several, settings = places > 1, wording.count(places, "setting")
    of, anywhere = (f" of {settings}", f" in any of {settings}") if several else ("", "")
    won = Counter(v.method for v in own if v.against_coresets == "better").most_common()
    told = _beside_random(own)

    def counted(counts: Sequence[tuple[str, int]]) -> str:
        return wording.joined([f"{method} in {n}" if several else method for method, n in counts])

    if won:
        (first, n), *rest = won
        more = f"; {counted(rest)}" if rest else ""
        answer = f"{first}: better than every other coreset{f' in {n}' if several else ''}{of}{more}"
    elif all(v.random is None for v in own):
        answer = f"Open: no coreset is shown to be better than every other{anywhere}"
    elif beats := _beats(own):
        answer = f"No single one: random is beaten by {counted(beats)}{of}, and no coreset beats every other"
    else:
        answer = f"None: no coreset is shown to be better than random{anywhere}"
    best = sum(n for _, n in won)
    because = f"One coreset is better than every other in {best or 'none'} of {settings}"
    return answer, f"{because}{f'; {told}' if told else ''}."


def against_random(verdicts: Sequence[Verdict]) -> str:
    """The counts beside random in one sentence, without the full stop; empty where nothing can be counted."""
    said = _beside_random([v for v in verdicts if v.family == "coreset" and not v.outside])
    return f"{said[:1].upper()}{said[1:]}"


def _untold(coresets: Sequence[Verdict], own: Sequence[Verdict]) -> str:
    return too_few(own) if own else no_setting(coresets) or "the study needs two coresets"


def _beats(own: Sequence[Verdict]) -> list[tuple[str, int]]:
    return Counter(v.method for v in own if v.random and v.random.verdict == "better").most_common()


def _beside_random(own: Sequence[Verdict]) -> str:
    """How often each word is used for a comparison with random, over methods and settings."""
    words = [v.random.verdict for v in own if v.random]
    methods = len(grouped((v for v in own if v.random), lambda v: v.method))
    if not words:
        return ""
    counts = Counter(words)
    said = ", ".join(f"{word} in {n}" for word, n in counts.most_common())
    others = wording.count(methods, "other coreset")
    return f"{wording.count(len(words), 'comparison')} of {others} with {REFERENCE}: {said}"
