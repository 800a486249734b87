"""The question that a study asks, and its answer in a word or two and one sentence."""

from collections import Counter
from collections.abc import Collection, Sequence

from decoct.report import wording
from decoct.report.accuracy import Accuracy, Setting
from decoct.report.grouped import grouped
from decoct.report.read.manifest import CONTROL
from decoct.report.summary import Summary

LONGEST = 160  # characters of an answer


def question(summary: Summary) -> str:
    """Whether distilling is worth it, or which set to use where the study has sets of one family."""
    families, name = set(summary.methods.values()), summary.run.data["name"]
    if {"distillation", "coreset"} <= families:
        return f"Is distilling {name} worth it, and which small training set should I use?"
    what = "coreset" if "coreset" in families else "distilled set"
    return f"Which {what} of {name} should I use?"


def answer(summary: Summary) -> tuple[str, str]:
    """A word or two, and a sentence; as on the terminal if the study has distilled sets and coresets."""
    if not any(a.method in summary.methods for a in summary.accuracies):
        return "Not yet", "No student has been trained, so there is no answer."
    out = {u.setting for u in summary.unreadable}
    if out >= set(summary.settings):
        return split(summary.brief.answer, summary.methods)
    if "coreset" not in summary.methods.values():
        return "", _highest(summary, [s for s in summary.settings if s not in out])
    reached = summary.claims.conclusion
    if reached.answer == "none":
        margin, n = wording.margins(b.margin for b in reached.each), len(reached.each)
        least = f"No distilled set beats the best coreset by more than {margin}"
        return "No", f"{least}, in any of {n} comparisons." if n > 1 else f"{least}."
    return split(summary.brief.answer, summary.methods)


def split(said: str, names: Collection[str]) -> tuple[str, str]:
    """``No: it is worse`` as *No* and *It is worse.*; a sentence without such a beginning stays whole.

    Args:
        said: the answer, without its full stop.
        names: which keep their small letters.
    """
    lead, rest = "", said
    for mark in (": ", ", "):
        start, found, more = said.partition(mark)
        if found and len(start.split()) <= 3 and start not in names:
            lead, rest = start, more
            break
    if not rest.startswith(tuple(names)):
        rest = rest[:1].upper() + rest[1:]
    return lead, shortened(f"{rest.rstrip('.')}.")


def shortened(sentence: str, most: int = LONGEST) -> str:
    """The sentence, cut at a comma or a word if it is longer than an answer may be."""
    if len(sentence) <= most:
        return sentence
    room = sentence[: most - 1]
    cut = max(room.rfind(", "), room.rfind("; "))
    kept = room[: cut if cut > most // 2 else room.rfind(" ") if " " in room else len(room) - 1]
    return f"{kept.rstrip(' ,;(')} …"


def _highest(summary: Summary, settings: Sequence[Setting]) -> str:
    """Which method has the highest mean most often, for studies without coresets."""
    best: Counter[str] = Counter()
    for own in grouped((a for a in _contenders(summary) if a.setting in settings), lambda a: a.setting).values():
        best[max(own, key=lambda a: a.interval.mean).method] += 1
    if not best:
        return "No student has been trained in a setting that can be read."
    (method, wins), total = best.most_common(1)[0], sum(best.values())
    if len({a.method for a in _contenders(summary)}) == 1:
        return f"{method} is the only method that has been trained."
    every = {1: "the one setting", 2: "both settings"}.get(total, f"all {total} settings")
    where = every if wins == total else f"{wins} of {total} settings"
    return f"{method} has the highest mean accuracy in {where}."


def _contenders(summary: Summary) -> list[Accuracy]:
    return [a for a in summary.accuracies if summary.methods.get(a.method, CONTROL) != CONTROL]
