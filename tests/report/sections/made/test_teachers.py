"""Teachers with their own accuracy, generators with what they have seen, and where both come from."""

import re

from decoct.report.read.manifest import Manifest
from decoct.report.sections.made import teachers


def test_generators_stand_beside_the_teachers_with_what_they_have_seen(builder):
    builder.build()
    assert teachers.SECTION.title == "Teachers and generators"
    assert "enerator" not in teachers.show(Manifest.read(builder.folder))
    own = {"trained_here": True, "parameters": 717505, "steps": 4688, "origin": "trained by decoct on digits"}
    supplied = {"trained_here": False, "parameters": 675129632, "origin": "hub <b>x</b>", "seen": "ImageNet-1K"}
    builder.add(
        "generator", {"generator": "own"}, {"generator.json": own | {"seen": "the train split: 9 images"}}, 60.0
    )
    builder.add("generator", {"generator": "hub:x"}, {"generator.json": supplied}, 1.0)
    page = teachers.show(Manifest.read(builder.folder))
    assert '<th scope="col">generator</th>' in page and "convnet3_bn" in page
    rows = [row for row in re.findall(r"<tr>.*?</tr>", page) if ">own<" in row or "hub:x" in row]
    assert all(part in rows[0] for part in ("717,505", "4,688", "60.0 s", "the train split: 9 images"))
    assert all(part in rows[1] for part in ("675,129,632", "training is not counted", "ImageNet-1K"))
    assert "4,688" not in rows[1] and "<b>x" not in page


def test_the_path_of_a_checkpoint_is_text(builder):
    builder.checkpoint = "/nets/<b>own</b> & co.pt"
    builder.build()
    page = teachers.show(Manifest.read(builder.folder))
    assert "loaded from /nets/&lt;b&gt;own&lt;/b&gt; &amp; co.pt; its training is not counted" in page
    assert "<b>own" not in page
