"""Teachers, with their own held-out accuracy, and generators, with what they have seen."""

from decoct.report import stats, wording
from decoct.report.manifest import Manifest
from decoct.report.page.markup import Markup, cells, columns, name, table
from decoct.report.page.parts import note, section


def show(run: Manifest) -> Markup:
    """Every teacher with its own held-out accuracy, and every generator with what it has seen."""
    body = []
    for job in run.finished("teacher"):
        facts = run.load(job, "teacher.json")
        held_out = run.data["images"]["val"]
        interval = stats.wilson(facts["val_accuracy"] * held_out, held_out)
        origin = (
            name(f"loaded from {facts['checkpoint']}; its training is not counted")
            if facts["checkpoint"]
            else "trained here"
        )
        epochs = wording.NONE if facts["checkpoint"] else f"{facts['epochs']}"
        time = wording.NONE if facts["checkpoint"] else wording.seconds(run.cost(job).seconds)
        body.append(cells(name(facts["net"]), wording.accuracy(interval), epochs, time, origin))
    made = _generators(run)
    if not body and not made:
        return Markup()
    about = note(
        "Accuracy in percent on the held-out split (val), which no teacher trained on, with Wilson's 95 % interval."
    )
    taught = (about, table(columns("net", "accuracy", "epochs", "time", "origin"), body)) if body else ()
    return section("teachers", "Teachers and generators" if made else "Teachers", *taught, made)


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
