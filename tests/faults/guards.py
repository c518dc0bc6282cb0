"""Workflows of what guards the others: the reconciliation, which sets right what was lost, and the kill switch."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends
from pilotlight.domain import names

from local.identity import ACCOUNT_ID, REGION
from tests.faults.happenings import machine_arn
from tests.faults.oracles import plant_model
from tests.faults.product import STACK
from tests.faults.stack import Stack
from tests.faults.workflows import (
    NAME,
    NEIGHBOUR,
    PROMPT,
    Visit,
    Workflow,
    declare,
    everything,
    failed,
    insist,
    is_warm,
    reconcile,
    serving,
    upload_folder,
    warm_up,
)

OVER = f"{NAME}-g0"  # a user: the generation before the first one
LATE = f"pilotlight-{NAME}-g1"


# ---- reconciliation --------------------------------------------------------------------------------------------------


def _out_of_step(stack: Stack) -> None:
    """Begin with what the cloud and the records disagree about.

    A model came after its deployment had failed; an artifact has a user that is over; the event of a folder and the
    message of an invocation were lost. What is nobody's is another workflow's.
    """
    failed(stack)
    weights = {"pilotlight:artifact": str(stack.deployment(NAME)["artifact_id"])}
    plant_model(stack, LATE, **_of_ours(NAME, 1), **weights)
    _forget_a_user(stack)
    upload_folder(stack, after_each=stack.agenda.clear)
    _lose_an_invocation(stack)
    stack.clock.sleep(2 * 86_400)  # what is young, nobody takes for lost


def _out_of_step_and_orphaned(stack: Stack) -> None:
    """Begin with that, and with a model of nobody."""
    _out_of_step(stack)
    plant_model(stack, f"pilotlight-{NAME}-g0", **_of_ours(NAME, 0))


def _of_ours(deployment: str, generation: int) -> dict[str, str]:
    return {
        "pilotlight:stack": STACK,
        "pilotlight:deployment": deployment,
        "pilotlight:generation": str(generation),
    }


def _forget_a_user(stack: Stack) -> None:
    """Let the neighbour's artifact still name a generation that is over."""
    stack.client("dynamodb").update_item(
        TableName=stack.outputs["TableName"],
        Key={"pk": {"S": f"ARTIFACT#{_artifact(stack)}"}, "sk": {"S": "META"}},
        UpdateExpression="SET #users = list_append(#users, :over)",
        ExpressionAttributeNames={"#users": "users"},
        ExpressionAttributeValues={":over": {"L": [{"S": OVER}]}},
    )


def _artifact(stack: Stack) -> str:
    return str(stack.deployment(NEIGHBOUR)["artifact_id"])


def _lose_an_invocation(stack: Stack) -> None:
    stack.ask("POST", "/deployments/{name}/invocations", PROMPT, name=NEIGHBOUR)
    for queue in sqs_backends[ACCOUNT_ID][REGION].queues.values():
        queue._messages.clear()


def _set_right(stack: Stack, _: Visit) -> bool:
    return not disagreements(stack)


def disagreements(stack: Stack) -> list[str]:
    """Give what is still out of step."""
    models = {model.name: model.arn for model in stack.bedrock.models.values()}
    users = stack.records("ARTIFACT")[_artifact(stack)]["users"]
    invocations = {record["status"] for record in stack.records("INVOCATION").values()}
    found = {
        "a late model is not adopted": (stack.deployment(NAME).get("imported") or {}).get("model_arn")
        != models.get(LATE, ""),
        "a user that is over still holds an artifact": OVER in users,
        "a folder whose event was lost was not looked at": NAME not in stack.records("UPLOAD"),
        "a lost invocation waits": invocations != {"FAILED"},
    }
    return [what for what, is_so in found.items() if is_so]


def _at_work_for_nobody(stack: Stack) -> None:
    """Begin with an execution that works for a generation that is over, long ago; nothing ever moves it."""
    run = names.teardown_name(NEIGHBOUR, 0, 1, stack.clock.now())
    stack.client("stepfunctions").start_execution(stateMachineArn=machine_arn("teardown"), name=run, input="{}")
    stack.agenda.clear()
    stack.clock.sleep(2 * 86_400)


def _reconcile_with_a_broken_list(stack: Stack, visit: Visit) -> None:
    """Let one machine's executions be on no list, for one pass; what the others run is not touched in it."""
    machines = stepfunctions_parser_backends[ACCOUNT_ID][REGION].state_machines
    listed = list(machines)
    before = _running()
    machines[:] = [machine for machine in listed if not machine.name.endswith("-warm")]
    stack.reconcile()
    machines[:] = listed
    visit.kept["nothing is stopped by a broken list"] = before == _running() != set()
    stack.reconcile()
    visit.kept["it is stopped by a whole one"] = not _running()


def _running() -> set[str]:
    machines = stepfunctions_parser_backends[ACCOUNT_ID][REGION].state_machines
    return {each.name for machine in machines for each in machine.executions if each.status == "RUNNING"}


def _reconcile_dry(stack: Stack, visit: Visit) -> None:
    """Let a pass only say what it would do, and the next ones do it."""
    before = _lying(stack)
    stack.lambdas.configure(RECONCILE_DRY_RUN="true")
    stack.reconcile()
    visit.kept["a dry run changes nothing"] = before == _lying(stack)
    stack.lambdas.configure()
    reconcile(stack, visit)
    visit.kept["a wet one does"] = before != _lying(stack)


def _lying(stack: Stack) -> Any:
    """Give all that a reconciliation might remove, give back or set right."""
    buckets = s3_backends[ACCOUNT_ID]["aws"].buckets.values()
    objects = [
        (bucket.name, sorted(dict.keys(bucket.keys)), sorted(dict.keys(bucket.multiparts))) for bucket in buckets
    ]
    records = [stack.records(kind) for kind in ("DEPLOYMENT", "ARTIFACT", "UPLOAD", "INVOCATION")]
    return objects, records, sorted(stack.bedrock.models), _running()


def _all_kept(_: Stack, visit: Visit) -> bool:
    return bool(visit.kept) and all(visit.kept.values())


# ---- the kill switch -------------------------------------------------------------------------------------------------


def _turn(stack: Stack, visit: Visit, *, on: bool) -> None:
    insist(stack, visit, "POST", "/kill-switch", {"on": on, "reason": "too dear" if on else "paid"})


def _switched_off(stack: Stack) -> None:
    serving("small")(stack)
    insist(stack, Visit(), "PUT", "/deployments/{name}/keep-warm", {"keep_warm": {"policy": "always"}}, name=NAME)
    _turn(stack, Visit(), on=True)


def _spend_in_vain_then_go_on(stack: Stack, visit: Visit) -> None:
    """Try all that costs money while the switch is on; turn it off, and find that everything works again."""
    _turn(stack, visit, on=True)
    stack.clock.sleep(60)
    before = len(stack.answers), len(stack.bedrock.jobs)
    for _ in range(4):
        stack.clock.sleep(60)
        stack.sweep()
    asked = [
        insist(stack, visit, "POST", "/deployments/{name}/warm-up", name=NAME),
        insist(stack, visit, "POST", "/deployments", _another(stack), key="another"),
    ]
    refused = all(answer.status >= HTTPStatus.BAD_REQUEST for answer in asked)
    insist(stack, visit, "PUT", "/deployments/{name}/keep-warm", {"keep_warm": {"policy": "none"}}, name=NAME)
    nothing_new = before == (len(stack.answers), len(stack.bedrock.jobs)) and not stack.deployment("another")
    visit.was_still = refused and nothing_new
    visit.may_be_made.add("another")  # by a request that stands still until the switch is off
    _turn(stack, visit, on=False)
    stack.clock.sleep(60)
    warm_up(stack, visit)


def _another(stack: Stack) -> dict[str, Any]:
    source = stack.deployment(NEIGHBOUR)["source"]
    return {"name": "another", "source": source, "lease": "permanent", "keep_warm": {"policy": "none"}}


def _works_again(stack: Stack, visit: Visit) -> bool:
    return visit.was_still and stack.status(NAME) == "SERVING" and is_warm(stack, visit)


declare(Workflow("out-of-step", _out_of_step, reconcile, _set_right, watched=lambda f: f == "reconcile"))
declare(
    Workflow(
        "broken-list",
        _at_work_for_nobody,
        _reconcile_with_a_broken_list,
        _all_kept,
        watched=everything,
        alive=True,
        swept=False,
    )
)
declare(Workflow("dry-run", _out_of_step_and_orphaned, _reconcile_dry, _all_kept, watched=everything, swept=False))
declare(Workflow("kill-switch", _switched_off, _spend_in_vain_then_go_on, _works_again, watched=everything))
