"""What workflows of endpoints without a fault do not come to: each occasion makes functions call what only it does."""

from __future__ import annotations

from botocore.awsrequest import AWSResponse

from local.jumpstart.offers import GATED, OPEN
from tests.faults.endpoint_changes import ANOTHER, COMPONENTS
from tests.faults.endpoint_happenings import (
    HOOK,
    LARGE_PAYLOAD,
    PAYLOAD,
    REGISTERED_SECONDS,
    SECOND_TYPE,
    UNTOLD_SECONDS,
    asleep,
    breaks,
    changes,
    component_breaks,
    component_left,
    componented,
    failed_and_left,
    has_had_many_revisions,
    invokes,
    looked_at,
    never_scaled,
    nobody_looks,
    of_jumpstart,
    on_instances,
    passes,
    reads_an_input,
    scaled_down,
    told_in,
    tries_again,
    turned,
    unnoticed,
    untold,
    update_dies,
    updates,
)
from tests.faults.endpoints import ASYNC, QUICK, REALTIME, on
from tests.faults.happenings import expired, forgotten, in_turn, reconciled, removed, spent, warmed
from tests.faults.modes import MODES
from tests.faults.occasions import DENIED, Occasion, when
from tests.faults.seam import Meeting
from tests.faults.workflows import PROMPT, nothing

PACKED = {"serving": {**QUICK["serving"], "weights": "packed"}}
TEARDOWN = MODES["teardown"].meet
LATE_SECONDS = 400.0  # longer than an endpoint takes to come, or to fail


def late(meeting: Meeting) -> AWSResponse:
    """Let a call be made when what it is about has happened, and the sweep look at what follows."""
    meeting.seam.clock.sleep(LATE_SECONDS)
    looked_at(meeting.seam.surroundings.stack)
    return meeting.send()


def late_and_refused(meeting: Meeting) -> AWSResponse:
    """Let it be refused then: nobody has waited."""
    meeting.seam.clock.sleep(LATE_SECONDS)
    return meeting.refused("denied")


LOST = forgotten("artifact_bucket", "results/")
UNTOLD = in_turn(turned(lose_sns=1), invokes({**PROMPT, **HOOK}, after=UNTOLD_SECONDS))
OCCASIONS = (
    # ---- what is asked -------------------------------------------------------------------------------------------
    Occasion("a body, held and told", on(ASYNC), invokes({**PAYLOAD, **HOOK}, wait=25)),
    Occasion("a large body", on(ASYNC), in_turn(invokes(LARGE_PAYLOAD), reads_an_input)),
    Occasion("a notice before the end", asleep, told_in("WebhookQueue", seconds=4)),
    Occasion(
        "what was asked expires before it is told",
        on(ASYNC),
        invokes({**PAYLOAD, **HOOK}),
        "deliver_webhook",
        "GetSecretValue",
        when(expired),
    ),
    Occasion("a dead letter of an endpoint", asleep, told_in("DeadInvocations", seconds=60)),
    Occasion("a queue takes nothing", on(ASYNC), invokes(PROMPT), "api_invoke", "SendMessage", DENIED),
    Occasion("a component is asked", componented, in_turn(invokes(PROMPT, wait=25), invokes({**PROMPT, **HOOK}))),
    Occasion(
        "an answer is told that is not there", on(ASYNC), invokes(PAYLOAD), "note_result", "HeadObject", when(LOST)
    ),
    # ---- where it is from ----------------------------------------------------------------------------------------
    Occasion("an open model of JumpStart's", nothing, of_jumpstart(OPEN)),
    Occasion("a gated model of JumpStart's", nothing, of_jumpstart(GATED)),
    # ---- who looks, and finds it out -----------------------------------------------------------------------------
    Occasion("a container fails", turned(never_healthy=True), on_instances(ASYNC)),
    Occasion(
        "a container fails, and the sweep sees it", in_turn(turned(never_healthy=True), unnoticed), on_instances(ASYNC)
    ),
    Occasion(
        "a container fails before it is waited for",
        in_turn(turned(never_healthy=True), untold),
        on_instances(ASYNC),
        "machine:deploy",
        "await_endpoint",
        late,
    ),
    Occasion(
        "an endpoint comes before it is waited for",
        untold,
        on_instances(ASYNC),
        "machine:deploy",
        "await_endpoint",
        late,
    ),
    Occasion(
        "a container fails, and nobody could wait for it",
        in_turn(turned(never_healthy=True), untold),
        on_instances(ASYNC),
        "machine:deploy",
        "await_endpoint",
        late_and_refused,
    ),
    Occasion("an endpoint comes, and nobody looks", untold, on_instances(ASYNC)),
    Occasion("a component that the sweep adds", unnoticed, on_instances(REALTIME, **COMPONENTS)),
    Occasion(
        "a component that who waits adds",
        untold,
        on_instances(REALTIME, **COMPONENTS),
        "machine:deploy",
        "await_endpoint",
        late,
    ),
    Occasion(
        "a component fails before it is waited for",
        turned(never_healthy=True),
        on_instances(REALTIME, **COMPONENTS),
        "machine:deploy",
        "await_endpoint",
        late,
    ),
    Occasion("a component fails", turned(never_healthy=True), on_instances(REALTIME, **COMPONENTS)),
    Occasion("an endpoint breaks", in_turn(on(REALTIME), passes(REGISTERED_SECONDS), changes), breaks),
    Occasion("a component's endpoint breaks", componented, in_turn(changes, breaks)),
    Occasion(
        "a component's endpoint breaks, and the sweep sees it",
        componented,
        in_turn(unnoticed, breaks, passes(600.0)),
    ),
    Occasion("a component breaks", componented, in_turn(component_breaks, changes)),
    Occasion("answers that the next event finds", on(ASYNC), in_turn(UNTOLD, changes)),
    Occasion("answers that the sweep finds", on(ASYNC), in_turn(UNTOLD, looked_at, passes(120.0))),
    Occasion("answers that a removal finds", on(ASYNC), in_turn(UNTOLD, removed)),
    Occasion(
        "calls that a removal ends", on(ASYNC), in_turn(turned(lose_results=1), invokes({**PAYLOAD, **HOOK}), removed)
    ),
    # ---- what is made, and made again ----------------------------------------------------------------------------
    Occasion("a first endpoint, by its event", in_turn(on(ASYNC), never_scaled), changes),
    Occasion("a first endpoint, by the sweep", in_turn(on(ASYNC), never_scaled), in_turn(looked_at, passes(120.0))),
    Occasion("a first endpoint, scaled down", in_turn(on(ASYNC), never_scaled), scaled_down),
    Occasion(
        "a broken component, scaled down",
        in_turn(componented, nobody_looks, component_breaks),
        in_turn(changes, scaled_down),
        "note_endpoint",
        "DeleteInferenceComponent",
        DENIED,
    ),
    Occasion("a failed endpoint is left", failed_and_left, tries_again),
    Occasion("removed while it is bundled", nothing, on_instances(ASYNC), "create_endpoint", "PutObject", TEARDOWN),
    Occasion("packed weights", nothing, on_instances(ASYNC, **PACKED)),
    Occasion(
        "an archive breaks off", nothing, on_instances(ASYNC, **PACKED), "create_endpoint", "CompleteMultipart", DENIED
    ),
    Occasion("an update packs", on(REALTIME), updates(PACKED)),
    Occasion(
        "an archive of an update breaks off", on(REALTIME), updates(PACKED), "start_update", "CompleteMultipart", DENIED
    ),
    Occasion(
        "removed while an update packs", on(REALTIME), updates(PACKED), "start_update", "CreateMultipart", TEARDOWN
    ),
    Occasion("removed while it is changed", on(ASYNC), updates(ANOTHER), "api", "PutObject", TEARDOWN),
    Occasion(
        "an endpoint is made twice", asleep, warmed, "probe_deployment", "CreateEndpoint", MODES["duplicate"].meet
    ),
    Occasion("other instances", in_turn(on(REALTIME), passes(REGISTERED_SECONDS), changes), updates(SECOND_TYPE)),
    Occasion("too many revisions", has_had_many_revisions, in_turn(updates(ANOTHER), updates(SECOND_TYPE))),
    Occasion("an update dies", on(REALTIME), update_dies),
    Occasion("a component is left", component_left, reconciled),
    *(
        Occasion(f"all is spent when {function} acts on an endpoint", begin, drive, function, operation, when(spent))
        for function, operation, begin, drive in (
            ("create_endpoint", "", nothing, on_instances(ASYNC)),
            ("note_endpoint", "", on(ASYNC), changes),
            ("start_update", "", on(REALTIME), updates(ANOTHER)),
            ("note_result", "", on(ASYNC), invokes(PAYLOAD)),
            ("delete_endpoint", "PutObject", on(ASYNC), in_turn(turned(lose_sns=1), invokes(PROMPT), removed)),
        )
    ),
)
