"""Probe one deployment once: is its model ready to answer?"""

from typing import Any

from pilotlight.contracts import ProbeTask
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(ProbeTask)
def handler(work: ProbeTask) -> dict[str, Any]:
    """Probe one deployment once: is its model ready to answer?"""
    return runtime().probing.probe(work).dump()
