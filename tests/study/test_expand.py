"""A study becomes jobs: needs first, each once, with keys that only depend on what decides a result."""

from dataclasses import replace

import pytest

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.study.expand import expand
from decoct.study.study import Study

TABLE = {
    "name": "t",
    "students": ["convnet1_w8"],
    "budgets": [{"ipc": 1}, {"ipc": 2}],
    "replicates": {"condense": 3, "train": 2},
    "condensers": ["random", "herding"],
    "protocols": ["erm", "single_teacher"],
}


@pytest.fixture
def jobs(digits):
    def make(data=None, **changes):
        return expand(Study.from_dict(TABLE | changes), data or digits)

    return make


def keys(jobs, kind=None):
    return [job.key for job in jobs if kind in (None, job.kind)]


def of(jobs, **labels):
    return [job for job in jobs if labels.items() <= job.labels.items()]


def test_every_need_is_a_job_before_what_needs_it(jobs):
    seen = set()
    for job in jobs():
        assert set(job.inputs.values()) <= seen
        seen.add(job.key)


def test_no_job_is_there_twice(jobs):
    found = keys(jobs())
    assert len(found) == len(set(found))


KINDS = ("teacher", "features", "condense", "measure", "reference", "train")


def test_how_many_jobs_there_are(jobs):
    """Teachers: convnet2_bn and the held-out one. Sets: 2 budgets × (3 random + 1 herding), each measured once, beside
    random sets of each budget.

    Students: 2 budgets × 2 methods × 3 × 2 replicates × 2 protocols, and the ceiling once a protocol.
    """
    count = {kind: len(keys(jobs(), kind)) for kind in KINDS}
    assert count == {"teacher": 2, "features": 2, "condense": 8, "measure": 8, "reference": 2, "train": 48 + 2}


def test_a_deterministic_method_has_one_set_which_trains_every_replicates_student(jobs):
    (made,) = [job for job in of(jobs(), method="herding", budget="ipc=1") if job.kind == "condense"]
    students = [j for j in of(jobs(), method="herding", budget="ipc=1", protocol="erm") if j.kind == "train"]
    assert {job.inputs["condensed"] for job in students} == {made.key}
    pairs = [(job.labels["condense_replicate"], job.labels["train_replicate"]) for job in students]
    assert sorted(pairs) == [(c, t) for c in range(3) for t in range(2)]
    assert made.keyed["seed"] is None


def test_a_method_may_make_more_sets_or_fewer_than_the_others(jobs):
    usual, metrics = jobs(), {"names": ["prdc"], "extractors": ["pixels"]}
    found = jobs(condensers=[{"name": "random", "sets": 5}, {"name": "herding", "sets": 2}])
    for method, sets in (("random", 5), ("herding", 2)):
        students = [job for job in of(found, method=method, budget="ipc=1", protocol="erm") if job.kind == "train"]
        assert {job.labels["condense_replicate"] for job in students} == set(range(sets))
        shared = set(keys(of(usual, method=method))) & set(keys(of(found, method=method)))
        fewest = min(sets, 3)
        assert {j.labels["condense_replicate"] for j in students if j.key in shared} == set(range(fewest))
    made = [job for job in found if job.kind == "condense"]
    assert len(of(made, method="random")) == 2 * 5 and len(of(made, method="herding")) == 2
    one = {"condensers": [{"name": "random", "sets": 1}], "metrics": metrics}  # whose interval is over images
    alone = [job for job in jobs(**one) if job.kind == "measure"]
    assert all(job.keyed["resamples"] == 20 for job in alone) and len(alone) == 2


def test_pairs_pair(jobs):
    """A student's seed is the same for every method, protocol and budget, and another in every replicate."""
    by_pair = {}
    for job in jobs():
        if job.kind == "train":
            pair = job.labels["condense_replicate"], job.labels["train_replicate"]
            by_pair.setdefault(pair, set()).add(job.keyed["seed"])
    assert all(len(seeds) == 1 for seeds in by_pair.values())
    assert len(set.union(*by_pair.values())) == len(by_pair) == 6


def test_the_ceiling_is_trained_once_per_protocol_and_student(jobs):
    full = of(jobs(students=["convnet1_w8", "convnet2_w8"]), method="full")
    assert sorted((job.labels["protocol"], job.labels["student"]) for job in full) == [
        (protocol, student) for protocol in ("erm", "single_teacher") for student in ("convnet1_w8", "convnet2_w8")
    ]
    for job in full:
        assert (job.labels["budget"], job.labels["condense_replicate"], job.labels["train_replicate"]) == ("all", 0, 0)
        assert "condensed" not in job.inputs
    assert of(jobs(ceiling=False), method="full") == []


STORED = {"name": "single_teacher", "label": "stored", "labels": {"bits": 8, "prune": 4}}


def test_stored_labels_are_a_job_a_set_and_stand_in_for_the_teacher(jobs):
    found = jobs(protocols=["erm", STORED])
    labels = {job.key: job for job in found if job.kind == "labels"}
    sets = {job.key for job in found if job.kind == "condense"}
    (teacher,) = of(found, net="convnet2_bn")
    assert len(labels) == 2 * (3 + 3)  # a set of each budget and replicate; herding's one set, labelled for each
    assert {job.inputs["condensed"] for job in labels.values()} == sets
    for job in labels.values():
        assert set(job.inputs) == {"condensed", "teacher:convnet2_bn"}
        assert job.inputs["teacher:convnet2_bn"] == teacher.key
        assert (job.labels["protocol"], job.config["labels"]["prune"]) == ("stored", 4)
    for job in of(found, protocol="stored"):
        if job.kind == "train" and job.labels["method"] != "full":
            assert set(job.inputs) == {"condensed", "labels"}
            assert labels[job.inputs["labels"]].inputs["condensed"] == job.inputs["condensed"]
    (full,) = of(found, protocol="stored", method="full")
    assert set(full.inputs) == {"teacher:convnet2_bn"}  # the whole train split is labelled while it trains
    assert all("labels" not in job.inputs for job in of(found, protocol="erm"))


def test_students_and_train_replicates_share_the_labels_of_a_set(jobs):
    found = jobs(protocols=[STORED], condensers=["random"], students=["convnet1_w8", "convnet2_w8"])
    shared = {}
    for job in of(found, protocol="stored"):
        if job.kind == "train" and "condensed" in job.inputs:
            shared.setdefault(job.inputs["labels"], set()).add((job.labels["student"], job.labels["train_replicate"]))
    assert len(shared) == 2 * 3
    assert all(len(students) == 2 * 2 for students in shared.values())


def test_labels_of_equal_replicates_are_drawn_alike_for_every_method(jobs):
    found = [job for job in jobs(protocols=[STORED]) if job.kind == "labels"]
    seeds = {}
    for job in found:
        seeds.setdefault(job.labels["method"], []).append(job.keyed["seed"])
    assert set(seeds["random"]) == set(seeds["herding"]) and len(set(seeds["random"])) == 3
    students = {job.keyed["seed"] for job in jobs(protocols=[STORED]) if job.kind == "train"}
    assert not students & set(seeds["random"])


def test_how_labels_are_stored_moves_their_keys_and_their_students(jobs):
    def keys_of(kind, **storing):
        return set(keys(jobs(protocols=[STORED | {"labels": storing}]), kind))

    for kind in ("labels", "train"):
        assert keys_of(kind, bits=8) == keys_of(kind, bits=8, prune=1)
        assert not keys_of("labels", bits=8) & keys_of("labels", bits=16)
        assert len(keys_of(kind, bits=8) & keys_of(kind, per="image")) == 0
    assert keys_of("condense", bits=8) == keys_of("condense", bits=16)


def test_the_whole_split_for_the_steps_of_each_budget_with_a_student_for_each_replicate(jobs):
    found = of(jobs(same_steps=True), method="full")
    replicates = range(TABLE["replicates"]["condense"])
    where = sorted((job.labels["budget"], job.labels["protocol"], job.labels["condense_replicate"]) for job in found)
    protocols = ("erm", "single_teacher")
    several = [(budget, p, r) for budget in ("ipc=1", "ipc=2") for p in protocols for r in replicates]
    assert where == sorted([("all", p, 0) for p in protocols] + several)
    for job in found:
        budget = job.labels["budget"]
        assert job.keyed.get("as_long_as") == (None if budget == "all" else {"ipc": int(budget[-1])})
        assert job.labels["train_replicate"] == 0
        assert "condensed" not in job.inputs
    seeds = {job.labels["condense_replicate"]: job.keyed["seed"] for job in found}
    assert {job.keyed["seed"] for job in found} == set(seeds.values()) and len(set(seeds.values())) == len(replicates)
    alone = of(jobs(same_steps=True, ceiling=False), method="full")
    assert {job.labels["budget"] for job in alone} == {"ipc=1", "ipc=2"}


@pytest.mark.parametrize("ceiling", [True, False])
def test_where_the_protocol_says_the_steps_the_full_data_train_once_for_all_budgets(jobs, ceiling):
    found = of(jobs(same_steps=True, ceiling=ceiling, protocols=[{"name": "erm", "steps": 5}]), method="full")
    assert [job.labels["budget"] for job in found] == ["all"] * TABLE["replicates"]["condense"]
    assert all("as_long_as" not in job.keyed for job in found)
    assert len({job.keyed["seed"] for job in found}) == len(found)


@pytest.mark.parametrize(
    "more",
    [
        {"same_steps": True},
        {"protocols": ["erm", "single_teacher", STORED]},
        {"condensers": ["k_center", "random", "herding"]},
        {"protocols": ["dc", "erm", "single_teacher"]},
        {"students": ["convnet2_w8", "convnet1_w8"]},
        {"budgets": [{"ipc": 3}, {"ipc": 1}, {"ipc": 2}]},
        {"replicates": {"condense": 4, "train": 3}},
        {"name": "another", "margin": 0.02},
    ],
    ids=lambda more: next(iter(more)),
)
def test_adding_to_a_study_moves_no_key(jobs, more):
    assert set(keys(jobs())) <= set(keys(jobs(**more)))


@pytest.mark.parametrize("change", [{"seed": 1}, {"threads": 2}, {"precision": "bfloat16"}, {"compile": True}], ids=str)
def test_seed_and_compute_move_every_key(jobs, change):
    before, after = keys(jobs()), keys(jobs(**change))
    assert len(before) == len(after)
    assert not set(before) & set(after)


def test_another_content_moves_every_key_and_another_folder_none(jobs, digits, tmp_path):
    assert not set(keys(jobs())) & set(keys(jobs(replace(digits, digest="0" * 32))))
    assert keys(jobs()) == keys(jobs(replace(digits, folder=tmp_path)))


def test_a_field_moves_the_keys_of_what_it_decides(jobs):
    def changed(kind, **change):
        return set(keys(jobs(), kind)) ^ set(keys(jobs(**change), kind))

    assert not changed("condense", protocols=[{"name": "erm", "lr": 0.1}, "single_teacher"])
    assert len(changed("train", protocols=[{"name": "erm", "lr": 0.1}, "single_teacher"])) == 2 * (24 + 1)
    other_herding = {"condensers": ["random", {"name": "herding", "normalise": "unit"}]}
    assert len(changed("condense", **other_herding)) == 2 * 2
    assert not changed("teacher", **other_herding)
    taught = {"teachers": [{"net": "convnet2_bn", "epochs": 1}]}
    assert len(changed("teacher", **taught)) == 2
    assert len(changed("features", **taught)) == 2


def test_labels_move_no_key_and_stand_in_the_tables(jobs):
    labelled = jobs(condensers=[{"name": "random", "label": "chance"}, "herding"])
    assert keys(labelled) == keys(jobs())
    assert of(labelled, method="chance")
    assert not of(labelled, method="random")


def test_the_teacher_may_be_called_teacher(jobs):
    by_name = jobs(teachers=[{"net": "convnet2_bn", "epochs": 1}])
    assert keys(jobs(teachers=[{"net": "teacher", "epochs": 1}])) == keys(by_name)
    assert keys(by_name) != keys(jobs())


def test_a_class_that_is_too_small_is_named(digits):
    with pytest.raises(DecoctError, match=r"class '.*' has 1\d\d training images, fewer than ipc=1000"):
        expand(Study.from_dict(TABLE | {"budgets": [{"ipc": 1000}]}), digits)


WORDS = [
    {"fraction": 0.02},
    {"fraction": 0.02, "balanced": True},
    {"images": 7},
    {"images": 25, "balanced": False},
]


def test_budgets_in_other_words_are_keyed_by_their_words_and_move_no_other_key(jobs):
    found = jobs(budgets=[*TABLE["budgets"], *WORDS], same_steps=True)
    assert set(keys(jobs(same_steps=True))) < set(keys(found))
    for word in ({"ipc": 1}, {"ipc": 2}, *WORDS):
        own = of(found, budget=str(Budget(**word)))
        assert {job.kind for job in own} == {"condense", "measure", "reference", "train"}
        assert all(job.keyed["budget"] == word for job in own if job.kind == "condense")
        full = [job.keyed["as_long_as"] for job in own if job.labels.get("method") == "full"]
        assert full == [word] * 2 * TABLE["replicates"]["condense"]


def test_a_default_that_is_said_moves_no_key(jobs):
    plain, said = (
        ({"images": 20}, {"fraction": 0.1}),
        ({"images": 20, "balanced": True}, {"fraction": 0.1, "balanced": False}),
    )
    assert keys(jobs(budgets=plain)) == keys(jobs(budgets=said))


@pytest.mark.parametrize("name", ["rded", "sre2l", "cda", "g_vbsm", "edc", "cv_dd", "fadrm", "delt", "cim"])
def test_a_method_that_makes_as_many_of_each_class_is_refused_another_budget_before_anything_runs(jobs, name):
    entry = {"name": name, "label": "mine"}
    for word, why in (({"images": 25}, "2 of '5' and 3 of '0'"), ({"images": 7}, "0 of '7' and 1 of '0'")):
        said = f"mine makes the same number of images of each class, and the budget images=.* gives {why}: use ipc, or"
        with pytest.raises(UsageError, match=said):
            jobs(condensers=["random", entry], budgets=[{"ipc": 1}, word])
    assert jobs(condensers=[entry], budgets=[{"images": 20}, {"fraction": 0.0155, "balanced": True}])


def test_more_images_than_there_are_is_an_error(digits):
    with pytest.raises(DecoctError, match=rf"there are {len(digits.train)} training images, fewer than images=5000"):
        expand(Study.from_dict(TABLE | {"budgets": [{"images": 5000}]}), digits)


CUT = {"name": "rded", "shards": 3}


def test_shards_come_after_teachers_and_statistics_and_before_their_set(jobs):
    committee = {"name": "edc", "preset": "small_cpu", "block": 2, "shards": 2}
    found = jobs(condensers=[CUT, committee], budgets=[{"ipc": 2}], replicates={"condense": 1, "train": 1})
    place = {job.key: number for number, job in enumerate(found)}
    (made,) = [job for job in of(found, method="edc") if job.kind == "condense"]
    shards = [job for job in of(found, method="edc") if job.kind == "shard"]
    nets = {"convnet3_bn", "resnet10t", "test_resnet"}
    needs = {f"teacher:{net}" for net in nets} | {f"statistics:{net}/4" for net in nets}
    assert [set(job.inputs) for job in shards] == [needs, needs]
    assert set(made.inputs) == needs | {"shard:0", "shard:1"}
    for job in (*shards, made):
        assert all(place[key] < place[job.key] for key in job.inputs.values())
        kinds = {role: found[place[key]].kind for role, key in job.inputs.items()}
        assert all(kind == role.partition(":")[0] for role, kind in kinds.items())
    for job in found:
        if job.kind == "statistics":
            assert list(job.inputs) == [f"teacher:{job.labels['net']}"]


def test_shards_move_no_key_and_train_no_student_of_their_own(jobs):
    whole, cut = jobs(condensers=["rded", "herding"]), jobs(condensers=[CUT, "herding"])
    assert set(keys(whole)) < set(keys(cut))
    more = [job for job in cut if job.key not in set(keys(whole))]
    assert {job.kind for job in more} == {"shard"}
    assert len(more) == 3 * 2 * 3  # shards × budgets × replicates
    assert [job.labels["shard"] for job in more[:3]] == [0, 1, 2]
    assert not set(keys(more)) & {key for job in cut if job.kind != "condense" for key in job.inputs.values()}


def test_shards_of_one_group_or_one_shard_are_no_shards(jobs):
    whole = keys(jobs(condensers=["sre2l"]))  # blocks of 100 classes: digits are one
    assert keys(jobs(condensers=[{"name": "sre2l", "shards": 4}])) == whole
    assert keys(jobs(condensers=[{"name": "sre2l", "shards": 1}])) == whole


@pytest.mark.parametrize("name", ["herding", "random", "k_center"])
def test_a_method_that_ties_all_classes_cannot_be_sharded(jobs, name):
    with pytest.raises(UsageError, match=f"{name} makes all classes together and cannot be sharded: leave out shards"):
        jobs(condensers=[{"name": name, "pooled": True, "shards": 2}])


def test_what_hangs_on_the_resolution_is_keyed(jobs):
    (asked,) = [job for job in jobs(condensers=["cda"], replicates={"condense": 1}) if job.kind == "condense"][:1]
    assert asked.keyed["spec"]["fields"]["preset"] == asked.config["preset"] == "small"
    named = jobs(condensers=[{"name": "cda", "preset": "small"}], replicates={"condense": 1})
    assert asked.key in keys(named, "condense")
    other = jobs(condensers=[{"name": "cda", "preset": "tiny"}], replicates={"condense": 1})
    assert asked.key not in keys(other, "condense")


@pytest.mark.parametrize(
    "changes",
    [
        {"condensers": ["random", {"name": "herding", "extractor": "test_efficientnet"}]},
        {"condensers": ["random", {"name": "sre2l", "nets": ["test_efficientnet"]}]},
        {"condensers": ["random", {"name": "el2n", "net": "test_efficientnet"}]},
        {"protocols": [{"name": "single_teacher", "teacher": "test_efficientnet"}]},
    ],
)
def test_the_net_that_judges_takes_no_part_in_making_or_labelling(jobs, changes):
    def judges(found):
        return {name for job in found if job.kind == "measure" for name in job.role("held_out")}

    assert judges(jobs()) == {"test_efficientnet"}
    found = jobs(**changes)
    assert judges(found) == {"test_nfnet"}
    extractors = {name for job in found if job.kind == "measure" for name in job.role("features")}
    assert "test_nfnet" in extractors


def test_a_net_that_is_loaded_and_takes_no_part_judges(jobs, tmp_path):
    (tmp_path / "net.safetensors").write_bytes(b"weights")
    loaded = [{"net": "resnet18", "checkpoint": str(tmp_path / "net.safetensors")}]

    def judges(**changes):
        return {name for job in jobs(teachers=loaded, **changes) for name in job.role("held_out")}

    assert judges() == {"resnet18"}
    assert judges(protocols=[{"name": "single_teacher", "teacher": "resnet18"}]) == {"test_efficientnet"}


def test_random_sets_are_measured_once_a_budget_and_as_often_as_is_asked_for(jobs):
    found = [job for job in jobs() if job.kind == "reference"]
    assert [job.labels for job in found] == [{"budget": "ipc=1"}, {"budget": "ipc=2"}]
    assert [job.keyed["counts"] for job in found] == [[1] * 10, [2] * 10]
    assert {job.keyed["draws"] for job in found} == {20}
    quiet = jobs(metrics={"names": ["vendi"], "draws": 0, "resamples": 0})
    assert not [job for job in quiet if job.kind == "reference"]
    assert {job.keyed["resamples"] for job in quiet if job.kind == "measure"} == {0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"condense": 2}, {"random": 0, "herding": 20}),
        ({"condense": 1}, {"random": 20, "herding": 20}),
    ],
)
def test_resamples_are_for_methods_that_do_not_draw_several_sets(jobs, changes, expected):
    found = [job for job in jobs(condensers=["random", "herding"], replicates=changes) if job.kind == "measure"]
    assert {job.labels["method"]: job.keyed["resamples"] for job in found} == expected


def test_a_papers_own_protocol_trains_on_the_sets_that_it_names_and_on_the_full_data(jobs):
    own = {"name": "erm", "label": "own", "epochs": 9, "native": True}
    named = jobs(protocols=["erm", own | {"methods": ["herding"]}], condensers=["random", "herding", "k_center"])
    students = [job.labels["method"] for job in of(named, protocol="own")]
    assert students.count("herding") == 2 * 3 * 2 and students.count("full") == 1
    assert set(students) == {"herding", "full"}
    everywhere = jobs(protocols=["erm", own])
    assert {job.labels["method"] for job in of(everywhere, protocol="own")} == {"random", "herding", "full"}
    assert keys(jobs(protocols=["erm"])) == [job.key for job in everywhere if job.labels.get("protocol") != "own"]
    plain = {key: value for key, value in own.items() if key != "native"}
    assert keys(everywhere) == keys(jobs(protocols=["erm", plain]))  # how it is counted is in no key
