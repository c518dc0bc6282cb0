"""Compare what the cloud holds with the records: adopt, remove, resume, fail, or tell."""

from typing import Any

from pilotlight.contracts import ScheduledTick
from pilotlight.reconciler import reconciling
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(ScheduledTick)
def handler(_work: ScheduledTick) -> dict[str, Any]:
    """Run one pass, every quarter hour; what it found is kept for GET /orphans."""
    done = reconciling(runtime()).reconcile()
    return done.model_dump(mode="json", include={"number", "found", "removed", "incomplete", "dry_run"})
