"""Look at everything that is due: leases, keep-warm windows, wakes and executions that died, resting uploads."""

from typing import Any

from pilotlight.contracts import ScheduledTick
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(ScheduledTick)
def handler(work: ScheduledTick) -> dict[str, Any]:
    """Look at everything that is due, once a minute."""
    report = runtime().sweeping.sweep(correlation_id=work.id)
    runtime().journal.fact("swept", **report.dump())
    return report.dump()
