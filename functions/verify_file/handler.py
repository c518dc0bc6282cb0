"""Read one sealed file back, and quarantine its artifact where it is not what its source lists."""

from pilotlight.contracts import VerifyTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(VerifyTask)
def handler(work: VerifyTask) -> None:
    """Read one sealed file back, and quarantine its artifact where it is not what its source lists."""
    runtime().verifying.verify(work)
