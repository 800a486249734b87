"""The work on traces: a net trains as a teacher would, and every image is looked at after each epoch."""

from decoct.core.kinds import Dynamics, Task
from decoct.core.spec import build
from decoct.engine.dynamics import Traces, record
from decoct.engine.images import tensor
from decoct.engine.teachers import Teach
from decoct.engine.train import TrainingSet
from decoct.nets import zoo
from decoct.run.cell import Cell


def make_dynamics(cell: Cell) -> None:
    """Train a net from one seed, and keep its traces; its weights are not kept."""
    job, data = cell.job, cell.data
    spec = build(Teach, {k: v for k, v in job.config.items() if k != "name"}, "dynamics")
    seed = job.keyed["seed"]
    task = Task(len(data.train), len(data.class_names), data.size, data.flip, ceiling=True)
    whole = TrainingSet(tensor(data.train.images), tensor(data.train.labels), data.mean, data.std)
    net = zoo.build(spec.net, data.shape[0], task.classes, task.size, seed)
    with cell.meter():
        trace = record(net, whole, spec.recipe(task), seed=seed, machine=cell.machine())
    trace.save(cell.folder)


def role(need: Dynamics, net: str, run: int) -> str:
    """What an input is called that holds one of the runs of a need, ``net`` being the name of its net."""
    return f"dynamics:{net}/{need.epochs or 'own'}/{run}"


def load_dynamics(cell: Cell, need: Dynamics) -> Traces:
    """The runs of a need, as memory maps."""
    net = zoo.resolve(need.net, cell.data.size)
    keys = [cell.job.inputs[role(need, net, run)] for run in range(need.runs)]
    return Traces.load([cell.input("dynamics", key) for key in keys])
