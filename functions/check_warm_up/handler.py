"""Has the model answered for the first time?"""

from typing import Any

from pilotlight.contracts import WarmUpTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(WarmUpTask)
def handler(work: WarmUpTask) -> dict[str, Any]:
    """Has the model answered for the first time?"""
    return runtime().first_warm_up.check(work).dump()
