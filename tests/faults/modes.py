"""Every way in which a call goes wrong, by name; which of them a call can meet, and which pass by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from botocore.awsrequest import AWSResponse

from tests.faults.replaced_objects import COPIES, replaced
from tests.faults.seam import INVOKE as LAMBDA
from tests.faults.seam import WITHIN_SECONDS, Call, Meeting

ZOMBIE_SECONDS = 1800  # longer than any timeout, and than all that is waited for because of one
CREATE_JOB = "bedrock.CreateModelImportJob"
INVOKE = "bedrock-runtime.InvokeModel"  # has no such refusal as a conflict
SUBMIT = "sagemaker-runtime.InvokeEndpointAsync"
TOLD = ("sagemaker-runtime.InvokeEndpoint", SUBMIT)
CREATE_ENDPOINT = "sagemaker.CreateEndpoint"
MADE_BY_NAME = (
    CREATE_JOB,
    "sagemaker.CreateModel",
    "sagemaker.CreateEndpointConfig",
    CREATE_ENDPOINT,
    "sagemaker.CreateInferenceComponent",
)
LAUNCHES = (CREATE_ENDPOINT, "sagemaker.UpdateEndpoint", "sagemaker.UpdateEndpointWeightsAndCapacities")
CHANGES = (  # of what may be changing just then
    *LAUNCHES[1:],
    "sagemaker.DeleteEndpoint",
    "sagemaker.UpdateInferenceComponentRuntimeConfig",
    "sagemaker.DeleteInferenceComponent",
)
CALLS = ("api_invoke", "run_invocation")  # who calls a model while others take it away, also between what it reads

UNLUCKY = "The container is out of luck."

Meet = Callable[[Meeting], AWSResponse]
Act = Callable[[Meeting], bool]  # gives whether it was taken, or asked for a change


def _crash_after(meeting: Meeting) -> AWSResponse:
    meeting.send()
    meeting.crash()
    raise AssertionError("unreachable: it has crashed")


def _crash_before(meeting: Meeting) -> AWSResponse:
    meeting.crash()
    raise AssertionError("unreachable: it has crashed")


def _lost(meeting: Meeting) -> AWSResponse:
    meeting.send()
    meeting.close()
    raise AssertionError("unreachable: the connection is closed")


def _error_after(meeting: Meeting) -> AWSResponse:
    meeting.send()
    return meeting.refused("error")


def _unheard(meeting: Meeting) -> AWSResponse:
    """Let a function run whose answer never comes: its machine waits as long as the task may last."""
    answer = meeting.send()
    meeting.seam.clock.sleep(ZOMBIE_SECONDS)
    return answer


def _belated(meeting: Meeting) -> AWSResponse:
    """Let a function run when its machine has long given the call up."""
    meeting.seam.clock.sleep(ZOMBIE_SECONDS)
    return meeting.send()


def _beside(meeting: Meeting, *, zombie: bool = False, act: Act | None = None) -> AWSResponse:
    """Let others act while this call has not been made: within its function's time, or long past it."""

    def compete() -> None:
        if act is not None and not act(meeting):
            meeting.seam.idle.append(str(meeting.call))

    if act is not None:
        meeting.seam.clock.agenda.spawn("competitor", compete)
    meeting.invocation.zombie, meeting.invocation.delayed = zombie, True
    meeting.invocation.knows.age(at_last=meeting.call.operation == INVOKE)
    meeting.seam.clock.sleep(ZOMBIE_SECONDS if zombie else WITHIN_SECONDS)
    return meeting.send()


def _same_event(meeting: Meeting) -> bool:
    meeting.seam.lambdas.invoke(meeting.invocation.function, meeting.invocation.event)
    return True


def _sweep(meeting: Meeting) -> bool:
    return bool(meeting.seam.surroundings.sweep())


def _delete(meeting: Meeting) -> bool:
    return bool(meeting.seam.surroundings.delete())


def _scale_down(meeting: Meeting) -> bool:
    return bool(meeting.seam.surroundings.scale_down())


def _deploy(meeting: Meeting) -> bool:
    return bool(meeting.seam.surroundings.deploy_again())


def _retry(meeting: Meeting) -> bool:
    return bool(meeting.seam.surroundings.retry())


def _stuck(meeting: Meeting) -> AWSResponse:
    meeting.seam.surroundings.stick_import()
    return meeting.send()


def _never_ready(meeting: Meeting) -> AWSResponse:
    meeting.seam.surroundings.never_ready()
    return meeting.send()


def _hindering(**knobs: object) -> Meet:
    """Let the simulated hosting be at its worst in some way, from this call on."""

    def meet(meeting: Meeting) -> AWSResponse:
        meeting.seam.surroundings.hinder(**knobs)
        return meeting.send()

    return meet


@dataclass(frozen=True)
class Mode:
    """One way to go wrong. `passes`: whoever tries again, as everybody here does, gets what he wants.

    What `stays` outlives all that is tried again meanwhile. Few meet a call of a state machine: it never crashes, and
    who acts beside it acts just as well beside the first call of the function that it invokes.
    """

    name: str
    meet: Meet
    passes: bool = True
    on_reads: bool = False
    on_reads_of: tuple[str, ...] = ()  # functions whose reads go wrong so all the same
    functions: tuple[str, ...] = ()  # the only ones whose calls do, where there are any
    only: tuple[str, ...] = ()  # the only operations that do
    never: tuple[str, ...] = ()
    stays: bool = False
    of_machines: bool = False

    def applies(self, call: Call) -> bool:
        """Give whether such a call can go wrong so."""
        if call.is_of_machine and not self.of_machines:
            return False
        if self.only:
            return call.operation in self.only
        if call.operation in self.never or (self.functions and call.function not in self.functions):
            return False
        return self.on_reads or not call.is_read or call.function in self.on_reads_of


def _lasting(kind: str) -> Mode:
    name = f"{kind}_stays"
    meet: Meet = lambda meeting: meeting.last(kind)  # noqa: E731
    return Mode(name, meet, passes=False, on_reads=True, stays=True, of_machines=True)


MODES = {
    mode.name: mode
    for mode in (
        Mode("crash_before", _crash_before, on_reads=True),
        Mode("crash_after", _crash_after),
        Mode("lost", _lost, of_machines=True),
        Mode("throttle", lambda meeting: meeting.refused("throttle"), on_reads=True, of_machines=True),
        Mode("error_before", lambda meeting: meeting.refused("error"), on_reads=True, of_machines=True),
        Mode("error_after", _error_after, of_machines=True),
        Mode("denied", lambda meeting: meeting.refused("denied"), passes=False, on_reads=True, of_machines=True),
        Mode("quota", lambda meeting: meeting.refused("quota"), passes=False, never=TOLD),
        Mode("conflict", lambda meeting: meeting.refused("conflict"), never=(*MADE_BY_NAME, *CHANGES, INVOKE, *TOLD)),
        Mode("name_taken", lambda meeting: meeting.refused("name_taken"), passes=False, only=MADE_BY_NAME),
        Mode("in_progress", lambda meeting: meeting.refused("in_progress"), only=CHANGES),
        _lasting("denied"),
        _lasting("throttle"),
        _lasting("error"),
        Mode("duplicate", partial(_beside, act=_same_event)),
        Mode("sweep", partial(_beside, act=_sweep)),
        Mode("second_deploy", partial(_beside, act=_deploy), on_reads_of=("reconcile",)),
        Mode("retry", partial(_beside, act=_retry)),
        Mode("teardown", partial(_beside, act=_delete), on_reads_of=CALLS),
        Mode("scale_down", partial(_beside, act=_scale_down), on_reads_of=CALLS, functions=CALLS),
        Mode("zombie", partial(_beside, zombie=True)),
        Mode("zombie_teardown", partial(_beside, zombie=True, act=_delete)),
        Mode("replaced", replaced, passes=False, only=COPIES),
        Mode("stuck", _stuck, passes=False, only=(CREATE_JOB,)),
        Mode("unheard", _unheard, only=(LAMBDA,), of_machines=True),
        Mode("belated", _belated, only=(LAMBDA,), of_machines=True),
        Mode("never_ready", _never_ready, passes=False, only=(INVOKE,)),
        Mode("endpoint_fails", _hindering(fail_next_endpoint=UNLUCKY), passes=False, only=(CREATE_ENDPOINT,)),
        Mode("capacity_fails", _hindering(capacity_fails=1), passes=False, only=LAUNCHES),
        Mode("never_healthy", _hindering(never_healthy=True), passes=False, only=LAUNCHES),
        Mode("lose_sns", _hindering(lose_sns=1), only=(SUBMIT,)),
        Mode("duplicate_sns", _hindering(duplicate_sns=1), only=(SUBMIT,)),
    )
}
