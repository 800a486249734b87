"""The work on expert trajectories: a net is trained from one seed, and its weights after every epoch are kept."""

from decoct.core.kinds import Task, Trajectories
from decoct.core.spec import build
from decoct.engine.images import tensor
from decoct.engine.matching.experts import Expert, Experts, record
from decoct.engine.train import TrainingSet
from decoct.nets import zoo
from decoct.nets.layout import has_batch_norm
from decoct.run.cell import Cell


def make_trajectory(cell: Cell) -> None:
    """Train an expert from one seed, and keep its weights after every epoch."""
    job, data = cell.job, cell.data
    spec = build(Expert, {k: v for k, v in job.config.items() if k != "name"}, "trajectory")
    net = zoo.build(spec.net, data.shape[0], len(data.class_names), data.size, job.keyed["seed"])
    task = Task(
        len(data.train), len(data.class_names), data.size, data.flip, ceiling=True, batch_norm=has_batch_norm(net)
    )
    whole = TrainingSet(tensor(data.train.images), tensor(data.train.labels), data.mean, data.std)
    with cell.meter():
        trajectory = record(net, whole, spec.recipe(task), seed=job.keyed["seed"], machine=cell.machine())
    trajectory.save(cell.folder)


def role(need: Trajectories, run: int) -> str:
    """What an input is called that holds one of the experts of a need."""
    return f"trajectory:{need.net}/{need.epochs}/{'dsa' if need.dsa else 'plain'}/{run}"


def load_experts(cell: Cell, need: Trajectories) -> Experts:
    """The experts of a need: weights as memory maps, and the net on the cell's device."""
    data = cell.data
    name = zoo.resolve(need.net, data.size)
    net = zoo.build(name, data.shape[0], len(data.class_names), data.size, seed=0).to(cell.device)
    keys = [cell.job.inputs[role(need, run)] for run in range(need.experts)]
    return Experts.load(net, [cell.input("trajectory", key) for key in keys])
