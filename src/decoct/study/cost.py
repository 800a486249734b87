"""The cost of a set, or any cell, with everything that it needed, shared parts in full."""

from decoct.core.condensed import Condensed
from decoct.core.record import CELL, MEASURED, Cost, read_cost, read_json
from decoct.study.store.store import Store
from decoct.study.work.sets import FACTS


def total_cost(store: Store, kind: str, key: str) -> Cost:
    """Sums of seconds and joules, and largest peak, of a cell and of all that it reads, each once.

    Energy is None where that of a part is unknown.
    """
    seen: dict[str, Cost] = {}
    todo = [(kind, key)]
    while todo:
        of, cell = todo.pop()
        if cell not in seen:
            seen[cell] = read_cost(store.file(of, cell, MEASURED))
            inputs = read_json(store.file(of, cell, CELL))["inputs"]
            todo += [(role.partition(":")[0].replace("condensed", "condense"), read) for role, read in inputs.items()]
    parts = seen.values()
    drawn = [cost.energy for cost in parts if cost.energy is not None]
    return seen[key].model_copy(
        update={
            "seconds": sum(cost.seconds for cost in parts),
            "cpu_seconds": sum(cost.cpu_seconds for cost in parts),
            "device_seconds": sum(cost.device_seconds for cost in parts),
            "energy": sum(drawn) if len(drawn) == len(parts) else None,
            "peak_memory": max(cost.peak_memory for cost in parts),
        }
    )


def taken(condensed: Condensed, key: str, store: Store) -> dict[str, float | None]:
    """What is known of the cost of a set, by the names of ``decoct.metrics.cost``.

    Its seconds and joules travel with the set and its bytes are looked up in the cell ``key`` that holds it. The steps
    of its construction are in the cell that it was made in, if that is at hand.
    """
    cost, made = condensed.cost, condensed.provenance.key
    facts = read_json(store.file("condense", key, FACTS))
    known: dict[str, float | None] = {name: facts[name] for name in ("image_bytes", "label_bytes")}
    if made is not None and store.has("condense", made):
        known["steps"] = read_json(store.file("condense", made, FACTS))["steps"]
    if cost is not None:
        known["total_seconds"] = cost.seconds
        known |= {name: getattr(cost, name) for name in ("cpu_seconds", "device_seconds", "energy", "peak_memory")}
    return known
