"""What a cell took with everything that it needed, shared parts in full."""

from decoct.core.record import CELL, MEASURED, Cost, read_json
from decoct.run.store import Store


def total_cost(store: Store, kind: str, key: str) -> Cost:
    """Sum of seconds, and largest peak, of a cell and of all that it reads, each once.

    Args:
        store: where the cells are.
        kind: of the cell.
        key: of the cell.
    """
    seen: dict[str, Cost] = {}
    todo = [(kind, key)]
    while todo:
        kind_, key_ = todo.pop()
        if key_ in seen:
            continue
        folder = store.path(kind_, key_)
        seen[key_] = Cost(**read_json(folder / MEASURED))
        for role, needed in read_json(folder / CELL)["inputs"].items():
            todo.append((role.partition(":")[0].replace("condensed", "condense"), needed))
    own = seen[key]
    return own.model_copy(
        update={
            "seconds": sum(cost.seconds for cost in seen.values()),
            "cpu_seconds": sum(cost.cpu_seconds for cost in seen.values()),
            "peak_memory": max(cost.peak_memory for cost in seen.values()),
        }
    )
