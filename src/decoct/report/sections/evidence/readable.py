"""What cannot be read, and why."""

from collections.abc import Sequence

from decoct.report.page.markup import Markup
from decoct.report.page.parts import bullets, content, note
from decoct.report.page.section import Section
from decoct.report.readable import SHORT, Unreadable, sentences


def show(unreadable: Sequence[Unreadable]) -> Markup:
    """Each setting that cannot be read, and why; empty where all can be read."""
    if not unreadable:
        return Markup()
    return content(
        bullets(sentences(unreadable)),
        note(
            "Random sets and the full data alone decide this, by rules fixed beforehand. A setting cannot be read if "
            "random is not shown to be above a constant answer; if the full data reach less than "
            f"{SHORT:g} of what they give the same student under the best protocol with hard labels, even at the upper "
            "end of the interval; or, where no student was trained on the full data, if random sets fall short in the "
            "same way. A method that collapses where random sets learn is worse, and its setting can be read."
        ),
    )


SECTION = Section("What cannot be read", 5, lambda s: show(s.unreadable))
