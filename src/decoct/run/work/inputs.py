"""What a method gets of the store: teachers, features, statistics, traces; and which of it the user brought."""

from functools import partial
from typing import Any

from decoct.core.budget import Budget
from decoct.core.kinds import Condenser, Inputs
from decoct.core.needs import Dynamics, Features, ImageGenerator, LayerStatistics, Teacher, Trajectories
from decoct.core.record import CELL, read_json
from decoct.engine.diffusion.adapted import CARD
from decoct.engine.diffusion.model import DiffusionModel
from decoct.engine.dynamics import Traces
from decoct.engine.matching.experts import Experts
from decoct.engine.statistics import Statistics
from decoct.nets import zoo
from decoct.run.cell import Cell
from decoct.run.work.dynamics import load_dynamics
from decoct.run.work.experts import load_experts
from decoct.run.work.generators import load_generator
from decoct.run.work.teachers import EXTRACTOR, TEACHER, load_teacher, splits_of


def needed(cell: Cell, method: Condenser, classes: tuple[int, ...] | None = None) -> Inputs:
    """What a method gets: its needs from the store, its seed, its classes, and room for what it makes."""
    job, data, room = cell.job, cell.data, cell.kept().array
    teachers: dict[str, Any] = {}
    features: dict[Features, Any] = {}
    held_out: dict[Features, Any] = {}
    statistics: dict[str, Statistics] = {}
    dynamics: dict[Dynamics, Traces] = {}
    trajectories: dict[Trajectories, Experts] = {}
    generators: dict[ImageGenerator, DiffusionModel] = {}
    for need in method.needs():
        if isinstance(need, Teacher):
            key = job.role("teacher")[zoo.resolve(need.net, data.size)]
            teachers[need.net] = load_teacher(cell.input("teacher", key), data, cell.device)
        elif isinstance(need, Features):
            key = job.role("features")[zoo.resolve(need.extractor, data.size)]
            found = splits_of(cell.input("features", key), normalise=need.normalise, room=partial(room, "features"))
            features[need] = found["train"]
            held_out |= {need: found["val"]} if "val" in found else {}
        elif isinstance(need, LayerStatistics):
            key = job.role("statistics")[zoo.resolve(need.net, data.size)]
            statistics[need.net] = Statistics.load(cell.input("statistics", key), cell.device)
        elif isinstance(need, Dynamics):
            dynamics[need] = load_dynamics(cell, need)
        elif isinstance(need, Trajectories):
            trajectories[need] = load_experts(cell, need)
        elif isinstance(need, ImageGenerator):
            key = job.role("generator")[need.generator]
            generators[need] = load_generator(cell.input("generator", key), data, cell.device)
    return Inputs(
        data,
        Budget(**job.keyed["budget"]),
        job.keyed["seed"] or 0,
        cell.device,
        teachers=teachers,
        features=features,
        held_out=held_out,
        statistics=statistics,
        dynamics=dynamics,
        trajectories=trajectories,
        generators=generators,
        classes=classes,
        kept=cell.kept(),
        progress=cell.progress,
    )


def supplied(cell: Cell) -> tuple[str, ...]:
    """Nets, features and generators behind a set that the user brought, so that their cost is not known."""
    keys, brought = cell.job.role("teacher"), []
    for kind in ("features", "statistics"):
        for name, made in cell.job.role(kind).items():
            behind: dict[str, str] = read_json(cell.input(kind, made) / CELL)["inputs"]
            keys |= {role.removeprefix("teacher:"): key for role, key in behind.items()}
            brought += [name] if (cell.input(kind, made) / EXTRACTOR).is_file() else []
    loaded = [net for net, key in keys.items() if read_json(cell.input("teacher", key) / TEACHER)["checkpoint"]]
    brought += [name for name, card in cards(cell).items() if not card["trained_here"]]
    return (*loaded, *brought)


def seen(cell: Cell) -> dict[str, str]:
    """What each generator behind a set was trained on."""
    return {name: card["seen"] for name, card in cards(cell).items()}


def cards(cell: Cell) -> dict[str, Any]:
    """What is on record of each generator behind a set."""
    return {name: read_json(cell.input("generator", key) / CARD) for name, key in cell.job.role("generator").items()}
