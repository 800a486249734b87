"""Jobs as an executor calls them: by a driver of the same version, failing in one line that any process can read."""

import platform

import decoct
from decoct.core.errors import DecoctError
from decoct.run.execute import execute
from decoct.run.jobs import Job

LONGEST = 500  # characters of a failure that are kept


def attempt(where: str, job: Job, device: str, version: str) -> None:
    """Execute a job, as an executor calls it, on a device and for a store somewhere.

    ``version`` is the driver's: a worker of another one would leave other bytes under the same key.

    Raises:
        DecoctError: whatever went wrong, in one line. An exception of a plug-in's own class might not survive the way
            back from a worker, and a plug-in that leaves by ``sys.exit`` shall not end the run.
    """
    if version != decoct.__version__:
        raise DecoctError(
            f"this run is driven by decoct {version}, and its worker on {platform.node()} has decoct "
            f"{decoct.__version__}: install the same version on both"
        )
    try:
        execute(where, job, device)
    except (Exception, SystemExit) as error:
        raise DecoctError(describe(error)) from error


def describe(error: BaseException) -> str:
    """One line that says what went wrong."""
    said = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if not isinstance(error, DecoctError):
        said = f"{type(error).__name__}: {said}".removesuffix(": ")
    return said if len(said) <= LONGEST else f"{said[:LONGEST]} …"
