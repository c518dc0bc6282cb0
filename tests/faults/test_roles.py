"""Every role may do what it does and nothing else: what is granted and to no use is taken from the template.

Functions, machines and import jobs run in process, each as its own role under the policies of the template. Whatever
time or load does, they make the same calls.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.authorization import Decision
from tests.faults import endpoint_occasions, workers
from tests.faults.authority import enforced
from tests.faults.bench import Run
from tests.faults.grants import unmissed
from tests.faults.occasions import OCCASIONS, come_to
from tests.faults.workflows import WORKFLOWS

pytestmark = pytest.mark.slow

# Grants that nothing drives, whole, each with the reason why it stands all the same.
DELIVERED = "Step Functions delivers logs of machines; here nothing delivers them."
DIED_SINCE = "asked for a wake whose execution another caller started a while ago, and which may have died since."
HOSTED = "SageMaker does it as the role of the containers; the simulation of it has no use for it."
MACHINES = ("Deploy", "StageArtifact", "Teardown", "Update", "Warm")
WAKING = ("ApiInvoke", "Api", "RunInvocation", "StartWarmUp")
DELIVERING = (
    "CreateLogDelivery",
    "DeleteLogDelivery",
    "DescribeLogGroups",
    "DescribeResourcePolicies",
    "GetLogDelivery",
    "ListLogDeliveries",
    "PutResourcePolicy",
    "UpdateLogDelivery",
)
WARM = "arn:aws:states:us-east-1:123456789012:execution:pilotlight-warm:*"
HOSTING = (
    "cloudwatch:DescribeAlarms on arn:aws:cloudwatch:us-east-1:123456789012:alarm:pilotlight-*",
    "cloudwatch:PutMetricData on * if StringLike cloudwatch:namespace ['/aws/sagemaker/*']",
    "logs:DescribeLogStreams on arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/*",
)
UNSEEN = {
    **{f"{each}MachineRole, by MachineLogPolicy: logs:{do} on *": DELIVERED for each in MACHINES for do in DELIVERING},
    **{f"{each}Role: states:DescribeExecution on {WARM}": DIED_SINCE for each in WAKING},
    **{f"HostingRole: {each}": HOSTED for each in HOSTING},
}

WHAT_TO_DO = (
    "Nobody used these grants, so removing them would go unnoticed. Take them out of template.yaml, let "
    "tests/faults/occasions.py come to what needs them, or say in UNSEEN why they stand without a test:"
)


@pytest.fixture(scope="module")
def seen() -> Iterator[list[Decision]]:
    """Give every decision about every call that all workflows and all occasions make."""
    with workers.bench() as bench, enforced(bench.stack) as decisions:
        for workflow in WORKFLOWS:
            bench.run(Run(workflow))
        for occasion in (*OCCASIONS, *endpoint_occasions.OCCASIONS):
            come_to(bench, occasion)
        yield decisions


def test_nobody_is_refused_what_it_needs(seen: list[Decision]) -> None:
    refused = {
        f"{each.call.caller.name}: {each.call.action} on {each.call.resource}" for each in seen if not each.allowed
    }

    assert refused == set()
    assert len(seen) > 1000


def test_no_role_has_a_grant_that_nobody_would_miss(seen: list[Decision]) -> None:
    left = [str(grant) for grant in unmissed(seen)]
    unexpected = [grant for grant in left if grant not in UNSEEN]

    assert not unexpected, "\n  ".join([WHAT_TO_DO, *unexpected])
    assert not UNSEEN.keys() - {*left}, "UNSEEN exempts what is driven."


def test_a_grant_that_no_call_used_is_found(seen: list[Decision]) -> None:
    without = [each for each in seen if each.call.action != "bedrock:DeleteImportedModel"]

    found = [str(grant).partition(" on ")[0] for grant in unmissed(without)]
    assert "DeleteModelRole: bedrock:DeleteImportedModel" in found
    assert "ReconcileRole: bedrock:DeleteImportedModel" in found
