"""Teachers of their own for each set: what is drawn anew, what is shared, and that one teacher's keys stay."""

import pytest

from decoct.core.seeds import seed
from decoct.needs.generator import ImageGenerator
from decoct.needs.teacher import Teach, Teacher
from decoct.nets import weights, zoo
from decoct.nets.renormalise import Normalisation
from decoct.study.estimate.estimates import likeness
from decoct.study.expand import ExternalSet, expand
from decoct.study.graph import Planner
from decoct.study.jobs import ExternalJob
from decoct.study.study import Study

TABLE = {
    "name": "t",
    "students": ["convnet1_w8"],
    "budgets": [{"ipc": 1}],
    "replicates": {"condense": 3, "teacher": 3},
    "condensers": ["random", "herding", "sre2l"],
    "protocols": ["erm", "single_teacher"],
    "same_steps": True,
}
STORED = {"name": "single_teacher", "label": "stored", "labels": {"bits": 8}}
ONE = {"replicates": {"condense": 3, "teacher": 1}}
NET, JUDGE = "convnet2_bn", "test_efficientnet"


@pytest.fixture
def jobs(digits):
    def make(external=(), **changes):
        return expand(Study.from_dict(TABLE | changes), digits, external)

    return make


def of(jobs, kind=None, **labels):
    return [job for job in jobs if kind in (None, job.kind) and labels.items() <= job.labels.items()]


def teachers(jobs, net=NET):
    """Keys of a net's teachers by replicate."""
    return {job.labels.get("teacher_replicate", 0): job.key for job in of(jobs, "teacher", net=net)}


def seeds(jobs, kind):
    return [job.keyed["seed"] for job in jobs if job.kind == kind]


MANY = ["random", "herding", "sre2l", "mtt", "el2n", "g_vbsm", {"name": "k_means", "extractor": "convnet1_bn"}]


def test_one_teacher_is_the_default_and_has_the_seed_of_before(jobs, digits):
    """Seeds of every need as they were before a study could vary them: of the root, the data and names alone."""
    one = jobs(condensers=MANY, **ONE)
    assert [job.key for job in one] == [job.key for job in jobs(condensers=MANY, replicates={"condense": 3})]
    assert not [job for job in one if "teacher_replicate" in job.labels]
    for job in of(one, "teacher"):
        assert job.keyed["seed"] == seed(0, digits.digest, "teacher", job.labels["net"])
    for kind in ("dynamics", "trajectory"):
        (net,) = {job.labels["net"] for job in of(one, kind)}
        drawn = seeds(one, kind)
        assert drawn and drawn == [seed(0, digits.digest, kind, net, run) for run in range(len(drawn))]


def test_what_stands_on_replicate_0_keeps_its_key(jobs):
    """Each job of a study with one teacher is in that with three, but those of replicates 1 and 2 behind a teacher."""
    one, three = jobs(condensers=MANY, **ONE), {job.key for job in jobs(condensers=MANY)}
    gone = [job for job in one if job.key not in three]
    assert gone and all(job.labels["condense_replicate"] > 0 for job in gone)
    assert {job.kind for job in gone} == {"condense", "measure", "train"}
    behind = {"random": {"single_teacher"}}  # whose sets need nothing, so that only other labels change
    for job in of(gone, "train"):
        assert job.labels["protocol"] in behind.get(job.labels["method"], {"erm", "single_teacher"})


def test_how_many_jobs_there_are(jobs):
    """A label teacher for each set, and the judge; features of each; three sets of each method."""
    kinds = ("teacher", "features", "condense", "measure", "reference", "train")
    for changes, expected in (({}, (3 + 1, 3 + 1, 9, 9, 1, 18 + 8)), (ONE, (1 + 1, 1 + 1, 7, 7, 1, 18 + 8))):
        found = jobs(**changes)
        assert tuple(len(of(found, kind)) for kind in kinds) == expected


@pytest.mark.parametrize("method", ["random", "herding", "sre2l"])
def test_set_r_and_its_students_stand_on_teacher_r(jobs, method):
    found = jobs()
    by_key, own = {job.key: job for job in found}, teachers(found)
    assert set(own) == {0, 1, 2}
    made = of(found, "condense", method=method)
    assert [job.labels["condense_replicate"] for job in made] == [0, 1, 2]
    for job in made:
        behind = {key for key in above(job, by_key) if by_key[key].kind == "teacher"}
        assert behind == (set() if method == "random" else {own[job.labels["condense_replicate"]]})
    students = of(found, "train", method=method, protocol="single_teacher")
    assert [job.labels["condense_replicate"] for job in students] == [0, 1, 2]
    for job in students:
        replicate = job.labels["condense_replicate"]
        assert job.inputs == {"condensed": made[replicate].key, f"teacher:{NET}": own[replicate]}


def above(job, by_key):
    todo, seen = list(job.inputs.values()), set()
    while todo:
        if (key := todo.pop()) not in seen:
            seen.add(key)
            todo += by_key[key].inputs.values()
    return seen


def test_random_s_sets_are_those_of_one_teacher(jobs):
    drawn = [[job.key for job in of(jobs(**more), "condense", method="random")] for more in ({}, ONE)]
    assert drawn[0] == drawn[1]


def test_pairs_pair(jobs):
    by_pair, one = {}, {}
    for found, seen in ((jobs(), by_pair), (jobs(**ONE), one)):
        for job in of(found, "train"):
            seen.setdefault(job.labels["condense_replicate"], set()).add(job.keyed["seed"])
    assert by_pair == one and all(len(seeds) == 1 for seeds in by_pair.values())


def test_metrics_references_and_the_full_data_see_with_teacher_0(jobs):
    found = jobs(protocols=["single_teacher", STORED])
    first, judge = teachers(found)[0], teachers(found, JUDGE)
    assert set(judge) == {0}
    for job in (*of(found, "measure"), *of(found, "reference")):
        assert {key for role, key in job.inputs.items() if role.startswith("teacher:")} == {first, judge[0]}
        assert job.inputs[f"held_out:{JUDGE}"] == judge[0]
    full = of(found, "train", method="full")
    assert len(full) == 2 * (1 + 3)  # the ceiling, and as many steps as the sets get, with their teachers
    for job in full:
        assert job.inputs == {f"teacher:{NET}": teachers(found)[job.labels["condense_replicate"]]}
    assert first == teachers(found)[0]


def test_stored_labels_are_of_the_teachers_of_their_set(jobs):
    found = jobs(protocols=[STORED])
    own, labels = teachers(found), {job.key: job for job in of(found, "labels")}
    assert len(labels) == 9
    for job in of(found, "train"):
        if job.labels["method"] != "full":
            assert set(job.inputs) == {"condensed", "labels"}
            kept = labels[job.inputs["labels"]]
            assert kept.inputs == {
                "condensed": job.inputs["condensed"],
                f"teacher:{NET}": own[job.labels["condense_replicate"]],
            }


def test_shards_of_set_r_read_the_teacher_of_r(jobs):
    found = jobs(condensers=["random", {"name": "rded", "shards": 2}])
    own, made = teachers(found), of(found, "condense", method="rded")
    assert len({job.key for job in of(found, "shard")}) == 6
    for job in made:
        shards = [shard for shard in found if shard.key in job.role("shard").values()]
        assert len(shards) == 2
        for shard in (job, *shards):
            assert shard.inputs[f"teacher:{NET}"] == own[job.labels["condense_replicate"]]
    whole = of(jobs(condensers=["random", "rded"]), "condense", method="rded")
    assert [job.key for job in made] == [job.key for job in whole]


def test_committees_are_drawn_anew_as_a_whole(jobs):
    nets = ["convnet2_bn", "convnet1_bn"]
    found = jobs(protocols=[{"name": "multi_teacher", "teachers": nets}])
    for job in of(found, "train", method="random"):
        r = job.labels["condense_replicate"]
        assert job.role("teacher") == {net: teachers(found, net)[r] for net in nets}


@pytest.mark.parametrize(("method", "kind"), [("mtt", "trajectory"), ("el2n", "dynamics")])
def test_needs_that_are_trained_from_a_seed_are_drawn_anew_for_each_set(jobs, method, kind):
    found, one = jobs(condensers=["random", method]), jobs(condensers=["random", method], **ONE)
    assert len(of(found, kind)) == 3 * len(of(one, kind))
    assert len(set(seeds(found, kind))) == len(of(found, kind))
    made = of(found, "condense", method=method)
    assert [job.labels["condense_replicate"] for job in made] == [0, 1, 2]
    read = [set(job.role(kind).values()) for job in made]
    assert read[0] == {job.key for job in of(one, kind)}
    assert not (read[0] & read[1] | read[1] & read[2] | read[0] & read[2])


def test_a_generator_that_is_trained_here_is_drawn_anew(jobs, digits):
    planner = Planner(digits)
    first, second, again = (planner.supply(ImageGenerator(), r)["generator:own"] for r in (0, 1, 1))
    assert first.keyed["seed"] == seed(0, digits.digest, "generator")
    assert first.key != second.key == again.key
    assert (first.drawn, second.labels["teacher_replicate"]) == (True, 1)


@pytest.fixture
def checkpoint(tmp_path, digits):
    file = tmp_path / "mine.safetensors"
    net = zoo.build(NET, digits.shape[0], len(digits.class_names), digits.size, 0)
    weights.write(file, net, digits.class_names, Normalisation.of(digits.mean, digits.std))
    return {"net": NET, "checkpoint": str(file)}


def test_a_method_that_draws_nothing_keeps_one_set_on_what_is_loaded(jobs, checkpoint, rows):
    """Loaded weights and rows of the user's are the same for every replicate; so is herding's set in them."""
    entries = ["random", "herding", {"name": "herding", "extractor": str(rows), "label": "on_rows"}]
    found = jobs(condensers=entries, teachers=[checkpoint])
    assert set(teachers(found)) == {0} and not any(job.drawn for job in of(found, "teacher", net=NET))
    for method in ("herding", "on_rows"):
        (made,) = of(found, "condense", method=method)
        assert made.labels["condense_replicate"] == 0
        students = of(found, "train", method=method, protocol="erm")
        assert [job.labels["condense_replicate"] for job in students] == [0, 1, 2]
        assert {job.inputs["condensed"] for job in students} == {made.key}
    assert [job.key for job in found] == [job.key for job in jobs(condensers=entries, teachers=[checkpoint], **ONE)]


def test_one_set_s_students_are_labelled_by_the_teachers_of_their_replicate(jobs, rows):
    found = jobs(condensers=["random", {"name": "herding", "extractor": str(rows)}])
    (made,) = of(found, "condense", method="herding")
    (student,) = of(found, "train", method="herding", protocol="single_teacher", condense_replicate=2)
    assert student.inputs == {"condensed": made.key, f"teacher:{NET}": teachers(found)[2]}


def test_an_external_set_is_one_and_its_students_are_labelled_as_all_others_are(jobs, digits):
    keyed = {"content": "c" * 32, "data": digits.digest, "budget": {"ipc": 1}}
    labels = {"method": "theirs", "budget": "ipc=1", "condense_replicate": 0}
    theirs = ExternalJob(kind="condense", keyed=keyed, labels=labels, config={}, data="")
    own = ExternalJob(kind="labels", keyed={"content": "d" * 32}, labels={"method": "theirs"}, config={}, data="")
    found = jobs([ExternalSet("theirs", theirs, None)])
    assert len(of(found, "measure", method="theirs")) == 1
    students = of(found, "train", method="theirs", protocol="single_teacher")
    assert [job.inputs for job in students] == [
        {"condensed": theirs.key, f"teacher:{NET}": teachers(found)[r]} for r in range(3)
    ]
    labelled = of(jobs([ExternalSet("theirs", theirs, own)]), "train", method="theirs", protocol="single_teacher")
    assert [job.inputs for job in labelled] == [{"condensed": theirs.key, "labels": own.key}] * 3


def test_loaded_teachers_have_one_key_whatever_is_drawn(digits, checkpoint):
    planner = Planner(digits, teachings={NET: Teach(**checkpoint).pinned()})
    assert len({planner.supply(Teacher(net=NET), r)[f"teacher:{NET}"].key for r in range(3)}) == 1


def test_jobs_of_another_replicate_are_estimated_alike(jobs):
    """The plan probes one of them, and knows the others by it."""
    found = jobs()
    by_key = {job.key: job for job in found}
    for kind, groups in (("teacher", 2), ("features", 2)):
        assert len({likeness(job, by_key) for job in of(found, kind)}) == groups
    assert len({likeness(job, by_key) for job in of(found, "condense", method="herding")}) == 1
    (one,) = {likeness(job, by_key) for job in of(found, "train", method="herding", protocol="erm")}
    assert one


def test_replicate_numbers_never_meet(digits):
    """Needs of study seed and replicate derive from both: 1 of seed 0 is not 0 of seed 1."""
    keys = {
        Planner(digits, root).supply(Teacher(net=NET), r)[f"teacher:{NET}"].key for root in range(3) for r in range(3)
    }
    assert len(keys) == 9
