"""Workflows of those who change what a deployment may do, take it from a hub, or only ask whether it could be."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus

from tests.faults.hubs import LARGE_MODEL, MODEL, SPOILT
from tests.faults.stack import SOURCE_BUCKET, Stack
from tests.faults.workflows import (
    NAME,
    Visit,
    Workflow,
    declare,
    deploy,
    everything,
    insist,
    is_gone,
    is_warm,
    nothing,
    serves,
    serving,
    stages,
    wanted,
    warm_up,
)

OPENS, CLOSES, OPEN_MINUTES = "20:00", "20:08", 8
WINDOW = {"policy": "window", "windows": [{"start": OPENS, "end": CLOSES}]}
NOTHING = {"policy": "none", "windows": []}
COLD_AGAIN_SECONDS = 900


# ---- keep-warm -------------------------------------------------------------------------------------------------------


def _let_a_window_pass(stack: Stack, visit: Visit) -> None:
    """Keep the model warm in one window, and find it cold after it."""
    insist(stack, visit, "PUT", "/deployments/{name}/keep-warm", {"keep_warm": WINDOW}, name=NAME)
    stack.clock.sleep(_seconds_until_it_opens(stack))
    closes = stack.clock.moment + OPEN_MINUTES * 60
    warm = False
    while stack.clock.moment < closes:
        stack.sweep()
        stack.clock.sleep(60)
        warm = warm or _is_loaded(stack)
    probes = len(stack.answers)
    stack.sweep()
    stack.clock.sleep(COLD_AGAIN_SECONDS)
    stack.sweep()
    visit.was_still = warm and len(stack.answers) == probes
    insist(stack, visit, "PUT", "/deployments/{name}/keep-warm", {"keep_warm": NOTHING}, name=NAME)


def _seconds_until_it_opens(stack: Stack) -> float:
    now = stack.clock.now()
    hour, minute = map(int, OPENS.split(":"))
    opens = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (opens + timedelta(days=now > opens) - now).total_seconds()


def _is_loaded(stack: Stack) -> bool:
    imported = stack.deployment(NAME).get("imported") or {}
    arn = imported.get("model_arn")
    return arn in stack.bedrock.models and stack.bedrock.is_warm(arn)


def _was_warm_in_time(stack: Stack, visit: Visit) -> bool:
    return visit.was_still and serves(stack, visit) and not _is_loaded(stack)


# ---- leases ----------------------------------------------------------------------------------------------------------


def _renew(stack: Stack, visit: Visit) -> None:
    """Renew a lease before its end, and let that pass; where it was too late for that, deploy again."""
    stack.clock.sleep(1800)
    lease = {"lease": "permanent"}
    answer = insist(stack, visit, "PUT", "/deployments/{name}/lease", lease, name=NAME)
    for _ in range(3):
        stack.clock.sleep(3600)
        stack.sweep()
    stack.settle()
    if answer.status >= HTTPStatus.BAD_REQUEST or is_gone(stack, visit):
        again = f"again-{stack.clock.moment:.0f}"
        insist(stack, visit, "POST", "/deployments", wanted("small"), key=again)
        stack.settle(lambda: serves(stack, visit))


def _renew_in_its_last_seconds(stack: Stack, visit: Visit) -> None:
    """Renew a lease when it is all but over, and let the schedules act on an index that has not heard of it."""
    ends = datetime.fromisoformat(stack.deployment(NAME)["lease"]["ends_at"]).timestamp()
    stack.clock.sleep(ends - 2 - stack.clock.moment)
    insist(stack, visit, "PUT", "/deployments/{name}/lease", {"lease": "permanent"}, name=NAME)
    stack.clock.sleep(3)
    stack.sweep()
    stack.settle()


def _shorten(stack: Stack, visit: Visit) -> None:
    insist(stack, visit, "PUT", "/deployments/{name}/lease", {"lease": "1h"}, name=NAME)
    stack.settle(lambda: is_gone(stack, visit))


# ---- ceilings --------------------------------------------------------------------------------------------------------


def _lower_then_raise(stack: Stack, visit: Visit) -> None:
    """Forbid to spend, ask in vain, and allow it again."""
    before = len(stack.answers)
    _limit(stack, visit, 0.01)
    refused = insist(stack, visit, "POST", "/deployments/{name}/warm-up", name=NAME)
    visit.was_still = len(stack.answers) == before and "spend-ceiling-reached" in str(refused.body)
    _limit(stack, visit, 400.0)
    warm_up(stack, visit)


def _limit(stack: Stack, visit: Visit, usd: float) -> None:
    limit = {"spend_ceiling": {"usd": usd}}
    insist(stack, visit, "PUT", "/deployments/{name}/spend-ceiling", limit, name=NAME)


def _spends_again(stack: Stack, visit: Visit) -> bool:
    return visit.was_still and is_warm(stack, visit) and bool(stack.answers)


# ---- asking first ----------------------------------------------------------------------------------------------------


def _judge(stack: Stack, visit: Visit) -> None:
    """Have a model in a bucket and one on a hub judged."""
    for source in (f"s3://{SOURCE_BUCKET}/models/small/", f"hf://{MODEL}"):
        visit.answer = insist(stack, visit, "POST", "/preflight", {"source": source})


def _accepted(_: Stack, visit: Visit) -> bool:
    answer = visit.answer
    return answer is not None and answer.status == HTTPStatus.OK and bool(answer.body["verdict"]["accepted"])


declare(Workflow("window", serving("small"), _let_a_window_pass, _was_warm_in_time, watched=everything))
declare(Workflow("renewal", serving("small", lease="2h"), _renew, serves, watched=lambda f: f in ("api", "sweep")))
declare(Workflow("late-renewal", serving("small", lease="2h"), _renew_in_its_last_seconds, serves, swept=False))
declare(Workflow("shortened-lease", serving("small"), _shorten, is_gone, watched=lambda f: f in ("api", "sweep")))
declare(Workflow("ceiling-change", serving("small"), _lower_then_raise, _spends_again))


def verifying(function: str) -> bool:
    """Watch what happens from the seal to the first wake."""
    return function in ("seal_artifact", "verify_file", "mark_verified", "start_warm_up")


def _is_verified(stack: Stack, visit: Visit) -> bool:
    artifact = stack.records("ARTIFACT").get(stack.deployment(NAME).get("artifact_id", ""), {})
    return serves(stack, visit) and not artifact["unverified"] and bool(artifact["verified_at"])


def _is_quarantined(stack: Stack, _: Visit) -> bool:
    artifact = stack.records("ARTIFACT").get(stack.deployment(NAME).get("artifact_id", ""), {})
    return stack.status(NAME) == "FAILED" and artifact.get("status") == "QUARANTINED"


declare(
    Workflow(
        "verify",
        nothing,
        lambda s, v: deploy(s, v, "large", source=f"hf://{LARGE_MODEL}"),
        _is_verified,
        watched=verifying,
    )
)
declare(
    Workflow(
        "spoilt",
        nothing,
        lambda s, v: deploy(s, v, "large", source=f"hf://{SPOILT}"),
        _is_quarantined,
        watched=verifying,
    )
)
declare(Workflow("hub", nothing, lambda s, v: deploy(s, v, "small", source=f"hf://{MODEL}"), serves, watched=stages))
declare(Workflow("preflight", serving("small"), _judge, _accepted))
