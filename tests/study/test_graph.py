"""The planner: needs first, each once; what is given, what is cut into shards, what nobody can supply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.budget import Budget
from decoct.core.errors import DecoctError, UsageError
from decoct.core.interfaces import Condenser, Need
from decoct.core.spec import find, names, parse
from decoct.methods.decoupled.sre2l import SRe2L
from decoct.needs.dynamics import Dynamics
from decoct.needs.features import Extract, Features
from decoct.needs.teacher import Teach, Teacher
from decoct.protocols.erm import ERM
from decoct.protocols.single_teacher import SingleTeacher
from decoct.study.graph import Made, Planner, shares
from decoct.training.recipe import Storing


def test_labels_that_are_given_are_what_a_student_learns_from(digits):
    for soft in (SingleTeacher(labels=Storing(bits=8)), SingleTeacher()):  # which would have a teacher label them
        planner, made = Planner(digits), Made("a" * 32, {"method": "mine"})
        job = planner.train(("soft", soft), "convnet1_w8", made, labels="b" * 32)
        assert job.inputs == {"condensed": "a" * 32, "labels": "b" * 32}
        assert list(planner.jobs) == [job.key]


def test_a_plug_ins_text_is_keyed_and_its_place_is_not(digits, tmp_path):
    def keys_of(folder, text):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "mine.py"
        file.write_text(text)
        method = find("condenser", "mine", (str(file),))()
        planner = Planner(digits, plugins=(str(file),))
        return planner.condense("mine", method, Budget(ipc=1), 0).key

    text = 'from decoct.core.interfaces import Condenser\n\n\nclass Mine(Condenser):\n    """Mine."""\n'
    assert keys_of("a", text) == keys_of("b", text)
    assert keys_of("a2", text) != keys_of("c", text + "# changed\n")


def test_a_deterministic_method_has_one_set_of_replicate_0_and_a_stochastic_one_another_each_time(digits):
    planner = Planner(digits)
    named = [({"name": "herding"}, 1), ({"name": "random"}, 2), ({"name": "k_center"}, 1)]
    named += [({"name": "k_center", "start": "random"}, 2), ({"name": "facility_location", "search": "sparse"}, 1)]
    for config, sets in [*named, ({"name": "facility_location", "search": "stochastic"}, 2)]:
        method = parse("condenser", config)
        made = [planner.condense("label", method, Budget(ipc=1), replicate) for replicate in (0, 1)]
        assert len({each.key for each in made}) == sets
        assert [each.labels["condense_replicate"] for each in made] == [0, sets - 1]


def test_the_seed_of_a_set_hangs_on_the_method_and_the_replicate(digits):
    planner = Planner(digits)
    named = [("random", 0), ("random", 1), ("k_means", 0), ("zcore", 0)]
    made = [planner.condense(n, parse("condenser", {"name": n}), Budget(ipc=1), replicate) for n, replicate in named]
    assert len({planner.jobs[each.key].keyed["seed"] for each in made}) == 4


def test_a_set_in_bfloat16_has_another_key_and_the_same_seed_and_the_one_in_float32_the_key_of_before(digits):
    planner = Planner(digits)
    for name in (name for name in names("condenser") if "precision" in find("condenser", name).model_fields):
        if name == "d4m":  # which needs a pipeline
            continue
        made = [
            planner.jobs[planner.condense(name, parse("condenser", {"name": name, **rest}), Budget(ipc=1), 1).key]
            for rest in ({}, {"precision": "float32"}, {"precision": "bfloat16"})
        ]
        own = find("condenser", name).model_fields["precision"].default  # None for the study's, which is keyed as well
        assert (made[0].key == made[1].key) == (own == "float32") and made[2].key not in (made[0].key, made[1].key)
        assert "precision" not in made[0].keyed["spec"]["fields"]
        assert made[0].keyed["seed"] == made[2].keyed["seed"] and made[0].inputs == made[2].inputs


def test_features_in_bfloat16_are_other_features(digits):
    plain, same, half = (
        Planner(digits, extractors=[Extract(name="teacher", **rest)]).job(Features(extractor="teacher"))
        for rest in ({}, {"precision": "float32"}, {"precision": "bfloat16"})
    )
    assert plain.key == same.key != half.key and "precision" not in plain.keyed["spec"]


def test_a_random_set_may_take_all_images_of_a_class_and_no_more(digits):
    counts = digits.counts()
    assert Planner(digits).reference("all", counts, {}, ["teacher"], 2).keyed["counts"] == counts
    with pytest.raises(DecoctError, match=r"class '0' has \d+ training images: no random set has \d+ of them"):
        Planner(digits).reference("more", [counts[0] + 1, *counts[1:]], {}, ["teacher"], 2)


def test_a_method_is_cut_by_the_class_that_gives_most(digits):
    class Grouped(Condenser):
        """Classes that together have ten images."""

        name = "grouped"
        family = "coreset"

        def together(self, ipc):
            return 10 // ipc

    planner = Planner(digits)
    made = planner.condense("grouped", Grouped(), Budget(images=25), 0, shards=10)
    roles = planner.jobs[made.key].role("shard")
    assert [planner.jobs[key].keyed["classes"] for key in roles.values()] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_images_of_a_class_that_are_made_apart_are_cut_where_classes_are_too_few(digits):
    def cut(shards, ipc=5, **fields):
        planner = Planner(digits)
        made = planner.condense("sre2l", SRe2L(**{"block": 5, "batch": 5} | fields), Budget(ipc=ipc), 0, shards)
        return [
            (job.keyed["classes"], job.keyed.get("numbers"))
            for job in map(planner.jobs.get, planner.jobs[made.key].role("shard").values())
        ]

    low, high = [0, 1, 2, 3, 4], [5, 6, 7, 8, 9]
    assert cut(2) == [(low, None), (high, None)]
    assert cut(5) == [(low, [0, 2]), (low, [2, 5]), (high, [0, 1]), (high, [1, 3]), (high, [3, 5])]
    assert cut(100) == [(each, [i, i + 1]) for each in (low, high) for i in range(5)]
    assert cut(100, ipc=1) == cut(2)
    assert cut(100, batch=10) == cut(2)  # images run side by side
    assert cut(4, block=10, batch=10) == [([*low, *high], [i, i + 1 + (i == 3)]) for i in range(4)]


def test_what_nobody_can_supply_is_a_usage_error(digits):
    class Dream(Need):
        pass

    class Dreamer(Condenser):
        def needs(self):
            return (Dream(),)

    with pytest.raises(UsageError, match="Dream"):
        Planner(digits).condense("dreamer", Dreamer(), Budget(ipc=1), 0)


def test_unknown_nets_are_usage_errors_with_a_suggestion(digits):
    planner = Planner(digits)
    with pytest.raises(UsageError, match="Did you mean 'convnet3'"):
        planner.train(("erm", ERM()), "convnt3", None)
    with pytest.raises(UsageError, match="unknown net 'resnt18'"):
        planner.job(Features(extractor="resnt18"))
    with pytest.raises(UsageError, match="unknown net 'convnt3'"):
        Planner(digits, teachings={"convnt3": Teach(net="convnt3")})


def test_a_net_that_hardly_learns_from_such_images_is_refused_at_planning(digits):
    """Digits have 8 px, where three blocks leave the last instance norm a map of 2 × 2."""
    planner = Planner(digits)
    for asked in (
        lambda: planner.train(("erm", ERM()), "convnet3_w32", None),
        lambda: planner.job(Teacher(net="convnet3_w32")),
        lambda: planner.job(Dynamics(net="convnet3_w32")),
        lambda: planner.condense("dm", parse("condenser", {"name": "dm", "net": "convnet3_w32"}), Budget(ipc=1), 0),
        lambda: planner.condense("mtt", parse("condenser", {"name": "mtt", "net": "convnet3_w32"}), Budget(ipc=1), 0),
        lambda: planner.condense(
            "craig", parse("condenser", {"name": "craig", "net": "convnet3_w32"}), Budget(ipc=1), 0
        ),
    ):
        with pytest.raises(UsageError, match=r"8 px.*\ntake convnet2_w32, which fits 8 px"):
            asked()
    assert not planner.jobs
    planner.train(("erm", ERM()), "convnet2_w32", None)
    assert planner.job(Teacher(net="teacher")).labels["net"] == "convnet2_bn"


@given(
    classes=st.integers(1, 60), together=st.integers(1, 20), shards=st.integers(1, 80), ipc=st.sampled_from([1, 2, 10])
)
def test_shards_are_whole_groups_of_all_classes_in_order_and_even(classes, together, shards, ipc):
    class Grouped(Condenser):
        def together(self, ipc):
            return together

    found = [part["classes"] for part in shares(Grouped(), classes, ipc, shards)]
    groups = -(-classes // together)
    if min(groups, shards) == 1:
        assert found == []
        return
    assert len(found) == min(shards, groups)  # no shard is empty, though there are more shards than groups
    assert [c for part in found for c in part] == list(range(classes))
    assert all(part[0] % together == 0 for part in found)
    sizes = [-(-len(part) // together) for part in found]
    assert max(sizes) - min(sizes) <= 1


@given(
    classes=st.integers(1, 20),
    together=st.none() | st.integers(1, 8),
    few=st.integers(1, 4),
    shards=st.integers(2, 60),
    ipc=st.integers(1, 12),
)
def test_shards_of_numbers_hold_every_image_once_in_whole_groups(classes, together, few, shards, ipc):
    class Both(Condenser):
        def together(self, ipc):
            return together

        def apart(self, ipc, classes):
            return few

    try:
        found = shares(Both(), classes, ipc, shards)
    except UsageError:
        assert together is None and few >= ipc
        return
    held = [(c, i) for part in found for c in part["classes"] for i in range(*part.get("numbers", (0, ipc)))]
    assert not found or sorted(held) == [(c, i) for c in range(classes) for i in range(ipc)]
    assert len(found) <= shards and all(part.get("numbers", [0])[0] % few == 0 for part in found)
    groups, units = -(-classes // (together or classes)), -(-ipc // few)
    if shards >= groups * units > 1:
        assert len(found) == groups * units
