"""Bugs in what removes things: teardown and reconciliation."""

from __future__ import annotations

from tests.faults.mutating import Hunt, Mutant

MUTANTS = (
    Mutant(
        "teardown does not wait for the import",
        "that an import job under way cannot be stopped, and makes its model afterwards",
        "services.tearing_down:TearingDown.delete_model",
        'if job and job.status == "InProgress":',
        "if False:",
        (Hunt("teardown-import"),),
    ),
    Mutant(
        "teardown does not wait for a call in flight",
        "that a Lambda which outlives its execution may be starting the import just now",
        "services.tearing_down:TearingDown._may_be_starting",
        "return self._clock.now() - imported.starting_at <",
        "return False and self._clock.now() - imported.starting_at <",
        (Hunt("deploy", ("teardown",), "*CreateModelImportJob"),),
    ),
    Mutant(
        "a teardown that died is not revived",
        "that a teardown whose execution died goes on in another round",
        "services.sweeping:Sweeping.look",
        "self._tearing_down.revive(deployment)",
        "pass",
        (Hunt("teardown", ("denied", "denied_stays")),),
    ),
)
