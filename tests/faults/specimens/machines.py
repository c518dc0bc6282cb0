"""Bugs in the text of the state machines: a Retry or a Catch too few, a way that leads elsewhere."""

from __future__ import annotations

from tests.faults.mutating import Hunt, Mutant

MUTANTS = (
    Mutant(
        "a step of the deploy is not tried again",
        "that a Lambda may die",
        "deploy.asl.yaml:StartStaging",
        "MaxAttempts: 6",
        "MaxAttempts: 0",
        (Hunt("deploy", ("crash_before",), "start_staging *"),),
    ),
    Mutant(
        "the end of a wake is not tried again",
        "that a Lambda may die when the model has answered",
        "warm.asl.yaml:MarkWarm",
        "MaxAttempts: 6",
        "MaxAttempts: 0",
        (Hunt("deploy", ("crash_before",), "mark_warm *"),),
    ),
    Mutant(
        "a rate limit fails the staging",
        "that a hub's or a bucket's limit may last longer than a span is tried",
        "stage_artifact.asl.yaml:CopySpans",
        "MaxAttempts: 3\n        BackoffRate: 2\n    Catch",
        "MaxAttempts: 0\n        BackoffRate: 2\n    Catch",
        (Hunt("rate-limited"),),
    ),
    Mutant(
        "a failed import gives no reason",
        "that a failed step must be noted with its reason",
        "deploy.asl.yaml:CheckImport",
        "    Catch:\n      - {ErrorEquals: [States.ALL], ResultPath: $.error, Next: StopBilling}\n",
        "",
        (Hunt("refused-import"),),
    ),
    Mutant(
        "a failed import goes past its note",
        "that a Catch must lead to what notes the failure",
        "deploy.asl.yaml:CheckImport",
        "ResultPath: $.error, Next: StopBilling}",
        "ResultPath: $.error, Next: DeploymentFailed}",
        (Hunt("refused-import"),),
    ),
    Mutant(
        "it serves before it has answered",
        "that the first warm-up is waited for",
        "deploy.asl.yaml:MayWarmUp?",
        "Default: CheckWarmUp",
        "  - {Variable: $.warm_up.held, BooleanEquals: false, Next: MarkServing}\n    Default: CheckWarmUp",
        (Hunt("deploy"),),
    ),
    Mutant(
        "a wake that gives up is taken for one that was answered",
        "that a probe may say that there shall be no other",
        "warm.asl.yaml:Ready?",
        "{Variable: $.probe.give_up, BooleanEquals: true, Next: MarkWakeFailed}",
        "{Variable: $.probe.give_up, BooleanEquals: true, Next: MarkWarm}",
        (Hunt("never-loads"),),
    ),
    Mutant(
        "the teardown's machine does not wait for the import",
        "that an import job cannot be stopped",
        "teardown.asl.yaml:ModelDeleted?",
        "Default: WaitForImportJob",
        "  - {Variable: $.model.done, BooleanEquals: false, Next: ReleaseArtifact}\n    Default: WaitForImportJob",
        (Hunt("teardown-import"),),
    ),
)
