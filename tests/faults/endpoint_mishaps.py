"""Workflows of what goes wrong beside the calls of endpoints: names that are taken, events that are lost, leftovers."""

from __future__ import annotations

from typing import Any

from local.sagemaker.resources import Status
from tests.faults.endpoint_changes import with_two_revisions
from tests.faults.endpoint_oracles import everything
from tests.faults.endpoints import (
    ASYNC,
    QUICK,
    REALTIME,
    Begin,
    endpoint_of,
    hosted,
    instances,
    is_parked,
    of,
    on,
    watch,
)
from tests.faults.modes import UNLUCKY
from tests.faults.product import STACK
from tests.faults.stack import Stack
from tests.faults.strangers import plant_config, plant_endpoint, plant_model, scale
from tests.faults.workflows import (
    NAME,
    Visit,
    deploy,
    insist,
    is_gone,
    nothing,
    reconcile,
    reconciles,
    serves,
    tear_down,
)
from tests.faults.workflows import everything as everyone

ENDPOINT, REVISION = f"{STACK}-{NAME}-g1", f"{STACK}-{NAME}-g1-v1"
THEIRS = f"{STACK}-{NAME}-g2"
HALF_AN_HOUR_SECONDS = 1800.0
HELD_SECONDS = 720.0  # longer than what was woken is held, and shorter than autoscaling leaves it alone
OLD_SECONDS = 2 * 86_400  # what is young, nobody takes for lost


def _ours(name: str) -> dict[str, str]:
    return {"pilotlight:stack": STACK, "pilotlight:deployment": name, "pilotlight:generation": "1"}


# ---- names that are taken --------------------------------------------------------------------------------------------


def _meet_the_stranger(stack: Stack, visit: Visit) -> None:
    """Deploy where the name is taken, learn of it, and have all of ours removed."""
    deploy(stack, visit, "small", backend=ASYNC, **QUICK)
    failure: dict[str, Any] = stack.deployment(NAME).get("failure") or {}
    if not stack.seam.met:
        visit.kept["its owner is told whose the name is"] = failure.get("code") == "not-ours"
    tear_down(stack, visit)


def _taken(*kinds: str) -> Begin:
    """Begin where a stranger has what we would name so."""

    def begin(stack: Stack) -> None:
        if "endpoint" in kinds:
            plant_endpoint(stack, ENDPOINT, revision="-theirs")
        if "config" in kinds:
            plant_config(stack, REVISION)
        if "model" in kinds:
            plant_model(stack, REVISION)

    return begin


# ---- what nobody owns ------------------------------------------------------------------------------------------------


def _orphaned(stack: Stack) -> None:
    """Begin with an endpoint, and all that belongs to one, which came after its deployment was GONE.

    Beside it lie another stack's that is named as our next generation is, and is GONE, too; one of ours that no record
    knows, and one of our kind of names that has no tags.
    """
    on(ASYNC)(stack)
    tear_down(stack, Visit())
    deploy(stack, Visit(), "small", key="second", backend=ASYNC, **QUICK)
    tear_down(stack, Visit())
    assert (stack.status(NAME), stack.deployment(NAME)["generation"]) == ("GONE", 2), stack.deployment(NAME)
    theirs = {**_ours(NAME), "pilotlight:stack": "another", "pilotlight:generation": "2"}
    for name, tags in ((ENDPOINT, _ours(NAME)), (THEIRS, theirs), (f"{STACK}-{NAME}x-g7", {})):
        plant_endpoint(stack, name, **tags)
        scale(stack, name, **tags)
    plant_endpoint(stack, f"{STACK}-unknown-g1", **_ours("unknown"))
    key = f"bundles/{NAME}-g1/v1/model.tar.gz"
    stack.client("s3").put_object(Bucket=stack.artifact_bucket, Key=key, Body=b"late")
    stack.clock.sleep(OLD_SECONDS)


def _nothing_of_ours(stack: Stack, _: Visit) -> bool:
    left = [each for each in everything(stack) if ENDPOINT in each]
    bundles = stack.client("s3").list_objects_v2(Bucket=stack.artifact_bucket, Prefix="bundles/")["KeyCount"]
    return not left and not bundles


def _forgotten(stack: Stack) -> None:
    """Begin with what a revision was made of that was forgotten, in the midst of it."""
    with_two_revisions(REALTIME)(stack)
    stack.client("dynamodb").delete_item(
        TableName=stack.outputs["TableName"],
        Key={"pk": {"S": f"DEPLOYMENT#{NAME}"}, "sk": {"S": "REVISION#000001#000001"}},
    )
    stack.hosting.look_less()
    stack.clock.sleep(7200)


def _only_the_second(stack: Stack, visit: Visit) -> bool:
    mine = {each for each in everything(stack) if each.endswith((f"{ENDPOINT}-v1", f"{ENDPOINT}-v2"))}
    return serves(stack, visit) and mine == {f"{kind} {ENDPOINT}-v2" for kind in ("model", "endpoint config")}


# ---- events that are lost --------------------------------------------------------------------------------------------


def _deploy_unnoticed(stack: Stack, visit: Visit) -> None:
    """Deploy where no event of an endpoint comes: the sweep sees that it is in service."""
    stack.lambdas.unreached.add("note_endpoint")
    deploy(stack, visit, "small", backend=ASYNC, **QUICK)
    stack.lambdas.unreached.clear()


def _stay_failed(stack: Stack, visit: Visit) -> None:
    """Deploy what fails, and leave it so: at the moment when it has failed, its endpoint is on its way out."""
    stack.hosting.service.knobs.fail_next_endpoint = UNLUCKY
    deploy(stack, visit, "small", backend=ASYNC, **QUICK)
    endpoint = endpoint_of(stack)
    failure: dict[str, Any] = stack.deployment(NAME).get("failure") or {}
    visit.kept["it is being removed when it has failed"] = endpoint is None or endpoint.status is Status.DELETING
    visit.kept["its owner is told why"] = UNLUCKY in failure.get("reason", "")
    stack.clock.sleep(HALF_AN_HOUR_SECONDS)


def _failed(stack: Stack, _: Visit) -> bool:
    return stack.status(NAME) == "FAILED"


def _retry_at_once(stack: Stack, visit: Visit) -> None:
    """Try again at the very moment at which it has failed: the failed endpoint is on its way out still."""
    stack.hosting.service.knobs.fail_next_endpoint = UNLUCKY
    deploy(stack, visit, "small", backend=ASYNC, **QUICK)
    endpoint = endpoint_of(stack)
    visit.kept["the failed one is there still"] = endpoint is not None
    insist(stack, visit, "POST", "/deployments/{name}/retry", name=NAME)
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED"))


def _look_too_late(stack: Stack, visit: Visit) -> None:
    """Let autoscaling take the instance away while nobody looks, and no event comes."""
    stack.clock.sleep(HELD_SECONDS)
    stack.lambdas.unreached.add("note_endpoint")
    stack.hosting.look_less()
    stack.clock.sleep(HALF_AN_HOUR_SECONDS)
    visit.kept["it was taken away"] = not instances(stack)
    stack.lambdas.unreached.clear()


def _park(stack: Stack, visit: Visit) -> None:
    """Scale down what autoscaling knows by then."""
    stack.clock.sleep(180)
    insist(stack, visit, "POST", "/deployments/{name}/scale-down", name=NAME)
    watch(stack, lambda: is_parked(stack) and endpoint_of(stack) is None)


def _parked(stack: Stack, visit: Visit) -> bool:
    return serves(stack, visit) and is_parked(stack)


hosted("stranger-endpoint", _taken("endpoint"), _meet_the_stranger, is_gone, watched=of("create_endpoint"))
hosted("stranger-config", _taken("config"), _meet_the_stranger, is_gone, swept=False)
hosted("stranger-model", _taken("model"), _meet_the_stranger, is_gone, swept=False)
hosted("hosted-orphans", _orphaned, reconcile, _nothing_of_ours, watched=reconciles)
hosted("forgotten-revision", _forgotten, reconcile, _only_the_second, watched=reconciles, swept=False)
hosted("unnoticed", nothing, _deploy_unnoticed, serves, swept=False)
hosted("failed-for-good", nothing, _stay_failed, _failed, swept=False)
hosted("retry-at-once", nothing, _retry_at_once, serves, swept=False)
hosted("late-look", on(ASYNC), _look_too_late, serves, watched=everyone, swept=False)
hosted("parks", on(REALTIME), _park, _parked, swept=False)
