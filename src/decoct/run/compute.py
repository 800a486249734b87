"""Where and how to compute what is asked for outside of a study, and the store that it goes to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from decoct.core.errors import UsageError
from decoct.core.kinds import Progress, silent
from decoct.core.places import default_where
from decoct.data.dataset import Dataset, load_data
from decoct.needs.features import Extract
from decoct.needs.generator import TeachGenerator
from decoct.needs.teacher import Teach
from decoct.run.execute import execute
from decoct.run.graph import Planner
from decoct.run.jobs import Job
from decoct.run.storage.store import Store, open_store

Watch = Callable[[Job], Progress]


@dataclass(frozen=True)
class Compute:
    """Where and how to compute; all but the device is part of what is stored.

    Attributes:
        device: such as "cpu" or "cuda".
        threads: on a CPU.
        precision: of training, "float32" or "bfloat16".
        store: folder or URL of the cells; None for ``$DECOCT_STORE`` or the user's cache.
        plugins: Python files that define further methods.
        watch: called with every job that is run; gives its progress callback.
    """

    device: str = "cpu"
    threads: int = 1
    precision: str = "float32"
    store: Path | str | None = None
    plugins: tuple[str, ...] = ()
    watch: Watch = field(default=lambda job: silent, repr=False)

    def loaded(self, data: Dataset | str) -> Dataset:
        """A data set as it is, or by its name."""
        return load_data(data, plugins=self.plugins) if isinstance(data, str) else data

    def planner(
        self,
        data: Dataset,
        teachings: Mapping[str, Teach] | None = None,
        extractors: Sequence[Extract] = (),
        generators: Sequence[TeachGenerator] = (),
    ) -> Planner:
        """A planner whose teachers and students are those of a study with seed 0.

        Raises:
            UsageError: the teachers are no table of ``Teach`` by net, or a checkpoint is not there.
        """
        taught = teachings or {}
        if not isinstance(taught, Mapping) or not all(isinstance(spec, Teach) for spec in taught.values()):
            raise UsageError(
                "teachers is a dict of Teach by net, such as {'convnet3_bn': Teach(net='convnet3_bn', epochs=5)}\n"
                "which teachers a protocol takes is said in its table: {'name': 'multi_teacher', 'teachers': [...]}"
            )
        keyed = {"threads": self.threads, "precision": self.precision, "compile": False}
        pinned = {net: spec.pinned() for net, spec in taught.items()}  # by content, so that no key outlives its file
        made = {spec.generator: spec.pinned() for spec in generators}
        return Planner(data, 0, keyed, pinned, self.plugins, extractors, made)

    def cells(self) -> Store:
        """The store, made if it is not there.

        Raises:
            DecoctError: it cannot be written.
        """
        store = open_store(str(self.store or default_where()))
        store.prepare()
        return store

    def do(self, planner: Planner) -> Store:
        """Run what the planner planned and the store lacks."""
        store = self.cells()
        for job in planner.jobs.values():
            if not store.has(job.kind, job.key):
                execute(store.where, job, self.device, self.watch(job))
        return store
