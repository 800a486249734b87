"""A study is read from TOML; what nobody can mean is an error that names the file, the key and what is known."""

from pathlib import Path

import pytest

from decoct.core.errors import UsageError
from decoct.core.spec import names
from decoct.needs.features import Extract
from decoct.study.study import Study
from decoct.training.recipe import Storing

HEAD = 'name = "t"\n'
BODY = 'condensers = ["random"]\nprotocols = ["erm"]\n'
SOFT = 'condensers = ["random"]\nprotocols = [{{name = "single_teacher", labels = {}}}]'
NATIVE = 'condensers = ["random"]\nprotocols = ["erm", {{name = "single_teacher", label = "own", {}}}]'
AGAINST = 'condensers = ["random", {{name = "sre2l", control = {}}}]\nprotocols = ["erm"]'
CUT = 'condensers = [{{name = "rded", shards = {}}}]\nprotocols = ["erm"]'


@pytest.fixture
def read(tmp_path):
    def from_text(text, head=HEAD, body=BODY):
        path = tmp_path / "study.toml"
        path.write_text(head + text + "\n" + body, "utf-8")
        return Study.from_toml(path)

    return from_text


def test_the_default_study_is_the_issues():
    study = Study.default()
    assert study.data == {"name": "digits"}
    assert list(study.methods()) == ["random", "herding", "k_center", "rded", "sre2l", "dm"]
    assert {label: spec.steps for label, spec in study.recipes().items()} == {
        "erm": 500,
        "single_teacher": 500,
        "multi_teacher": 500,
    }
    assert [str(budget) for budget in study.budgets] == ["ipc=1", "ipc=10"]
    assert (study.replicates.condense, study.replicates.train) == (5, 1)
    assert (study.seed, study.threads, study.ceiling, study.margin) == (0, 1, True, None)
    assert set(study.measures()) == set(names("metric"))  # all there are


def test_budgets_in_every_word(read):
    words = (
        "{ipc = 1}, {fraction = 0.1}, {fraction = 1, balanced = true}, {images = 30}, {images = 25, balanced = false}"
    )
    study = read(f"budgets = [{words}]")
    said = ["ipc=1", "fraction=0.1", "fraction=1.0 balanced", "images=30", "images=25 unbalanced"]
    assert [str(budget) for budget in study.budgets] == said
    assert Study.from_dict(study.model_dump(mode="json")).budgets == study.budgets


def test_from_dict_is_from_toml(read):
    assert read("seed = 3") == Study.from_dict(
        {"name": "t", "seed": 3, "condensers": ["random"], "protocols": ["erm"]},
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("replicate = {condense = 3}", "unknown key 'replicate'. Did you mean 'replicates'?"),
        ("replicates = {condens = 3}", "unknown key 'replicates.condens'. Did you mean 'condense'?"),
        ("replicates = {condense = 0}", "replicates.condense: Input should be greater than or equal to 1 (got 0)"),
        ("budgets = [{ipc = 0}]", "budgets.0.ipc: Input should be greater than or equal to 1 (got 0)"),
        ("budgets = [{fracton = 0.1}]", "unknown key 'budgets.0.fracton'. Did you mean 'fraction'?"),
        ("budgets = [{ipc = 1, images = 10}]", "budgets.0: say exactly one of ipc, fraction and images"),
        ("budgets = [{ipc = 1, balanced = true}]", "budgets.0: balanced goes with fraction or images"),
        ("budgets = [{}]", "budgets.0: say exactly one of ipc, fraction and images"),
        ("budgets = [{fraction = 10}]", "budgets.0.fraction: Input should be less than or equal to 1 (got 10)"),
        ("budgets = []", "budgets: "),
        ('budgets = ["ipc=1"]', "budgets.0: "),
        ("students = []", "students: "),
        ('same_steps = "often"', "same_steps: Input should be a valid boolean"),
        ("threads = 0", "threads: Input should be greater than or equal to 1 (got 0)"),
        ('precision = "float16"', "precision: Input should be 'float32' or 'bfloat16' (got 'float16')"),
        ('seed = "one"', "seed: "),
        ('students = ["convnt3"]', "unknown net 'convnt3'. Did you mean 'convnet3'?"),
        ('data = "digit"', "unknown source 'digit'. Did you mean 'digits'?"),
        ('data = {name = "digits", sise = 4}', "source 'digits': unknown key 'sise'."),
        ('metrics = {names = ["vendy"]}', "unknown metric 'vendy'. Did you mean 'vendi'?"),
        ('metrics = {extractors = ["resnet188"]}', "unknown net 'resnet188'. Did you mean 'resnet18'?"),
        ("teachers = [{net = 'convnet3_bm'}]", "unknown net 'convnet3_bm'. Did you mean 'convnet3_bn'?"),
        ("teachers = [{net = 'convnet2_bn', epoch = 3}]", "teachers: unknown key 'epoch'. Did you mean 'epochs'?"),
        ("teachers = [{net = 'convnet2_bn', epochs = 0}]", "teachers: epochs: Input should be greater"),
        ("teachers = [{net = 'convnet2_bn', checkpoint = 'no.pt'}]", "teacher 'convnet2_bn': no checkpoint at "),
        ("plugins = ['no.py']", "no.py: no such file"),
        (
            "replicates = {condense = 5, teacher = 3}",
            "replicates: teacher is 1, one for all sets, or equals condense = 5, one for each set; not 3",
        ),
        ("replicates = {condense = 5, teacher = 0}", "replicates.teacher: Input should be greater"),
        ("margin = 0", "margin: Input should be greater"),
    ],
)
def test_what_nobody_can_mean_is_named_with_its_file(read, tmp_path, text, said):
    with pytest.raises(UsageError) as caught:
        read(text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'study.toml'}: ")
    assert said in message
    assert len(message.splitlines()) <= 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('condensers = ["herdin"]\nprotocols = ["erm"]', "unknown condenser 'herdin'. Did you mean 'herding'?"),
        ('condensers = ["random"]\nprotocols = ["erms"]', "unknown protocol 'erms'. Did you mean 'erm'?"),
        ('condensers = ["random", "random"]\nprotocols = ["erm"]', "two condensers are called 'random'"),
        ('condensers = ["random"]\nprotocols = ["erm", {name = "erm", lr = 0.1}]', "two protocols are called 'erm'"),
        (
            'condensers = ["random", {name = "random", label = "chance"}]\nprotocols = ["erm"]',
            "the condensers 'random' and 'chance' are the same",
        ),
        ('condensers = [{name = "random", label = "full"}]\nprotocols = ["erm"]', "cannot be called 'full'"),
        (
            'condensers = [{name = "random", label = "../x"}]\nprotocols = ["erm"]',
            "a condenser cannot be called '../x': a name is printable text of at most 200 bytes, without slashes",
        ),
        (
            'condensers = ["random"]\nprotocols = [{name = "erm", label = "a\\u001b[2Jb"}]',
            r"a protocol cannot be called 'a\x1b[2Jb'",
        ),
        ('condensers = ["random"]\nprotocols = [{name = "erm", label = ""}]', "a protocol cannot be called ''"),
        (
            'condensers = ["random"]\nprotocols = ["erm"]\nmetrics = {names = [{name = "mmd", label = "a/b"}]}',
            "a metric cannot be called 'a/b'",
        ),
        (
            'condensers = ["random"]\nprotocols = ["erm"]\nstudents = ["resnet18.x/../../evil"]',
            "unknown net 'resnet18.x/../../evil': a name is printable text",
        ),
        ('condensers = [{factor = 2}]\nprotocols = ["erm"]', "a condenser needs a name"),
        (
            'condensers = [{name = "rded", factr = 2}]\nprotocols = ["erm"]',
            "unknown key 'factr'. Did you mean 'factor'?",
        ),
        ('condensers = [{name = "herding", extractor = "resnt18"}]\nprotocols = ["erm"]', "unknown net 'resnt18'"),
        ('condensers = [{name = "rded", teacher = "resnt18"}]\nprotocols = ["erm"]', "unknown net 'resnt18'"),
        (
            'condensers = ["random"]\nprotocols = [{name = "multi_teacher", teachers = ["resnt18"]}]',
            "unknown net 'resnt18'",
        ),
        ('condensers = ["random"]\nprotocols = [{name = "erm", epochs = 0}]', "epochs: Input should be greater than"),
        ('condensers = ["random"]\nprotocols = [{name = "erm", steps = 0}]', "steps: Input should be greater than"),
        ('condensers = ["random"]\nprotocols = [{name = "erm", lr = inf}]', "lr: Input should be a finite number"),
        (SOFT.format("{bits = 4}"), "labels.bits: Input should be 8 or 16 (got 4)"),
        (SOFT.format("{prune = 0.5}"), "labels.prune: Input should be greater than or equal to 1 (got 0.5)"),
        (SOFT.format("{bit = 8}"), "unknown key 'labels.bit'."),
        (SOFT.format("8"), "labels: "),
        ('condensers = ["random"]\nprotocols = [{name = "erm", labels = {bits = 8}}]', "unknown key 'labels'."),
        (CUT.format("0"), "shards of 'rded' must be a whole number from 1 to 10,000, not 0"),
        (CUT.format("2.5"), "shards of 'rded' must be a whole number from 1 to 10,000, not 2.5"),
        (CUT.format("true"), "shards of 'rded' must be a whole number from 1 to 10,000, not True"),
        (CUT.replace("shards", "sets").format("0"), "sets of 'rded' must be a whole number from 1 to 10,000, not 0"),
        (
            CUT.replace("shards", "sets").format("3") + "\nreplicates = {condense = 2, teacher = 2}",
            "'rded' makes 3 sets, and there are teachers for 2, one for each: leave out sets",
        ),
        (AGAINST.format('"randm"'), "unknown label 'randm' as control of 'sre2l'. Did you mean 'random'?"),
        (AGAINST.format('"full"'), "unknown label 'full' as control of 'sre2l'. Known: random, sre2l."),
        (AGAINST.format('"sre2l"'), "'sre2l' cannot be its own control"),
        (AGAINST.format("0"), "control of 'sre2l' must be the label of an entry, not 0"),
        (AGAINST.format('["random"]'), "control of 'sre2l' must be the label of an entry, not ['random']"),
        (
            'condensers = ["cim", {name = "cim", label = "same", control = "cim"}]\nprotocols = ["erm"]',
            "the condensers 'cim' and 'same' are the same",
        ),
        (
            'condensers = ["cim", {name = "cim", label = "cut", shards = 2}]\nprotocols = ["erm"]',
            "the condensers 'cim' and 'cut' are the same",
        ),
        (
            'condensers = [{name = "edc", preset = "smal"}]\nprotocols = ["erm"]',
            "edc has no preset 'smal'. Did you mean 'small'?",
        ),
        ('condensers = [{name = "edc", nets = ["resnt18"]}]\nprotocols = ["erm"]', "unknown net 'resnt18'"),
        (NATIVE.format('methods = ["random"]'), "methods of 'own' go with a paper's own protocol: add native = true"),
        (NATIVE.format('native = false, methods = ["random"]'), "methods of 'own' go with a paper's own protocol"),
        (NATIVE.format("native = 1"), "native of 'own' is true or false, not 1"),
        (
            NATIVE.format('native = true, methods = ["randm"]'),
            "unknown label 'randm' in methods of 'own'. Did you mean 'random'?",
        ),
        (NATIVE.format('native = true, methods = "random"'), "methods of 'own' must be labels of condensers, not 'ran"),
        (NATIVE.format("native = true, methods = []"), "methods of 'own' must be labels of condensers, not []"),
        (NATIVE.format("nativ = true"), "unknown key 'nativ'"),
        ('condensers = ["random"]\nprotocols = ["erm", {name = "erm", label = "own", native = true}]', "are the same"),
        ('condensers = [{name = "random", native = true}]\nprotocols = ["erm"]', "unknown key 'native'"),
        ("condensers = []\nprotocols = ['erm']", "condensers: "),
        ("condensers = ['random']", "protocols: Field required"),
    ],
)
def test_methods_and_protocols_that_cannot_be_meant(read, tmp_path, body, said):
    with pytest.raises(UsageError) as caught:
        read("", body=body)
    assert str(caught.value).startswith(f"{tmp_path / 'study.toml'}: ")
    assert said in str(caught.value)


def test_a_study_that_is_no_toml_or_not_there(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        Study.from_toml(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="Is a directory"):
        Study.from_toml(tmp_path)
    (tmp_path / "bad.toml").write_text("name = 1 = 2\n")
    with pytest.raises(UsageError, match=r"bad\.toml is not TOML: .*line 1"):
        Study.from_toml(tmp_path / "bad.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not TOML"):
        Study.from_toml(tmp_path / "bytes.toml")


def test_what_is_on_the_hub_is_a_name_and_no_path(read, tmp_path):
    assert read('data = "hub:owner/pets"').data == "hub:owner/pets"
    assert read('data = {name = "hub", path = "owner/pets"}').data == {"name": "hub", "path": "owner/pets"}
    assert read('data = {name = "hub:owner/pets"}').data == {"name": "hub:owner/pets"}
    here = tmp_path / "owner" / "pets"
    here.mkdir(parents=True)
    assert read('data = "hub:owner/pets"').data == f"hub:{here}"
    assert read('data = {name = "hub", path = "owner/pets"}').data == {"name": "hub", "path": str(here)}


def test_relative_paths_start_at_the_studys_folder(read, tmp_path):
    (tmp_path / "mine.py").write_text(
        'from decoct.core.interfaces import Condenser\n\n\nclass Mine(Condenser):\n    """Mine."""\n'
    )
    (tmp_path / "net.pt").write_bytes(b"x")
    study = read(
        'plugins = ["mine.py"]\ndata = {name = "folder", path = "pictures"}\n'
        'teachers = [{net = "convnet2_bn", checkpoint = "net.pt"}]',
        body='condensers = ["mine"]\nprotocols = ["erm"]\n',
    )
    assert study.plugins == (str(tmp_path / "mine.py"),)
    assert study.data == {"name": "folder", "path": str(tmp_path / "pictures")}
    assert study.teachings()["convnet2_bn"].checkpoint == str(tmp_path / "net.pt")
    assert list(study.methods()) == ["mine"]
    assert read('data = "folder:pictures"').data == f"folder:{tmp_path / 'pictures'}"
    assert read('data = {name = "folder:pictures"}').data == {"name": f"folder:{tmp_path / 'pictures'}"}
    assert read('data = "folder:/abs"').data == "folder:/abs"
    assert read('data = "folder:~/pictures"').data == f"folder:{Path.home() / 'pictures'}"


def test_students_from_code_and_with_weights_start_at_the_studys_folder(read, tmp_path):
    (tmp_path / "mine.py").write_text("make = dict\n")
    (tmp_path / "net.pt").write_bytes(b"x")
    study = read('students = ["convnet1", "mine:make", "timm:test_resnet", "test_resnet@net.pt"]')
    weights = f"test_resnet@{tmp_path / 'net.pt'}"
    assert study.students == ("convnet1", f"mine:make@{tmp_path}", "timm:test_resnet", weights)
    with pytest.raises(UsageError, match="timm has no net 'none'"):
        read('students = ["timm:none"]')


def test_labels_tell_two_of_a_kind_apart(read):
    study = read(
        "",
        body='condensers = ["rded", {name = "rded", factor = 2, label = "rded2"}]\n'
        'protocols = ["erm", {name = "erm", lr = 0.01, label = "fast"}]\n',
    )
    assert {label: spec.factor for label, spec in study.methods().items()} == {"rded": None, "rded2": 2}
    assert list(study.recipes()) == ["erm", "fast"]


def test_how_labels_are_stored_is_a_table_of_the_protocol(read):
    stored = SOFT.format("{bits = 8, prune = 20}").replace(
        '{name = "single', '"single_teacher", {label = "s", name = "single'
    )
    study = read("", body=stored)
    assert {label: spec.labels for label, spec in study.recipes().items()} == {
        "single_teacher": None,
        "s": Storing(bits=8, prune=20),
    }
    assert Study.from_dict(study.model_dump()) == study


def test_the_whole_split_for_equal_steps_is_asked_for(read):
    assert not read("").same_steps
    assert read("same_steps = true").same_steps


def test_shards_are_of_the_study_and_not_of_the_method():
    cut = [{"name": "rded", "shards": 2}, {"name": "rded", "label": "small", "factor": 2, "shards": 3}, "cim"]
    study = Study.from_dict({"name": "t", "condensers": cut, "protocols": ["erm"]})
    assert study.shards() == {"rded": 2, "small": 3}
    whole = [{"name": "rded"}, {"name": "rded", "label": "small", "factor": 2}, "cim"]
    assert study.methods() == Study.from_dict({"name": "t", "condensers": whole, "protocols": ["erm"]}).methods()


def test_a_method_makes_as_many_sets_as_it_says_or_as_the_study():
    entries = [{"name": "rded", "sets": 8}, {"name": "rded", "label": "small", "factor": 2}, "cim"]
    study = Study.from_dict({"name": "t", "condensers": entries, "protocols": ["erm"]})
    assert study.sets() == {"rded": 8, "small": 5, "cim": 5}


@pytest.mark.parametrize("factor", [2, 3, 7])
def test_a_factor_is_refused_where_the_size_is_known_and_not_before(factor):
    """28 px fall into 7 × 7 tiles and 9 px into 3 × 3, though 64 px do not."""
    table = {"name": "t", "condensers": [{"name": "cim", "factor": factor}], "protocols": ["erm"]}
    assert Study.from_dict(table).methods()["cim"].factor == factor


def test_controls_are_of_the_study_and_not_of_the_method():
    entries = [
        {"name": "edc", "control": "edc_start"},
        {"name": "edc", "iterations": 0, "label": "edc_start"},
        {"name": "rded", "label": "mosaic", "control": "random", "shards": 2},
        "random",
    ]
    study = Study.from_dict({"name": "t", "condensers": entries, "protocols": ["erm"]})
    assert study.controls() == {"edc": "edc_start", "mosaic": "random"}
    assert study.shards() == {"mosaic": 2}
    plain = [{"name": "edc"}, {"name": "edc", "iterations": 0, "label": "edc_start"}]
    plain += [{"name": "rded", "label": "mosaic"}, {"name": "random"}]
    other = Study.from_dict({"name": "t", "condensers": plain, "protocols": ["erm"]})
    assert (study.methods(), other.controls()) == (other.methods(), {})
    assert Study.from_dict(study.model_dump()) == study


def test_a_papers_own_protocol_is_marked_by_the_study_and_is_no_field_of_it():
    own = {"name": "single_teacher", "label": "sre2l_own", "native": True, "methods": ["sre2l", "random"]}
    entries = [
        "erm",
        own,
        {"name": "erm", "label": "long", "epochs": 9, "native": True},
        {"name": "dc", "native": False},
    ]
    study = Study.from_dict({"name": "t", "condensers": ["random", "sre2l", "herding"], "protocols": entries})
    assert study.natives() == {"sre2l_own": ("sre2l", "random"), "long": None}
    plain = [
        "erm",
        {"name": "single_teacher", "label": "sre2l_own"},
        {"name": "erm", "label": "long", "epochs": 9},
        "dc",
    ]
    other = Study.from_dict({"name": "t", "condensers": ["random", "sre2l", "herding"], "protocols": plain})
    assert (study.recipes(), other.natives()) == (other.recipes(), {})
    assert Study.from_dict(study.model_dump()) == study


@pytest.mark.parametrize("teacher", [1, 5])
def test_teachers_are_one_or_one_for_each_set(read, teacher):
    assert read("").replicates.teacher == 1
    assert read(f"replicates = {{condense = 5, teacher = {teacher}}}").replicates.teacher == teacher


def test_the_margin_is_stated_or_left_to_the_report(read):
    assert read("").margin is None
    assert read("margin = 0.02").margin == 0.02


FEATURES = """
condensers = ["herding", {name = "herding", extractor = "f.npy", label = "mine"}]
protocols = ["erm"]
[[extractors]]
name = "timm:test_resnet@w.pth"
dtype = "float16"
[metrics]
extractors = ["teacher", "timm:test_resnet@w.pth", "f.npy"]
"""


def test_files_of_extractors_start_at_the_study(read, tmp_path):
    for name in ("f.npy", "w.pth"):
        (tmp_path / name).write_bytes(b"")
    study = read("", body=FEATURES)
    rows, net = f"{tmp_path}/f.npy", f"timm:test_resnet@{tmp_path}/w.pth"
    assert study.methods()["mine"].extractor == rows
    assert study.metrics.extractors == ("teacher", net, rows)
    assert study.extractors == (Extract(name=net, dtype="float16"),)
    assert Study.from_dict(study.model_dump(mode="json")) == study


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('dtype = "float16"', 'dtpye = "float16"', "unknown key 'extractors.0.dtpye'. Did you mean 'dtype'"),
        ('dtype = "float16"', 'dtype = "int8"', "'float32' or 'float16'"),
        ('dtype = "float16"', "size = 0", "greater than or equal to 1"),
        ('name = "timm:test_resnet@w.pth"', 'name = "timm:"', "a net's name is missing"),
        ('"f.npy", label', '"g.npy", label', "no file at .*g.npy"),
        ('"teacher", "timm:test_resnet@w.pth"', '"timm:test_resnt"', "Did you mean 'test_resnet'"),
        ('"teacher", "timm:test_resnet@w.pth"', '"pca"', "unknown net 'pca'.*\n.*FILE.npy"),
    ],
)
def test_extractors_that_nobody_knows(read, tmp_path, old, new, said):
    for name in ("f.npy", "w.pth"):
        (tmp_path / name).write_bytes(b"")
    assert FEATURES.count(old) == 1
    with pytest.raises(UsageError, match=f"study.toml.*{said}"):
        read("", body=FEATURES.replace(old, new))


@pytest.mark.parametrize("name", ["", "../../evil", "a/b", "..", "a\\\\b", " a", "\\u001b[2J", "x" * 201])
def test_a_study_s_name_is_that_of_a_folder(tmp_path, name):
    path = tmp_path / "study.toml"
    path.write_text(f'name = "{name}"\ncondensers = ["random"]\nprotocols = ["erm"]\n')
    with pytest.raises(UsageError, match=r"study\.toml: name: .*a name is printable text"):
        Study.from_toml(path)


@pytest.mark.parametrize(
    "line",
    [
        "a = " + "[" * 100_000,
        "a = " + "9" * 5000,
        'plugins = ["a\\u0000.py"]',
        'data = "folder:~nobody-of-this-name/x"',
        "a." * 100_000 + "b = 1",
    ],
)
def test_a_file_that_no_study_is_gives_a_line(tmp_path, line):
    file = tmp_path / "study.toml"
    file.write_text(f'name = "a"\ncondensers = ["random"]\nprotocols = ["erm"]\n{line}\n')
    with pytest.raises(UsageError, match=r"study\.toml") as caught:
        Study.from_toml(file)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 400
