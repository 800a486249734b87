"""What a student went through."""

from decoct.report import toml, wording
from decoct.report.page import facets
from decoct.report.page.markup import Markup, cells, columns, name, table, tag, valued
from decoct.report.page.parts import content, fold, note
from decoct.report.page.section import Section
from decoct.report.page.view import View
from decoct.report.read.manifest import FULL, Manifest
from decoct.report.sections.evidence.accuracy import SAME_STEPS


def show(view: View, run: Manifest) -> Markup:
    """What a student went through: steps, images seen and labels explain much of what images are praised for."""
    body = []
    for a in sorted(view.accuracies, key=lambda a: (a.setting.panel, run.budget_order(a.setting.budget))):
        full = "full data" if a.ceiling else SAME_STEPS
        first = name(full) if a.method == FULL else tag("bdi", a.method, data_method=a.method)
        images = wording.NONE if a.images is None else f"{a.images:,}"
        labels = wording.size(a.label_bytes) if a.label_bytes else "none stored"
        where = (f(v) for f, v in zip((facets.protocol, facets.student, facets.budget), a.setting, strict=True))
        stored = valued(a.label_bytes, labels)
        body.append(cells(*where, first, images, f"{a.steps:,}", f"{a.images_seen:,}", stored, str(a.students)))
    if not body:
        return Markup()
    configs = toml.tables("protocols", toml.listed(run.protocols))
    head = columns("protocol", "student", "budget", "set", "images", "steps", "images seen", "label bytes", "students")
    return content(
        note(
            "Each protocol has one recipe for all sets. Label bytes are the stored labels that a student learns from; "
            "an online teacher stores none and must be available instead."
        ),
        tag("pre", configs, class_="study") if configs else "",
        fold("Steps and images seen of every student", table(head, body)),
    )


SECTION = Section("Recipes", 20, lambda s: show(s, s.run))
