"""Which extractors had no part in making a set: a method looks better in features that it has used."""

from collections.abc import Iterable

from decoct.nets.standard import architecture
from decoct.report.read.manifest import Manifest


def independent(run: Manifest, extractors: Iterable[str]) -> frozenset[str]:
    """Those whose features no method of a run reads and with whose net, whatever its weights, no set is made."""
    made = [need for job in run.of_kind("condense") for need in run.needs(job).values()]
    keys, nets = (
        {need.key for need in made},
        {architecture(str(n.labels[kind])) for n in made for kind in _says(n.labels)},
    )
    own = {str(job.labels["extractor"]): job for job in run.of_kind("features") if "extractor" in job.labels}

    def apart(extractor: str) -> bool:
        job = own.get(extractor)
        stands = {job.key, *run.needs(job)} if job else set()
        return architecture(extractor) not in nets and not stands & keys

    return frozenset(filter(apart, extractors))


def _says(labels: dict[str, object]) -> list[str]:
    return [kind for kind in ("net", "extractor") if kind in labels]
