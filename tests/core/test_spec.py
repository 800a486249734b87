"""Specs: identity, configuration, and how a name becomes one."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from decoct.core import spec as specs
from decoct.core.errors import UsageError
from decoct.core.interfaces import Condenser
from decoct.core.spec import Spec, build, digest, find, names, parse, suggest, summary

PLUGIN = '''"""{line}"""

from decoct.core.interfaces import Condenser


class Mine(Condenser):
    """Mine."""

    name = "{name}"
    family = "coreset"
    strength: float = {strength}
'''


@pytest.fixture
def plugin(tmp_path):
    def write(file="mine.py", name="mine", strength=0.5, line="A method."):
        path = tmp_path / file
        path.write_text(PLUGIN.format(name=name, strength=strength, line=line))
        return str(path)

    return write


class Nested(BaseModel, extra="forbid"):
    depth: int = 1


class Toy(Spec):
    kind: ClassVar[str] = "toy"
    rate: float = Field(0.1, gt=0)
    picks: tuple[int, ...] = (1, 2)
    inner: Nested = Nested()


def test_a_spec_is_named_after_its_file_unless_it_says_otherwise():
    class Other(Toy):
        name: ClassVar[str] = "other"

    assert Toy.name == "test_spec"
    assert Other.name == "other"


def test_identity_holds_name_version_and_every_field():
    class Newer(Toy):
        version: ClassVar[int] = 2

    assert Toy(rate=0.5).identity() == {
        "name": "test_spec",
        "version": 1,
        "fields": {"rate": 0.5, "picks": [1, 2], "inner": {"depth": 1}},
    }
    keys = [digest(s.identity()) for s in (Toy(), Toy(rate=0.2), Toy(picks=(2, 1)), Newer())]
    assert len(set(keys)) == 4
    assert digest(Toy(rate=0.1).identity()) == keys[0]


def test_the_usual_precision_is_no_part_of_an_identity_and_another_is():
    class Precise(Toy):
        precision: str | None = "float32"

    assert Precise().identity() == Precise(precision="float32").identity() == Toy().identity()
    assert Precise(precision="bfloat16").identity()["fields"]["precision"] == "bfloat16"
    assert Precise(precision=None).identity() != Precise().identity()
    assert Precise().config()["precision"] == "float32"


def test_a_later_field_is_part_of_an_identity_where_it_is_not_at_its_default():
    class Grown(Toy):
        later = frozenset({"start"})
        start: str = "mean"

    assert Grown().identity() == Grown(start="mean").identity() == Toy().identity()
    assert Grown(start="random").identity()["fields"]["start"] == "random"
    assert Grown().config()["start"] == "mean"


@pytest.mark.parametrize("kind", ["condenser", "protocol", "metric"])
def test_every_method_survives_its_own_configuration(kind):
    found = names(kind)
    assert found
    for name in found:
        spec = parse(kind, name)
        assert spec.name == name
        again = parse(kind, json.loads(json.dumps(spec.config())))
        assert again == spec
        assert digest(again.identity()) == digest(spec.identity())


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=5))
def test_a_digest_is_sha256_of_canonical_json(value):
    text = "{" + ",".join(f"{json.dumps(k)}:{json.dumps(value[k])}" for k in sorted(value)) + "}"
    assert digest(value) == hashlib.sha256(text.encode("ascii")).hexdigest()[:32]
    assert digest(dict(reversed(value.items()))) == digest(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_what_json_cannot_hold_has_no_digest(value):
    with pytest.raises((ValueError, TypeError)):
        digest(value)


def test_a_field_that_is_not_finite_is_refused_before_it_reaches_a_key():
    with pytest.raises(UsageError, match="finite"):
        build(Toy, {"rate": float("inf")}, "toy")


def test_specs_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Toy().rate = 1.0


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(UsageError, match=r"unknown condenser 'hearding'\. Did you mean 'herding'\?"):
        parse("condenser", "hearding")
    with pytest.raises(UsageError, match=r"Known: dc, erm, erm_long, finetune, multi_teacher, probe, single_teacher"):
        parse("protocol", "zzzzzz")


def test_an_unknown_key_gets_the_nearest_one():
    with pytest.raises(UsageError, match=r"protocol 'erm': unknown key 'epohcs'\. Did you mean 'epochs'\?"):
        parse("protocol", {"name": "erm", "epohcs": 3})
    with pytest.raises(UsageError, match=r"unknown key 'inner.dept'\. Did you mean 'depth'\?"):
        build(Toy, {"inner": {"dept": 3}}, "toy")


@pytest.mark.parametrize("config", [{"epochs": 3}, {"name": 3}, {"name": ["erm"]}, {"name": None}])
def test_a_name_is_needed_and_is_a_string(config):
    with pytest.raises(UsageError, match="name"):
        parse("protocol", config)


def test_a_refused_value_says_field_value_and_reason_in_at_most_three_lines():
    with pytest.raises(UsageError, match=r"epochs: .*greater than or equal to 1.*\(got 0\)"):
        parse("protocol", {"name": "erm", "epochs": 0})
    many = {f"wrong{i}": i for i in range(9)}
    with pytest.raises(UsageError) as caught:
        parse("protocol", {"name": "erm"} | many)
    assert len(str(caught.value).splitlines()) == 3


def test_suggest_lists_all_when_nothing_is_near():
    assert suggest("qqqq", {"b", "a"}) == " Known: a, b."


def test_a_plugin_is_found_and_configured(plugin):
    path = plugin()
    spec = parse("condenser", {"name": "mine", "strength": 0.25}, [path])
    assert isinstance(spec, Condenser)
    assert spec.strength == 0.25
    assert names("condenser", [path])["mine"] == path
    assert "mine" not in names("condenser")
    with pytest.raises(UsageError, match="Did you mean 'mine'"):
        find("condenser", "mien", [path])


def test_a_plugin_s_key_changes_with_its_file_even_where_its_fields_do_not(plugin):
    one, same, other = plugin("one.py"), plugin("two.py"), plugin("three.py", line="Something else.")
    keys = [digest(parse("condenser", "mine", [p]).identity()) for p in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]
    text = hashlib.sha256(Path(one).read_bytes()).hexdigest()[:32]
    assert parse("condenser", "mine", [one]).identity()["source"] == text
    assert "source" not in parse("condenser", "random").identity()


def test_a_plugin_s_name_is_no_path(plugin):
    with pytest.raises(UsageError, match=r"mine.py calls a condenser '../evil': a name is printable text"):
        parse("condenser", "../evil", [plugin(name="../evil")])


def test_a_name_that_is_taken_is_refused(plugin):
    with pytest.raises(UsageError, match=r"condenser 'random' is claimed twice: by .*random\.py and by .*mine\.py"):
        parse("condenser", "random", [plugin(name="random")])
    with pytest.raises(UsageError, match="claimed twice"):
        names("condenser", [plugin("one.py"), plugin("two.py")])


class Point:
    """Stands for an installed entry point."""

    def __init__(self, name, value):
        self.name, self.value = name, value


def test_an_entry_point_adds_a_name_and_may_not_take_one(monkeypatch):
    points = {"decoct.condensers": [Point("theirs", "decoct.methods.coresets.random:Random")]}
    monkeypatch.setattr(specs, "entry_points", lambda group: points.get(group, []))
    from decoct.methods.coresets.random import Random

    assert find("condenser", "theirs") is Random
    assert "theirs" in summary("condenser")
    assert "theirs" not in names("protocol")
    points["decoct.condensers"] = [Point("herding", "elsewhere:Herding")]
    with pytest.raises(UsageError, match="'herding' is claimed twice"):
        names("condenser")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def broken(:", "SyntaxError"),
        ("raise ValueError('my own')", "ValueError: my own"),
    ],
)
def test_a_plugin_that_does_not_import_is_named_with_its_error(tmp_path, text, complaint):
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(UsageError, match=complaint):
        names("condenser", [str(tmp_path / "bad.py")])


def test_a_plugin_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.py: no such file"):
        names("condenser", [str(tmp_path / "gone.py")])


def test_a_plugin_may_define_several_kinds_and_what_it_imports_is_not_its_own(tmp_path):
    path = tmp_path / "two.py"
    path.write_text(
        "from decoct.methods.coresets.random import Random\n"
        "from decoct.core.interfaces import Condenser, TrainProtocol\n"
        "class A(Condenser):\n    name = 'a'\n    family = 'coreset'\n"
        "class B(TrainProtocol):\n    name = 'b'\n"
    )
    assert set(names("condenser", [str(path)])) - set(names("condenser")) == {"a"}
    assert set(names("protocol", [str(path)])) - set(names("protocol")) == {"b"}


def test_summary_is_the_first_docstring_line_of_every_name():
    lines = summary("condenser")
    assert set(lines) == set(names("condenser"))
    for name, line in lines.items():
        doc = sys.modules[find("condenser", name).__module__].__doc__
        assert line == doc.splitlines()[0] != ""


@pytest.mark.parametrize(
    "code",
    [
        "from decoct.core.spec import names, summary; names('condenser'); summary('metric'); summary('protocol')",
        "import decoct.core.budget, decoct.core.condensed, decoct.core.errors, decoct.core.interfaces",
        "import decoct.core.record, decoct.core.seeds, decoct.core.spec",
        "import decoct",
    ],
)
def test_core_answers_without_torch_and_without_importing_methods(code):
    check = "import sys; wrong = {'torch', 'torchvision', 'timm', 'decoct.methods.coresets.random'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"{code}; {check}; sys.exit(str(wrong) if wrong else 0)"], timeout=60)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("passwd", "root:x:0:0", "not a Python file"), ("leaves.py", "import sys\nsys.exit(7)", "SystemExit: 7")],
)
def test_a_plug_in_that_is_none_or_leaves_is_a_line(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said):
        specs.load_plugin(str(tmp_path / name))
