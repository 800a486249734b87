"""Teachers with their own accuracy, and generators with what they have seen."""

from decoct.report import wording
from decoct.report.page.markup import Markup, cells, columns, name, table
from decoct.report.page.parts import content, note
from decoct.report.page.section import Section
from decoct.report.read.manifest import Manifest
from decoct.report.stats import intervals


def show(run: Manifest) -> Markup:
    """Every teacher with its own held-out accuracy, and every generator with what it has seen."""
    body = []
    for job in run.finished("teacher"):
        facts, held_out = run.load(job, "teacher.json"), run.data["images"]["val"]
        accuracy = wording.accuracy(intervals.wilson(facts["val_accuracy"] * held_out, held_out))
        number = job.labels.get("teacher_replicate", 0)
        net = name(f"{facts['net']}, replicate {number}" if number else facts["net"])
        if loaded := facts["checkpoint"]:
            origin = name(f"loaded from {loaded}; its training is not counted")
            body.append(cells(net, accuracy, wording.NONE, wording.NONE, origin))
        else:
            took = f"{facts['epochs']}", wording.seconds(run.cost(job).seconds)
            body.append(cells(net, accuracy, *took, "trained here"))
    made = _generators(run)
    if not body and not made:
        return Markup()
    about = note(
        "Accuracy in percent on the held-out split (val), which no teacher trained on, with Wilson's 95 % interval."
    )
    taught = (about, table(columns("net", "accuracy", "epochs", "time", "origin"), body)) if body else ()
    return content(*taught, made)


def _generators(run: Manifest) -> Markup:
    """A row for each generator that sets were sampled from."""
    body = []
    for job in run.finished("generator"):
        facts = run.load(job, "generator.json")
        here = facts.get("trained_here")
        size = f"{facts['parameters']:,}" if "parameters" in facts else wording.NONE
        steps = f"{facts['steps']:,}" if here else wording.NONE
        time = wording.seconds(run.cost(job).seconds) if here else wording.NONE
        origin = str(facts.get("origin", wording.NONE)) + ("" if here else "; its training is not counted")
        seen = name(str(facts.get("seen", wording.NONE)))
        body.append(cells(name(str(job.labels["generator"])), size, steps, time, name(origin), seen))
    return table(columns("generator", "parameters", "steps", "time", "origin", "has seen"), body) if body else Markup()


SECTION = Section("Teachers and generators", 10, lambda s: show(s.run))
