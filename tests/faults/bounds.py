"""Workflows of bounds: what may be warm at once, what may be spent, what has expired, what is refused at the door."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from moto.sqs.models import sqs_backends

from local.identity import ACCOUNT_ID, REGION
from tests.faults import ledger
from tests.faults.stack import SOURCE_BUCKET, Stack
from tests.faults.workflows import (
    HUB_SOURCE,
    NAME,
    NEIGHBOUR,
    PROMPT,
    Visit,
    Workflow,
    declare,
    deploy,
    everything,
    insist,
    nothing,
    serves,
    serving,
    tear_down,
    wanted,
    warm_up,
)

LATER_SECONDS = 10  # within a fault that holds a call up
EXPIRED_SECONDS = 6 * 3600 + 60
UNCONFIRMED_SECONDS = 91 * 86_400
RATE_LIMIT_SECONDS = 200  # a hub's window is 300, of which some is over
HOSTILE = {
    "only when asked for": "{% if messages | length > 5 %}{{ messages.__init__ }}{% endif %}",
    "without an end": "{% for a in range(10 ** 5) %}{% for b in range(10 ** 5) %}{{ b }}{% endfor %}{% endfor %}",
}
WAKES_BEFORE = 2
LEFT_WINDOWS = 4.5  # two wakes, each with its idle window: as many as one generation has had, and is to have
UNLUCKY = "the tokenizer is out of luck"


def _asked_warm(stack: Stack, name: str) -> bool:
    """Ask for a warm-up, and say whether it was let."""
    return stack.ask("POST", "/deployments/{name}/warm-up", name=name).status < HTTPStatus.BAD_REQUEST


def _arns(stack: Stack) -> dict[str, str]:
    return {name: str(stack.deployment(name)["imported"]["model_arn"]) for name in (NAME, NEIGHBOUR)}


def _warm(stack: Stack) -> list[str]:
    return [name for name, arn in _arns(stack).items() if stack.bedrock.is_warm(arn)]


def _answered(stack: Stack) -> int:
    return sum(not is_probe for _, is_probe in stack.answers)


# ---- what may be warm at once ----------------------------------------------------------------------------------------


def _room_for_one(stack: Stack) -> None:
    """Begin with two cold models, of which one at a time may be warm."""
    serving("small")(stack)
    units = max(model.inspection.units for model in stack.bedrock.models.values())
    stack.lambdas.configure(MAX_CUSTOM_MODEL_UNITS=str(units), WAKE_MAX_ATTEMPTS="4")


def _take_turns(stack: Stack, visit: Visit) -> None:
    """Want both at once, the one that has it again, the other when it is cold, and when it could not be woken."""
    let: dict[str, bool] = {}
    agenda = stack.agenda
    agenda.spawn("another user", lambda: let.update({NEIGHBOUR: _asked_warm(stack, NEIGHBOUR)}), after=LATER_SECONDS)
    let[NAME] = _asked_warm(stack, NAME)
    stack.clock.sleep(60)
    (first, second) = (NAME, NEIGHBOUR) if let[NAME] else (NEIGHBOUR, NAME)
    held = {"one at once": let != {NAME: True, NEIGHBOUR: True} and _warm(stack) == [first]}
    stack.clock.sleep(120)
    held["again"] = _asked_warm(stack, first)
    stack.clock.sleep(1800)
    stack.bedrock.knobs.never_ready = True
    held["the other when it is cold"] = _asked_warm(stack, second)
    stack.clock.sleep(120)  # it gives up
    stack.bedrock.knobs.never_ready = False
    held["given back"] = _asked_warm(stack, first)
    stack.clock.sleep(60)
    visit.kept = {what: bool(so) for what, so in held.items()}


def _kept(_: Stack, visit: Visit) -> bool:
    return bool(visit.kept) and all(visit.kept.values())


# ---- what may be spent -----------------------------------------------------------------------------------------------


def _set_the_ceiling(stack: Stack, usd: float) -> None:
    answer = insist(
        stack, Visit(), "PUT", "/deployments/{name}/spend-ceiling", {"spend_ceiling": {"usd": usd}}, name=NAME
    )
    assert answer.status == HTTPStatus.OK, answer.body


def _lower_it_while_waking(stack: Stack, visit: Visit) -> None:
    """Begin a wake, and let there be no money for it when the model could answer."""
    stack.bedrock.knobs.never_ready = True
    visit.kept["let"] = _asked_warm(stack, NAME)
    stack.clock.sleep(20)
    _set_the_ceiling(stack, 0.01)
    stack.bedrock.knobs.never_ready = False
    stack.settle()
    visit.kept["unspent"] = not stack.answers
    visit.kept["refused"] = not _asked_warm(stack, NAME)


def _call_at_the_ceiling(stack: Stack, visit: Visit) -> None:
    """Call a model in its paid window and, while it is warm still, after it, where there is money for no other."""
    warm_up(stack, visit)
    spent = stack.ask("GET", "/deployments/{name}", name=NAME).body["spending"]["spent"]["usd"]
    _set_the_ceiling(stack, round(spent + 0.01, 6))
    for seconds, usd, answers in ((200, None, 1), (200, None, 1), (20, 100.0, 2)):
        stack.clock.sleep(seconds)
        if usd:
            _set_the_ceiling(stack, usd)
        stack.ask("POST", "/deployments/{name}/invocations", PROMPT, name=NAME)
        stack.clock.sleep(20)
        visit.kept[f"answers at {stack.clock.now():%H:%M:%S}"] = _answered(stack) == answers


def _spent_before(stack: Stack) -> None:
    """Begin with a second generation of a name; the first one has spent more in this month than a wake costs."""
    serving("small")(stack)
    for _time in range(WAKES_BEFORE):
        warm_up(stack, Visit())
        stack.clock.sleep(900)
    tear_down(stack, Visit())
    insist(stack, Visit(), "POST", "/deployments", wanted("small"), key="next")
    stack.settle(lambda: serves(stack, Visit()))
    assert (stack.status(NAME), stack.deployment(NAME)["generation"]) == ("SERVING", 2), stack.deployment(NAME)
    stack.clock.sleep(900)


def _wake_at_the_ceiling_of_the_month(stack: Stack, visit: Visit) -> None:
    """Ask for a wake that the name has no money for any more: the generation alone would have."""
    _set_the_ceiling(stack, round(LEFT_WINDOWS * ledger.units(stack, NAME, 2) * ledger.USD_PER_UNIT_WINDOW, 2))
    visit.kept["refused"] = not _asked_warm(stack, NAME)
    stack.settle()
    visit.kept["unspent"] = not stack.answers


# ---- what has expired ------------------------------------------------------------------------------------------------


def _deliver_too_late(stack: Stack, visit: Visit) -> None:
    """Let a call's message come when nobody waits for its answer any more."""
    told = stack.ask("POST", "/deployments/{name}/invocations", PROMPT, name=NAME).body
    for queue in sqs_backends[ACCOUNT_ID][REGION].queues.values():
        for message in queue._messages:
            message.delay(EXPIRED_SECONDS)
    stack.clock.sleep(EXPIRED_SECONDS + 1800)
    view = stack.ask("GET", "/invocations/{invocation_id}", invocation_id=told["id"])
    visit.kept["refused"] = view.body["status"] == "FAILED" and not _answered(stack)


def _kept_warm(stack: Stack) -> None:
    serving("small")(stack)
    insist(stack, Visit(), "PUT", "/deployments/{name}/keep-warm", {"keep_warm": {"policy": "always"}}, name=NAME)


def _forget_to_confirm(stack: Stack, visit: Visit) -> None:
    stack.clock.sleep(UNCONFIRMED_SECONDS)
    for _ in range(4):
        stack.sweep()
        stack.clock.sleep(60)
    visit.kept["cold"] = not stack.answers


# ---- what is refused at the door -------------------------------------------------------------------------------------


def _hostile_checkpoints(stack: Stack) -> None:
    """Begin with checkpoints whose chat templates do harm: one only in a long conversation, one by its length."""
    s3 = stack.client("s3")
    for each in s3.list_objects_v2(Bucket=SOURCE_BUCKET, Prefix="models/small/")["Contents"]:
        body = s3.get_object(Bucket=SOURCE_BUCKET, Key=each["Key"])["Body"].read()
        for name, template in HOSTILE.items():
            if each["Key"].endswith("/tokenizer_config.json"):
                body = json.dumps({**json.loads(body), "chat_template": template}).encode()
            key = each["Key"].replace("/small/", f"/{name.replace(' ', '-')}/")
            s3.put_object(Bucket=SOURCE_BUCKET, Key=key, Body=body)


def _deploy_hostile(stack: Stack, visit: Visit) -> None:
    for name in HOSTILE:
        source = f"s3://{SOURCE_BUCKET}/models/{name.replace(' ', '-')}/"
        told = stack.ask("POST", "/preflight", {"source": source}).body
        visit.kept[name] = not told["verdict"]["accepted"]
    insist(stack, visit, "POST", "/deployments", {**wanted("small"), "source": source})
    stack.settle()
    visit.kept["failed"] = stack.status(NAME) == "FAILED"


def _deploy_in_vain(stack: Stack, visit: Visit) -> None:
    """Deploy what the service will not import, and read why."""
    stack.bedrock.knobs.fail_next_import = UNLUCKY
    deploy(stack, visit, "small")
    stack.settle()
    visit.kept["told why"] = UNLUCKY in (stack.deployment(NAME).get("failure") or {}).get("reason", "")


def _deploy_what_never_loads(stack: Stack, visit: Visit) -> None:
    stack.bedrock.knobs.never_ready = True
    deploy(stack, visit, "small")
    visit.kept["it fails"] = stack.status(NAME) == "FAILED"


def _deploy_at_a_limit(stack: Stack, visit: Visit) -> None:
    """Deploy while the bucket takes no parts for longer than a span is tried."""
    stack.seam.lasting["s3.UploadPart"] = ("throttle", stack.clock.moment + RATE_LIMIT_SECONDS)
    deploy(stack, visit, "large", source=HUB_SOURCE)


def _bound(name: str, begin: Callable[[Stack], Any], drive: Callable[[Stack, Visit], Any]) -> None:
    declare(Workflow(name, begin, drive, _kept, watched=everything, swept=False))


_bound("crowded", _room_for_one, _take_turns)
_bound("dear-wake", serving("small"), _lower_it_while_waking)
_bound("dear-call", serving("small"), _call_at_the_ceiling)
_bound("dear-generation", _spent_before, _wake_at_the_ceiling_of_the_month)
_bound("expired", serving("small"), _deliver_too_late)
_bound("unconfirmed", _kept_warm, _forget_to_confirm)
_bound("hostile-templates", _hostile_checkpoints, _deploy_hostile)
_bound("refused-import", nothing, _deploy_in_vain)
_bound("never-loads", nothing, _deploy_what_never_loads)
declare(Workflow("rate-limited", nothing, _deploy_at_a_limit, serves, watched=everything, swept=False))
