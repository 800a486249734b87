"""The page's section on plan and actual: there where the run was planned, and only there."""

import json

from decoct.core.spec import digest
from decoct.report import frame
from decoct.report.manifest import Manifest
from decoct.report.page.planned import planned
from decoct.report.summary import summarise


def section(run):
    return planned(summarise(frame.read(run), run / "report.html"))


def test_a_row_a_kind_and_one_for_all(run):
    assert section(run) == ""
    jobs = Manifest.read(run).jobs
    keys = {kind: [job.key for job in jobs if job.kind == kind] for kind in ("train", "teacher")}
    each = {"seconds": 1.5, "cpu_seconds": 3.0}
    groups = [{"kind": kind, "keys": own, "each": each} for kind, own in keys.items()]
    raw = {"format": 1, "fits": digest(sorted(job.key for job in jobs)), "groups": groups}
    raw |= {"device": "cpu"}
    (run / "plan.json").write_text(json.dumps(raw))
    said = section(run)
    assert said.startswith('<section id="plan">') and said.count("<tr>") == 1 + 3
    assert ">train<" in said and ">teacher<" in said and ">all<" in said and "2.00" in said
