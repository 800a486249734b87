"""What stands behind sets and students: teachers, recipes, methods, the study as it was run, how to run it again."""

from decoct.report import toml
from decoct.report.page.markup import Markup, name, tag
from decoct.report.page.parts import content, fold, note
from decoct.report.page.section import Section
from decoct.report.read.manifest import Manifest


def show(run: Manifest) -> Markup:
    """Data, versions, the study in full, and the command that makes this page again."""
    images, data = run.data["images"], run.data
    facts = [
        ("data", f"{data['name']}: {images['train']:,} train, {images['val']:,} val, {images['test']:,} test images"),
        ("classes", f"{len(data['class_names']):,}"),
        ("image shape", " × ".join(map(str, data["shape"])) + (", mirrored in training" if data.get("flip") else "")),
        ("content digest", data["digest"]),
        ("decoct", run.decoct),
        *_machines(run),
    ]
    return content(
        tag("dl", *(tag("div", tag("dt", key), tag("dd", name(value))) for key, value in facts)),
        tag("h4", "Reproduce"),
        note("Save the study below as STUDY.toml. Same data, same versions, same kind of device: the same numbers."),
        tag("pre", "\n".join(_commands(run)), class_="study"),
        fold(
            "The study, every default written out",
            tag("pre", toml.written(run.study | {"protocols": run.protocols}), class_="study"),
        ),
    )


def _commands(run: Manifest) -> list[str]:
    if run.pooled is None:
        return ["decoct run STUDY.toml --out DIR"]
    folders = [f"DIR{i}" for i in range(1, 1 + len(run.pooled.runs))]
    each = zip(run.pooled.seeds, folders, strict=True)
    own = [f"decoct run STUDY.toml --seed {seed} --out {folder}" for seed, folder in each]
    return [*own, f"decoct report {' '.join(folders)}"]


def _machines(run: Manifest) -> list[tuple[str, str]]:
    """Where the jobs ran, and with which versions; several of each where a run was moved."""
    machines, versions = set(), set()
    for kind in ("teacher", "dynamics", "out_of_sample", "trajectory", "generator", "shard", "condense", "train"):
        for job in (job for job in run.finished(kind) if not run.external(job)):
            cost = run.cost(job)
            machines.add(f"{cost.hardware} ({cost.device})")
            versions.add(", ".join(f"{k} {v}" for k, v in sorted(cost.versions.items())))
    return [("machine", m) for m in sorted(machines)] + [("versions", v) for v in sorted(versions)]


SECTION = Section("Provenance", 40, lambda s: show(s.run))
