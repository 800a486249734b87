"""A need of a plug-in's own: one class beside its method, made once, counted, keyed by the plug-in's text."""

import textwrap

import numpy as np
import pytest

from decoct.core.budget import Budget
from decoct.core.condensed import Condensed
from decoct.core.errors import UsageError
from decoct.core.spec import load_plugin, parse
from decoct.study.cost import total_cost
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.store.store import Store

TEXT = '''
    """Brightest: the images of each class whose pixels are the brightest."""

    from typing import ClassVar

    import numpy as np

    from decoct.core.interfaces import Draft
    from decoct.core.needs import Need
    from decoct.methods.coresets._shared.coreset import Coreset


    class Brightness(Need):
        """Mean of the pixels of each train image, raised to a power."""

        name: ClassVar[str] = "NAME"
        record: ClassVar[str] = "said.json"

        power: int = 1

        @classmethod
        def make(cls, work):
            with work.meter():
                made = work.data.train.images.mean((1, 2, 3)) ** cls.again(work.job.config).power
            np.save(work.folder / "made.npy", made)
            (work.folder / "said.json").write_text('{"whose": "mine"}')

        def load(self, work):
            return {"others": {self: np.load(work.cell(self.name, self.title) / "made.npy")}}

        @classmethod
        def uncounted(cls, record):
            return record["whose"] == "mine"


    class Brightest(Coreset):
        """The brightest of each class."""

        power: int = 1

        def needs(self):
            return (Brightness(power=self.power),)

        def __call__(self, inputs):
            bright, groups = inputs.others[Brightness(power=self.power)], self.groups(inputs)
            picks = [each.rows[np.argsort(-bright[each.rows], kind="stable")[: each.quota]] for each in groups]
            return Draft.selected(np.concatenate(picks))
'''


@pytest.fixture
def planned(digits, tmp_path):
    """Jobs of the method, with a need of that name and power, at budgets."""

    def make(name="brightness", more="", power=1, budgets=(1, 2)):
        load_plugin.cache_clear()
        file = tmp_path / "brightest.py"
        file.write_text(textwrap.dedent(TEXT).lstrip().replace("NAME", name) + more)
        planner = Planner(digits, plugins=(str(file),))
        method = parse("condenser", {"name": "brightest", "power": power}, planner.plugins)
        return planner, [planner.condense("brightest", method, Budget(ipc=ipc), 0).key for ipc in budgets]

    return make


def test_it_is_made_once_loaded_and_counted(planned, digits, tmp_path):
    planner, keys = planned()
    assert [job.kind for job in planner.jobs.values()] == ["brightness", "condense", "condense"]
    store = Store(tmp_path)
    for job in planner.jobs.values():
        execute(store.root, job)
    made = Condensed.load(store.path("condense", keys[0]))
    bright = digits.train.images.mean((1, 2, 3))
    members = [np.flatnonzero(digits.train.labels == c) for c in range(10)]
    assert made.indices.tolist() == [rows[bright[rows].argmax()] for rows in members]
    (need,) = (job.key for job in planner.jobs.values() if job.kind == "brightness")
    assert made.provenance.inputs == {"brightness:1": need} and made.provenance.not_counted == ("1",)
    alone = [total_cost(store, kind, key).seconds for kind, key in (("brightness", need), ("condense", keys[0]))]
    assert 0 < alone[0] < alone[1]  # the cost of a set holds that of its need


def test_other_fields_and_another_text_are_other_cells(planned):
    def key(**how):
        planner, _ = planned(**how)
        return next(job.key for job in planner.jobs.values() if job.kind == "brightness")

    assert key() == key(budgets=(3,))
    assert len({key(), key(power=2), key(more="# changed\n")}) == 3


def test_a_need_cannot_go_by_the_name_of_the_runners_own_kinds_or_of_another_need(planned):
    with pytest.raises(UsageError, match="there is no need"):
        planned(name="train")
    with pytest.raises(UsageError, match="claimed twice"):
        planned(name="teacher")
