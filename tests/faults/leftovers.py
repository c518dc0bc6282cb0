"""Workflows of the reconciliation: what died without a word is stopped, resumed, failed or finished."""

from __future__ import annotations

import json

from tests.faults.happenings import half_erased, stops_executions, stray_executions
from tests.faults.stack import Stack, example
from tests.faults.workflows import (
    NAME,
    Visit,
    Workflow,
    declare,
    importing,
    insist,
    reconcile,
    reconciles,
    serves,
    wanted,
)

OLD_SECONDS = 2 * 86_400  # what is young, nobody takes for lost


def _dead(stack: Stack, *machines: str) -> None:
    """Stop what these machines run, and lose the word of it."""
    for machine in machines:
        stops_executions(machine)(stack)
    stack.agenda.clear()


# ---- executions for nobody, and a deletion half done -----------------------------------------------------------------


def _over(stack: Stack) -> None:
    stray_executions(stack)
    stack.clock.sleep(OLD_SECONDS)


def _half_deleted(stack: Stack) -> None:
    half_erased(stack)
    stack.clock.sleep(OLD_SECONDS)


def _nothing_goes_on(stack: Stack, _: Visit) -> bool:
    """Say whether nothing runs for what is gone, and nothing of it is left."""
    client = stack.client("stepfunctions")
    machines = [each["stateMachineArn"] for each in client.list_state_machines()["stateMachines"]]
    running = [client.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"] for arn in machines]
    artifacts = {record["status"] for record in stack.records("ARTIFACT").values()}
    return not any(running) and "DELETING" not in artifacts


# ---- deployments that nobody works on --------------------------------------------------------------------------------


def _forgotten(stack: Stack) -> None:
    """Begin with an import whose execution has died, and whose record is due never."""
    importing(stack)
    _dead(stack, "deploy")
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["TableName"],
        Key={"pk": {"S": f"DEPLOYMENT#{NAME}"}, "sk": {"S": "META"}},
        UpdateExpression="REMOVE next_look_at",
    )
    stack.clock.sleep(OLD_SECONDS)


def _staging_died(stack: Stack) -> None:
    """Begin with a deployment that failed while its artifact was staged, by executions that are no more."""
    insist(stack, Visit(), "POST", "/deployments", wanted("large"), key="first")
    stack.clock.sleep(1)
    assert stack.status(NAME) == "STAGING", stack.deployment(NAME)
    _dead(stack, "stage-artifact", "deploy")
    word = example("fail_execution/aborted")
    task = {"deployment": NAME, "generation": 1, "attempt": 1, "correlation_id": "dead"}
    word["detail"]["input"] = json.dumps(task)
    stack.run("fail_execution", word)
    assert stack.status(NAME) == "FAILED", stack.deployment(NAME)
    stack.clock.sleep(OLD_SECONDS)


def _reconcile_then_look(stack: Stack, visit: Visit) -> None:
    reconcile(stack, visit)
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED", "GONE"))
    _retry_if_failed(stack, visit)


def _retry_if_failed(stack: Stack, visit: Visit) -> None:
    if stack.status(NAME) == "FAILED":
        insist(stack, visit, "POST", "/deployments/{name}/retry", name=NAME)
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED", "GONE"))


def _fail_then_retry(stack: Stack, visit: Visit) -> None:
    """Let the reconciliation fail the staging; a retry stages afresh."""
    reconcile(stack, visit)
    artifact = stack.records("ARTIFACT").get(stack.deployment(NAME).get("artifact_id", ""), {})
    visit.was_still = artifact.get("status") != "STAGING"
    _retry_if_failed(stack, visit)


def _staged_afresh(stack: Stack, visit: Visit) -> bool:
    return visit.was_still and serves(stack, visit)


def _looks(function: str) -> bool:
    return function in ("reconcile", "sweep")


declare(Workflow("stray-executions", _over, reconcile, _nothing_goes_on, watched=reconciles, alive=True))
declare(Workflow("half-erased", _half_deleted, reconcile, _nothing_goes_on, watched=reconciles))
declare(Workflow("forgotten", _forgotten, _reconcile_then_look, serves, watched=_looks, alive=True))
declare(Workflow("staging-died", _staging_died, _fail_then_retry, _staged_afresh, watched=reconciles, alive=True))
