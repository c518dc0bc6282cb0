"""What workflows without a fault do not come to: each occasion makes functions call what only it makes them call.

An occasion may let something happen just before one call of one function, or in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from botocore.awsrequest import AWSResponse

from tests.faults.bench import Bench
from tests.faults.happenings import (
    Act,
    deploys,
    donor_gone,
    donor_was_another,
    expired,
    forgotten,
    given_up,
    half_erased,
    held,
    hinder,
    in_turn,
    invoked,
    judged,
    looked_over,
    lost_events,
    nobody_goes_on,
    of_a_hub,
    older_upload,
    placed,
    reconciled,
    removed,
    spent,
    stops_executions,
    stray_executions,
    swept,
    told_late_of_a_mark,
    unanswered,
    uploads,
    uploads_end,
    warmed,
    with_an_own_role,
)
from tests.faults.modes import MODES
from tests.faults.seam import Call, Meeting
from tests.faults.stack import SOURCE_BUCKET, Stack
from tests.faults.workflows import (
    HUB_SOURCE,
    SAME_SHARDS_SOURCE,
    Visit,
    held_by_another,
    importing,
    insist,
    nothing,
    serving,
    wanted,
)

SOON_SECONDS = 600
LATE_SECONDS = 20  # after which an execution that was started ought to be there
MOST_CALLS = 1000  # of one function on one occasion
Meet = Callable[[Meeting], AWSResponse]


@dataclass(frozen=True)
class Occasion:
    """Where it begins, what is done, and what happens meanwhile: at the first such call of a function or a machine.

    A machine's call is told by the function that it invokes.
    """

    name: str
    begin: Act
    drive: Act
    function: str = ""
    operation: str = ""
    happens: Meet | None = None

    def concerns(self, function: str) -> bool:
        """Say whether a function's calls are watched: of a machine's call, the function that it invokes is."""
        return function == (self.operation if self.function.startswith("machine:") else self.function)


def come_to(bench: Bench, occasion: Occasion) -> None:
    """Bring an occasion about, and let happen what follows from it soon."""
    stack, met = bench.stack, _Once(occasion)
    bench.home()
    occasion.begin(stack)
    if occasion.happens:
        stack.seam.arm(dict.fromkeys(range(1, MOST_CALLS), met), occasion.concerns)
    occasion.drive(stack)
    assert met.happened or not occasion.happens, f"{occasion.name}: {occasion.function} made no such call"
    stack.seam.disarm()
    bench.calm()
    stack.clock.sleep(SOON_SECONDS)


class _Once:
    def __init__(self, occasion: Occasion) -> None:
        self._occasion = occasion
        self.happened = False

    def applies(self, call: Call) -> bool:
        """Give whether this is the call, for the first time."""
        is_its = call.function == self._occasion.function
        return is_its and not self.happened and self._occasion.operation in f"{call.operation} {call.about}"

    def meet(self, meeting: Meeting) -> AWSResponse:
        """Let happen what happens at it."""
        assert self._occasion.happens is not None
        self.happened = True
        return self._occasion.happens(meeting)


def when(act: Act) -> Meet:
    """Let somebody do something just before a call, when all others have done what they were at."""

    def happens(meeting: Meeting) -> AWSResponse:
        stack = meeting.seam.surroundings.stack
        stack.clock.sleep(1)
        stack.agenda.spawn("somebody", lambda: act(stack))
        stack.clock.sleep(1)
        return meeting.send()

    return happens


def again_after(seconds: float) -> Meet:
    """Let the same event come again so much later."""

    def happens(meeting: Meeting) -> AWSResponse:
        invocation, lambdas = meeting.invocation, meeting.seam.lambdas
        work = lambda: lambdas.invoke(invocation.function, invocation.event)  # noqa: E731
        meeting.seam.clock.agenda.spawn("the event again", work, after=seconds)
        return meeting.send()

    return happens


DENIED = MODES["denied"].meet
AGAIN = ("POST", "/deployments", wanted("small"))
HALF_STAGED = MODES["teardown"].meet
HUB = deploys(source=HUB_SOURCE)
SECOND = MODES["second_deploy"].meet
SMALL = forgotten(SOURCE_BUCKET, "models/")
THE_SAME = deploys(source=SAME_SHARDS_SOURCE)
WEIGHTS_GO = forgotten("artifact_bucket", "artifacts/")
OCCASIONS = (
    Occasion("a model of a hub", nothing, of_a_hub),
    Occasion("sources are judged", nothing, judged),
    Occasion("a folder that says it is complete", nothing, uploads()),
    Occasion("a name that is taken", deploys(), lambda stack: insist(stack, Visit(), *AGAIN, key="second")),
    Occasion("a folder of a name that is taken", deploys(), uploads()),
    Occasion("a folder without a mark, of a name that is taken", deploys(), uploads(marked=False)),
    Occasion("word of a mark that comes late", deploys(), told_late_of_a_mark),
    Occasion(
        "a name is taken before its folder",
        nothing,
        in_turn(uploads(marked=False), swept),
        "note_upload",
        "UpdateItem",
        SECOND,
    ),
    Occasion("a folder changes, and what came of it goes", uploads(), in_turn(uploads(marked=False), removed)),
    Occasion("lists", deploys(), looked_over),
    Occasion("a folder at signed addresses", nothing, placed),
    Occasion("an own role", nothing, with_an_own_role),
    Occasion("a dead letter", serving("small"), given_up),
    Occasion("an expired answer", serving("small"), unanswered),
    Occasion("an expired question", serving("small"), invoked, "run_invocation", "GetItem", when(expired)),
    Occasion("a question held", deploys(), held),
    Occasion("a question held that wakes", serving("small"), held),
    Occasion("an answer that expires at once", serving("small"), held, "api_invoke", "GetObject", when(expired)),
    Occasion("events that nobody takes", nothing, lost_events),
    Occasion("a source that goes away", nothing, deploys("large"), "copy_span", "", when(SMALL)),
    Occasion("an upload that goes away", nothing, uploads(), "copy_span", "", when(forgotten("upload_bucket", "up"))),
    Occasion("an upload is aborted", nothing, HUB, "copy_span", "UploadPart", when(uploads_end)),
    Occasion("a copy's upload is aborted", nothing, deploys("large"), "copy_span", "UploadPartCopy", when(uploads_end)),
    Occasion("an older upload", nothing, deploys("large"), "plan_staging", "", when(older_upload)),
    Occasion("a donor that is gone", donor_gone, THE_SAME),
    Occasion("a damaged donor", held_by_another, THE_SAME, "seal_artifact", "", when(donor_was_another)),
    Occasion("no plan", nothing, deploys("large"), "plan_staging", "", DENIED),
    Occasion("an execution is stopped", importing, stops_executions("deploy")),
    Occasion("an execution stands still", importing, nobody_goes_on),
    Occasion("staging dies", nothing, deploys("large"), "copy_span", "", when(stops_executions("stage-artifact"))),
    Occasion("weights go before they are verified", nothing, HUB, "verify_file", "GetObject", when(WEIGHTS_GO)),
    Occasion("a manifest goes once all is verified", nothing, HUB, "mark_verified", "GetObject", when(WEIGHTS_GO)),
    Occasion("a verification dies", nothing, HUB, "verify_file", "", when(stops_executions("stage-artifact"))),
    Occasion("removed while it is copied", nothing, deploys("large"), "copy_span", "", HALF_STAGED),
    Occasion("a round of teardown fails", serving("small"), removed, "delete_model", "", DENIED),
    Occasion("a first wake twice", hinder, deploys(), "start_warm_up", "StartExecution", again_after(LATE_SECONDS)),
    Occasion("stray executions", stray_executions, reconciled),
    Occasion("what is half erased", half_erased, reconciled),
    *(
        Occasion(f"all is spent when {function} acts", begin, drive, function, "", when(spent))
        for function, begin, drive in (
            ("start_staging", nothing, deploys()),
            ("start_import", nothing, deploys()),
            ("start_warm_up", nothing, deploys()),
            ("probe_deployment", serving("small"), warmed),
            ("api", serving("small"), warmed),
            ("api_invoke", serving("small"), invoked),
            ("run_invocation", serving("small"), invoked),
            ("sweep", serving("small", keep_warm={"policy": "always"}), Stack.sweep),
        )
    ),
)
