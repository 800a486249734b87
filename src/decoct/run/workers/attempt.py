"""Jobs as an executor calls them: by a driver of the same version, failing in one line that any process can read."""

import platform
from collections.abc import Sequence

import decoct
from decoct.core.errors import DecoctError
from decoct.run.execute import execute
from decoct.run.jobs import Job
from decoct.run.workers.together import execute_together

LONGEST = 500  # characters of a failure that are kept


def attempt(where: str, job: Job, device: str, version: str) -> None:
    """Execute a job, as an executor calls it.

    Args:
        where: the store is.
        job: what to do.
        device: where it computes.
        version: of decoct, in the driver: a worker of another one would leave other bytes under the same key.

    Raises:
        DecoctError: whatever went wrong, in one line. An exception of a plug-in's own class might not survive the way
            back from a worker, and a plug-in that leaves by ``sys.exit`` shall not end the run.
    """
    same_version(version)
    try:
        execute(where, job, device)
    except (Exception, SystemExit) as error:
        raise DecoctError(describe(error)) from error


def attempt_together(
    where: str, first: Job, others: Sequence[Job], device: str, version: str
) -> dict[str, BaseException]:
    """Execute a group, as an executor calls it.

    Args:
        where: the store is.
        first: of the jobs, by which an executor sees what kind they are.
        others: of the jobs.
        device: where they compute.
        version: of decoct, in the driver.

    Returns:
        What went wrong, as a DecoctError of one line, by the key of the job.

    Raises:
        DecoctError: this worker has another version of decoct.
    """
    same_version(version)
    failed = execute_together(where, [first, *others], device)
    return {key: DecoctError(describe(error)) for key, error in failed.items()}


def same_version(version: str) -> None:
    """Raise a DecoctError unless this worker has the driver's version of decoct."""
    if version != decoct.__version__:
        raise DecoctError(
            f"this run is driven by decoct {version}, and its worker on {platform.node()} has decoct "
            f"{decoct.__version__}: install the same version on both"
        )


def describe(error: BaseException) -> str:
    """One line that says what went wrong."""
    said = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if not isinstance(error, DecoctError):
        said = f"{type(error).__name__}: {said}".removesuffix(": ")
    return said if len(said) <= LONGEST else f"{said[:LONGEST]} …"
