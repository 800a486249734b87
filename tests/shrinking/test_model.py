import pytest
from tests.shrinking.pools import make_pool

from decoct.core.errors import UsageError
from decoct.shrinking import model
from decoct.shrinking.learners.fine_tune import FineTune
from decoct.shrinking.learners.probe import Probe
from decoct.shrinking.learners.scratch import Scratch
from decoct.shrinking.model import Model


@pytest.fixture
def bare(monkeypatch):
    monkeypatch.setattr(model, "at_hand", lambda: None)


def test_without_weights_a_small_net_learns_from_scratch(bare, tmp_path):
    made = Model.of(None, None, None)
    pool = make_pool(tmp_path / "pool", ["0.png", "1.png"], [0, 1], ["a", "b"])
    assert made.protocol == "scratch" and made.learner(pool, "cpu") == Scratch("convnet2_w16", device="cpu")
    assert made.side("cpu") == 32 and made.side("cuda") == 64


def test_weights_at_hand_are_probed_unless_a_student_is_named(monkeypatch):
    monkeypatch.setattr(model, "at_hand", lambda: "clip")
    assert Model.of(None, None, None) == Model("probe", None, "clip")
    assert Model.of("probe", None, None) == Model("probe", None, "clip")
    assert Model.of(None, None, "dinov2_s").extractor == "dinov2_s"
    assert Model.of(None, "convnet3", None).protocol == "scratch"
    assert Model.of("scratch", None, None) == Model("scratch", None, None)


def test_each_protocol_has_its_learner(bare, tmp_path):
    pool = make_pool(tmp_path / "pool", ["0.png", "1.png"], [0, 1], ["a", "b"], extractor="clip")
    assert Model.of(None, None, "clip").learner(pool, "cpu") == Probe("clip")
    tuned = Model.of("finetune", "timm:test_resnet", None).learner(pool, "cpu")
    assert isinstance(tuned, FineTune) and tuned.student == "test_resnet"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lasso", None, None), "scratch, finetune, probe"),
        (("probe", "convnet3", None), "no --student"),
        (("scratch", None, "clip"), "--extractor is for --protocol probe"),
        ((None, "convnet3", "clip"), "give one of them"),
        (("finetune", None, None), "--student"),
        (("probe", None, None), "no pretrained weights are at hand"),
        ((None, "convnet33x", None), "unknown net"),
    ],
)
def test_words_that_do_not_go_together_are_told(bare, words, said):
    with pytest.raises(UsageError, match=said):
        Model.of(*words)
