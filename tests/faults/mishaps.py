"""Workflows of what goes wrong beside the calls: late words, lost events, requests made twice, limits that are met."""

from __future__ import annotations

import json
from typing import Any

from tests.faults import oracles
from tests.faults.product import STACK, example
from tests.faults.stack import Stack
from tests.faults.workflows import (
    NAME,
    NEIGHBOUR,
    PROMPT,
    Visit,
    Workflow,
    declare,
    deploy,
    everything,
    failed,
    insist,
    nothing,
    serves,
    serving,
    tear_down,
    upload_folder,
    wanted,
)

YOUNG, OLD = "pilotlight-young-g1", 25  # orphans: one that may be noted yet, and more than a pass may remove
MOST_REMOVALS = 20
FOLDER_FUNCTIONS = ("note_upload", "sweep", "reconcile")


def _gone_for_good(stack: Stack, _: Visit) -> bool:
    """Say whether it is gone, and nobody began it again."""
    return stack.status(NAME) == "GONE" and stack.deployment(NAME)["generation"] == 1


# ---- what comes twice, or late ---------------------------------------------------------------------------------------


def _ask_again_after_removal(stack: Stack, _: Visit) -> None:
    tear_down(stack, Visit())
    insist(stack, Visit(), "POST", "/deployments", wanted("small"), key="first")
    stack.settle()


def _deploy_twice(stack: Stack, _: Visit) -> None:
    deploy(stack, Visit(), "small")
    tear_down(stack, Visit())
    insist(stack, Visit(), "POST", "/deployments", wanted("small"), key="second")
    _see_through(stack, Visit())


def _wake_twice(stack: Stack, _: Visit) -> None:
    for _time in range(2):
        insist(stack, Visit(), "POST", "/deployments/{name}/warm-up", name=NAME)
        stack.clock.sleep(1800)


def _woken_twice(stack: Stack, _: Visit) -> bool:
    probes = [is_probe for _caller, is_probe in stack.answers]
    return probes == [True, True] and not stack.deployment(NAME).get("wake")


def _uploaded(stack: Stack) -> None:
    upload_folder(stack)
    stack.settle(lambda: serves(stack, Visit()))
    assert stack.status(NAME) == "SERVING", stack.deployment(NAME)


def _remove_uploaded(stack: Stack, _: Visit) -> None:
    tear_down(stack, Visit())
    stack.settle()


def _retry_before_word_of_the_death(stack: Stack, visit: Visit) -> None:
    stack.ask("POST", "/deployments/{name}/retry", name=NAME)
    word = example("fail_execution/aborted")
    word["detail"]["input"] = json.dumps(_first_attempt())
    stack.run("fail_execution", word)
    _see_through(stack, visit)


def _retry_before_word_of_the_failure(stack: Stack, visit: Visit) -> None:
    stack.ask("POST", "/deployments/{name}/retry", name=NAME)
    stack.run("mark_failed", example("mark_failed/import-failed") | _first_attempt())
    _see_through(stack, visit)


def _first_attempt() -> dict[str, Any]:
    return {"deployment": NAME, "generation": 1, "attempt": 1, "correlation_id": "late"}


def _see_through(stack: Stack, _: Visit) -> None:
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED", "GONE"))


# ---- what is lost ----------------------------------------------------------------------------------------------------


def _upload_unnoticed(stack: Stack, visit: Visit) -> None:
    upload_folder(stack, after_each=stack.agenda.clear)  # with the event on its way
    stack.reconcile()
    _see_through(stack, visit)


# ---- what is limited -------------------------------------------------------------------------------------------------


def _beyond_its_ceiling(stack: Stack) -> None:
    serving("small")(stack)
    insist(stack, Visit(), "PUT", "/deployments/{name}/keep-warm", {"keep_warm": {"policy": "always"}}, name=NAME)
    limit = {"spend_ceiling": {"usd": 0.01}}
    answer = insist(stack, Visit(), "PUT", "/deployments/{name}/spend-ceiling", limit, name=NAME)
    assert answer.status == 200, answer.body


def _switched_off(stack: Stack) -> None:
    answer = insist(stack, Visit(), "POST", "/kill-switch", {"on": True, "reason": "too dear"})
    assert answer.status == 200, answer.body


def _try_to_create(stack: Stack, _: Visit) -> None:
    stack.ask("POST", "/deployments", wanted("small"), key="first")
    stack.clock.sleep(60)
    insist(stack, Visit(), "POST", "/kill-switch", {"on": False, "reason": "paid"})


def _try_to_spend(stack: Stack, _: Visit) -> None:
    for _minute in range(4):
        stack.clock.sleep(60)
        stack.sweep()
    stack.ask("POST", "/deployments/{name}/invocations", PROMPT, name=NAME)
    stack.ask("PUT", "/deployments/{name}/keep-warm", {"keep_warm": {"policy": "none"}}, name=NAME)
    stack.clock.sleep(600)


def _call_past_the_lease(stack: Stack, _: Visit) -> None:
    stack.clock.sleep(3 * 3600)  # and no sweep
    stack.ask("POST", "/deployments/{name}/invocations", PROMPT, name=NAME)
    stack.ask("POST", "/deployments/{name}/warm-up", name=NAME)
    stack.clock.sleep(600)
    stack.settle()


def _unspent(stack: Stack, _: Visit) -> bool:
    return stack.status(NAME) in ("SERVING", "GONE") and not stack.answers


OF_GONE = {"pilotlight:stack": STACK, "pilotlight:deployment": NAME, "pilotlight:generation": "1"}


def _many_orphans(stack: Stack) -> None:
    deploy(stack, Visit(), "small")
    tear_down(stack, Visit())
    for number in range(OLD):
        oracles.plant_model(stack, f"pilotlight-old{number}-g1", **OF_GONE)
    stack.clock.sleep(2 * 86_400)


def _reconcile_with_a_young_one(stack: Stack, visit: Visit) -> None:
    oracles.plant_model(stack, YOUNG, **OF_GONE)
    young_upload = _begin_an_upload(stack)
    for model in stack.bedrock.models.values():
        if model.name == YOUNG:
            model.created = stack.clock.moment
    before = len(stack.bedrock.models)
    stack.reconcile()
    visit.removed_at_once = before - len(stack.bedrock.models)
    visit.young_is_left = any(model.name == YOUNG for model in stack.bedrock.models.values())
    stack.reconcile(passes=2)
    visit.kept["a young upload is left alone"] = young_upload in _uploads(stack)
    stack.reconcile(passes=4)
    visit.kept["an old one is not"] = young_upload not in _uploads(stack)


def _begin_an_upload(stack: Stack) -> str:
    """Begin an upload in parts of weights that are sealed, and give its id."""
    key = f"artifacts/{stack.deployment(NEIGHBOUR)['artifact_id']}/weights/model.safetensors"
    begun = stack.client("s3").create_multipart_upload(Bucket=stack.artifact_bucket, Key=key)
    return str(begun["UploadId"])


def _uploads(stack: Stack) -> set[str]:
    listed = stack.client("s3").list_multipart_uploads(Bucket=stack.artifact_bucket).get("Uploads", [])
    return {str(each["UploadId"]) for each in listed}


def _removed_little(stack: Stack, visit: Visit) -> bool:
    """Say whether the first pass removed no more than it may, and nothing young, and the others the rest."""
    left = [model.name for model in stack.bedrock.models.values() if model.name.startswith(("pilotlight-old", YOUNG))]
    kept = visit.young_is_left and all(visit.kept.values())
    return visit.removed_at_once == MOST_REMOVALS and kept and not left


declare(Workflow("again", nothing, _deploy_twice, serves, swept=False))
declare(Workflow("woken-again", serving("small"), _wake_twice, _woken_twice, swept=False))
declare(Workflow("repeat", serving("small"), _ask_again_after_removal, _gone_for_good, swept=False))
declare(Workflow("upload-removed", _uploaded, _remove_uploaded, _gone_for_good, swept=False))
declare(Workflow("late-death", failed, _retry_before_word_of_the_death, serves, swept=False))
declare(Workflow("late-failure", failed, _retry_before_word_of_the_failure, serves, swept=False))
declare(
    Workflow("lost-event", nothing, _upload_unnoticed, serves, watched=lambda f: f in FOLDER_FUNCTIONS, swept=False)
)
declare(Workflow("ceiling", _beyond_its_ceiling, _try_to_spend, _unspent, watched=everything, swept=False))
declare(Workflow("switched-off", _switched_off, _try_to_create, lambda s, _: not s.deployment(NAME), swept=False))
declare(Workflow("late-sweep", serving("small", lease="2h"), _call_past_the_lease, _unspent, swept=False))
declare(
    Workflow("orphans", _many_orphans, _reconcile_with_a_young_one, _removed_little, watched=everything, swept=False)
)
