"""Bugs in what makes things: requests, staging, imports, uploads, and the writes under all of them."""

from __future__ import annotations

from tests.faults.mutating import Hunt, Mutant

MUTANTS = (
    Mutant(
        "no fence on writes",
        "that somebody else may have written the record since it was read",
        "adapters.table:Table._fenced",
        "if before_version:",
        'put.pop("ConditionExpression")\n    if before_version and False:',
        (Hunt("deploy", ("teardown", "zombie_teardown")), Hunt("warm-up", ("duplicate", "teardown"))),
    ),
    Mutant(
        "name is not reserved",
        "that the name may be held by a live deployment",
        "adapters.deployment_table:DeploymentTable.reserve",
        "if holder and holder.is_live:",
        "if False:",
        (Hunt("deploy", ("second_deploy",)),),
    ),
    Mutant(
        "an execution that died stays unnoticed",
        "that a deployment whose execution died must fail",
        "services.sweeping:Sweeping._look_at_execution",
        "self.fail_execution(deployment.name, deployment.generation, deployment.attempt, reason)",
        "return",
        (Hunt("deploy", ("denied_stays", "throttle_stays")),),
    ),
    Mutant(
        "staging is not revived",
        "that staging whose execution died must begin again",
        "services.deploying:Deploying.check_staging",
        "self._revive(artifact, task.correlation_id)",
        "pass",
        (Hunt("stage", ("error_stays", "denied_stays")),),
    ),
)
