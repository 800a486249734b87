"""One tiny study, run once for all tests of the run layer, and plug-ins that misbehave."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from decoct.data.dataset import load_data
from decoct.needs.teacher import Teach
from decoct.report.write import write_report
from decoct.study.execute import execute
from decoct.study.graph import Planner
from decoct.study.run import run
from decoct.study.store.store import KeptOnDisk, Store
from decoct.study.study import Study

TINY = """
    name = "tiny"
    students = ["convnet1_w8"]
    budgets = [{ipc = 1}]
    replicates = {condense = 2}
    metrics = {draws = 3, resamples = 3}
    condensers = ["random", "herding", {name = "rded", candidates = 10}, {name = "sre2l", iterations = 5}]
    protocols = [{name = "erm", steps = 5}, {name = "multi_teacher", steps = 5}]
    teachers = [
      {net = "convnet2_bn", epochs = 1},
      {net = "resnet10t", epochs = 1},
      {net = "test_resnet", epochs = 1},
      {net = "test_efficientnet", epochs = 1},
    ]
"""

BAD = '''
    """Condensers that each break something."""

    import os
    import sys
    from typing import ClassVar

    import numpy as np

    from decoct.core.interfaces import Condenser, Draft


    class Misfortune(Exception):
        """Cannot be unpickled: it needs two arguments, and passes on one."""

        def __init__(self, what, why):
            super().__init__(f"{what}: {why}")


    def picks(inputs, rng=None):
        rng = rng or np.random.default_rng(inputs.seed)
        return np.concatenate([rng.permutation(m)[:q] for m, q in zip(inputs.members(), inputs.quotas())])


    def images(inputs, shape):
        labels = np.repeat(np.arange(len(inputs.quotas())), inputs.quotas())
        rng = np.random.default_rng(inputs.seed)
        return Draft.synthesised(rng.random((len(labels), *shape), dtype=np.float32), labels)


    class Good(Condenser):
        """Keeps every rule."""

        family: ClassVar = "coreset"

        def __call__(self, inputs):
            return Draft.selected(picks(inputs))


    class Raises(Good):
        """Raises an error of two lines."""

        name: ClassVar = "raises"

        def __call__(self, inputs):
            raise ValueError("no luck\\ntoday")


    class Own(Good):
        """Raises an error of its own class."""

        name: ClassVar = "own"

        def __call__(self, inputs):
            raise Misfortune("rain", "clouds")


    class Leaves(Good):
        """Leaves the program."""

        name: ClassVar = "leaves"

        def __call__(self, inputs):
            sys.exit(3)


    class Dies(Good):
        """Takes its process down."""

        name: ClassVar = "dies"

        def __call__(self, inputs):
            os._exit(1)


    class DiesOnce(Good):
        """Takes its process down, and goes on from what it kept."""

        name: ClassVar = "dies_once"

        def __call__(self, inputs):
            kept = inputs.kept.load("picks")
            if kept is None:
                inputs.kept.save("picks", {"picks": picks(inputs)})
                os._exit(1)
            return Draft.selected(kept["picks"])


    class NotFinite(Good):
        """Makes images of NaN."""

        name: ClassVar = "not_finite"
        family: ClassVar = "distillation"

        def __call__(self, inputs):
            draft = images(inputs, inputs.data.shape)
            draft.images[0] = np.nan
            return draft


    class WrongShape(Good):
        """Makes images of another size."""

        name: ClassVar = "wrong_shape"
        family: ClassVar = "distillation"

        def __call__(self, inputs):
            return images(inputs, (1, 9, 9))


    class TooMany(Good):
        """Takes more than the budget."""

        name: ClassVar = "too_many"

        def __call__(self, inputs):
            return Draft.selected(np.arange(len(inputs.quotas()) * 5))


    class NoSuchImage(Good):
        """Picks behind the end."""

        name: ClassVar = "no_such_image"

        def __call__(self, inputs):
            return Draft.selected(picks(inputs) + len(inputs.data.train))


    class Unbalanced(Good):
        """Gives one class an image of another's."""

        name: ClassVar = "unbalanced"

        def __call__(self, inputs):
            chosen = picks(inputs)
            chosen[0] = inputs.members()[1][-1]
            return Draft.selected(chosen)


    class Twice(Good):
        """Picks one image twice."""

        name: ClassVar = "twice"

        def __call__(self, inputs):
            chosen = picks(inputs)
            chosen[1] = chosen[0]
            return Draft.selected(chosen)


    class IgnoresTheSeed(Good):
        """Says that it is stochastic, and is not."""

        name: ClassVar = "ignores_the_seed"

        def __call__(self, inputs):
            return Draft.selected(picks(inputs, np.random.default_rng(0)))


    class UsesTheSeed(Good):
        """Says that it is deterministic, and is not."""

        name: ClassVar = "uses_the_seed"
        stochastic: ClassVar = False


    class HiddenDraws(Good):
        """Draws from what no seed decides."""

        name: ClassVar = "hidden_draws"

        def __call__(self, inputs):
            return Draft.selected(picks(inputs, np.random.default_rng()))


    class Entangled(Good):
        """Says that it makes each class by itself, and draws all from one stream."""

        name: ClassVar = "entangled"

        def together(self, ipc):
            return 1


    class EvensOut(Good):
        """Gives as many in all, the same number of each class as far as that goes."""

        name: ClassVar = "evens_out"
        stochastic: ClassVar = False

        def __call__(self, inputs):
            total, members = sum(inputs.quotas()), inputs.members()
            return Draft.selected([members[i % len(members)][i // len(members)] for i in range(total)])


    class Spreads(Good):
        """Cannot leave a class out."""

        name: ClassVar = "spreads"

        def __call__(self, inputs):
            assert all(inputs.quotas()), "nothing to begin with"
            return Draft.selected(picks(inputs))


    class PoolsTwice(Good):
        """Picks an image twice where it picks among all."""

        name: ClassVar = "pools_twice"
        pooled: bool = False

        def __call__(self, inputs):
            chosen = picks(inputs)
            if self.pooled:
                chosen[1] = chosen[0]
            return Draft.selected(chosen)


    class DrawsInPools(Good):
        """Draws from what no seed decides where it picks among all."""

        name: ClassVar = "draws_in_pools"
        pooled: bool = False

        def __call__(self, inputs):
            return Draft.selected(picks(inputs, np.random.default_rng() if self.pooled else None))


    class Even(Good):
        """Makes the same number of images of each class."""

        name: ClassVar = "even"
        even: ClassVar = True
        stochastic: ClassVar = False

        def __call__(self, inputs):
            return Draft.selected(np.concatenate([m[: inputs.ipc(self.name)] for m in inputs.members()]))


    class NoFamily(Condenser):
        name: ClassVar = "no_family"

        def __call__(self, inputs):
            return Draft.selected(picks(inputs))
'''


@pytest.fixture(scope="session")
def tiny_toml(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "tiny.toml"
    path.write_text(textwrap.dedent(TINY), "utf-8")
    return path


@pytest.fixture(scope="session")
def tiny(tiny_toml):
    return Study.from_toml(tiny_toml)


@pytest.fixture(scope="session")
def digits(decoct_store):
    return load_data("digits")


@pytest.fixture(scope="session")
def finished(tiny, tmp_path_factory):
    """The tiny study, run in this process; tests read it and leave it as it is."""
    out = tmp_path_factory.mktemp("finished")
    assert run(tiny, out) == {}
    write_report(out)
    return out


@pytest.fixture(scope="session")
def bad(tmp_path_factory):
    """The file of the condensers above."""
    path = tmp_path_factory.mktemp("plugins") / "good.py"
    path.write_text(textwrap.dedent(BAD).lstrip(), "utf-8")
    return str(path)


@pytest.fixture(scope="session")
def study_of(bad):
    """A study of some condensers without teachers, metrics or ceiling: a job a set and a job a student."""

    def make(*condensers, replicates=1, **more):
        table = {
            "name": "small",
            "students": ["convnet1_w8"],
            "budgets": [{"ipc": 1}],
            "replicates": {"condense": replicates},
            "condensers": list(condensers),
            "protocols": [{"name": "erm", "steps": 2}],
            "metrics": {"names": []},
            "ceiling": False,
            "plugins": [bad],
        }
        return Study.from_dict(table | more)

    return make


@pytest.fixture(scope="session")
def contents():
    """Every file of a store by its path, but for what was measured rather than computed."""

    def read(store: Path):
        files = (file for file in store.rglob("*") if file.is_file() and file.name != "measured.json")
        return {str(file.relative_to(store)): file.read_bytes() for file in files}

    return read


@pytest.fixture
def start():
    """``python -m decoct`` in a session of its own, killed at the end if it still runs."""
    started = []

    def begin(*words):
        command = [sys.executable, "-m", "decoct", *map(str, words)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def dies(monkeypatch):
    """``dies(ROOT, JOB, SAVINGS)``: a job that keeps its state at every chance, and ends behind so many savings."""

    class Death(BaseException):
        """Nothing may catch it."""

    def until(root, job, savings):
        save, left = KeptOnDisk.save, savings

        def save_then_die(self, name, arrays):
            nonlocal left
            save(self, name, arrays)
            left -= not name.startswith("epoch-")
            if left == 0:
                raise Death

        with monkeypatch.context() as patch:
            patch.setattr(KeptOnDisk, "save", save_then_die)
            patch.setattr(KeptOnDisk, "due", lambda self: True)
            with pytest.raises(Death):
                execute(root, job)

    return until


@pytest.fixture(scope="module")
def weighed(tmp_path_factory):
    """A file with a tiny net of timm's, of random weights."""
    file = tmp_path_factory.mktemp("timm") / "weights.safetensors"
    with torch.random.fork_rng([]):
        torch.random.default_generator.manual_seed(0)
        net = timm.create_model("test_resnet", num_classes=3)
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, file)
    return file


@pytest.fixture
def rows(digits, tmp_path):
    """Features that somebody brings along: the pixels, in double precision."""
    file = tmp_path / "pixels.npy"
    np.save(file, digits.train.images.reshape(len(digits.train), -1) / 255)
    return file


@pytest.fixture(scope="module")
def box(digits, tmp_path_factory):
    """``box(MAKE, …)``: the job that MAKE(planner) plans, with its cell after it and all that it needs was run."""
    store = Store(tmp_path_factory.mktemp("box"))
    quick = {net: Teach(net=net, epochs=1) for net in ("convnet2_bn", "test_efficientnet")}

    def run(make, **options):
        planner = Planner(digits, teachings=quick, **options)
        made = make(planner)
        for job in planner.jobs.values():
            execute(store.root, job)
        job = planner.jobs[made.key]
        return job, store.path(job.kind, job.key)

    return run
