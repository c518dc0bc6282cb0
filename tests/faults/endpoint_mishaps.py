"""Workflows of what goes wrong beside the calls of endpoints: names that are taken, events that are lost, leftovers."""

from __future__ import annotations

from typing import Any

from tests.faults.endpoint_oracles import everything
from tests.faults.endpoints import ASYNC, QUICK, Begin, hosted, of, on
from tests.faults.product import STACK
from tests.faults.stack import Stack
from tests.faults.strangers import plant_config, plant_endpoint, plant_model, scale
from tests.faults.workflows import (
    NAME,
    Visit,
    deploy,
    is_gone,
    nothing,
    reconcile,
    reconciles,
    serves,
    tear_down,
)

ENDPOINT, REVISION = f"{STACK}-{NAME}-g1", f"{STACK}-{NAME}-g1-v1"
OLD_SECONDS = 2 * 86_400  # what is young, nobody takes for lost


def _ours(name: str) -> dict[str, str]:
    return {"pilotlight:stack": STACK, "pilotlight:deployment": name, "pilotlight:generation": "1"}


# ---- names that are taken --------------------------------------------------------------------------------------------


def _meet_the_stranger(stack: Stack, visit: Visit) -> None:
    """Deploy where the name is taken, learn of it, and have all of ours removed."""
    deploy(stack, visit, "small", backend=ASYNC, **QUICK)
    failure: dict[str, Any] = stack.deployment(NAME).get("failure") or {}
    visit.so["its owner is told whose the name is"] = failure.get("code") == "not-ours"
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

    Beside it lie another stack's of our kind of names, and one of ours that no record knows.
    """
    on(ASYNC)(stack)
    tear_down(stack, Visit())
    theirs = {"pilotlight:stack": "another"}
    for name, tags in ((ENDPOINT, _ours(NAME)), (f"{STACK}-theirs-g1", theirs), (f"{STACK}-{NAME}x-g7", {})):
        plant_endpoint(stack, name, **tags)
        scale(stack, name, **tags)
    plant_endpoint(stack, f"{STACK}-unknown-g1", **_ours("unknown"))
    key = f"bundles/{NAME}-g1/v1/model.tar.gz"
    stack.client("s3").put_object(Bucket=stack.artifact_bucket, Key=key, Body=b"late")
    stack.clock.sleep(OLD_SECONDS)


def _nothing_of_ours(stack: Stack, _: Visit) -> bool:
    left = [each for each in everything(stack) if ENDPOINT in each]
    return (
        not left and not stack.client("s3").list_objects_v2(Bucket=stack.artifact_bucket, Prefix="bundles/")["KeyCount"]
    )


# ---- events that are lost --------------------------------------------------------------------------------------------


def _deploy_unnoticed(stack: Stack, visit: Visit) -> None:
    """Deploy where no event of an endpoint comes: the sweep sees that it is in service."""
    stack.lambdas.unreached.add("note_endpoint")
    deploy(stack, visit, "small", backend=ASYNC, **QUICK)
    stack.lambdas.unreached.clear()


hosted("stranger-endpoint", _taken("endpoint"), _meet_the_stranger, is_gone, watched=of("create_endpoint"))
hosted("stranger-config", _taken("config"), _meet_the_stranger, is_gone, swept=False)
hosted("stranger-model", _taken("model"), _meet_the_stranger, is_gone, swept=False)
hosted("hosted-orphans", _orphaned, reconcile, _nothing_of_ours, watched=reconciles)
hosted("unnoticed", nothing, _deploy_unnoticed, serves, swept=False)
