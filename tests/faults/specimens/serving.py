"""Bugs in what serves: wakes, probes, calls and scaling down."""

from __future__ import annotations

from tests.faults.mutating import Hunt, Mutant

MUTANTS = (
    Mutant(
        "two wakes at once",
        "that a live wake is kept, however many ask",
        "services.warming:Warming._with_wake",
        "live = before.wake and before.wake.id != dead and before.wake.is_live(now)",
        "live = None",
        (Hunt("warm-up", ("duplicate", "lost", "crash_after")), Hunt("invocation", ("duplicate",))),
    ),
    Mutant(
        "the lease is not looked at",
        "that a deployment ends with its lease",
        "services.sweeping:Sweeping._lease_is_over",
        "return ended and",
        "return False and",
        (Hunt("lease"),),
    ),
    Mutant(
        "a failed call is answered for",
        "that the message of a call which could not be made must come back",
        "services.queue_work:QueueWork._come_back",
        "return False",
        "return True",
        (Hunt("invocation"),),
    ),
)
