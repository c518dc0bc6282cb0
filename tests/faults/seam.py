"""The one place where calls to AWS go wrong: every call of every client that a handler uses passes here, numbered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import current_thread, main_thread
from types import SimpleNamespace
from typing import Any, Protocol

from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.exceptions import ConnectionClosedError
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from tests.faults.agenda import Clock
from tests.faults.lambdas import Crash, Invocation, Lambdas
from tests.faults.machines import Machine
from tests.faults.replacing import replace
from tests.faults.shortcuts import READ

LASTING_SECONDS = 2 * 3600  # how long a failure that stays, stays
WITHIN_SECONDS = 20  # a pause that every function survives
WITHIN_A_TRANSACTION = {"conflict": "TransactionConflict", "throttle": "ThrottlingError"}  # what cancels it
SAID = {  # where nothing but the words tells a refusal from others
    "name_taken": "Cannot create already existing resource.",
    "in_progress": "Cannot update in-progress endpoint.",
}
READS = ("Get", "List", "Describe", "Head", "Query")

WELL = SimpleNamespace(status_code=200)  # what botocore counts tries by
TRANSACTION = "dynamodb.TransactWriteItems"
INVOKE = "lambda.Invoke"

Send = Callable[[], Any]


def reads(operation: str) -> bool:
    """Give whether an operation, as in `s3.GetObject`, changes nothing."""
    return operation.partition(".")[2].startswith(READS)


class Fault(Protocol):
    """What goes wrong at a call, where the call is one that can go wrong so."""

    def applies(self, call: Call) -> bool:
        """Give whether such a call can go wrong so."""

    @property
    def meet(self) -> Callable[[Meeting], AWSResponse]:
        """Give what happens in place of the call."""


@dataclass(frozen=True)
class Call:
    """One call: its number in the run, who made it, what it was, and the how manieth of its invocation it is.

    A state machine makes calls, too: it is `machine:<name>`, and of a function that it invokes the call is `about`.
    """

    number: int
    function: str
    operation: str
    step: int = 0
    about: str = ""

    @property
    def is_read(self) -> bool:
        """Give whether it changes nothing."""
        return reads(self.operation)

    @property
    def is_of_machine(self) -> bool:
        """Give whether a state machine made it."""
        return self.function.startswith("machine:")

    def __str__(self) -> str:
        return f"{self.function} {self.operation} {self.about}".rstrip()


@dataclass(frozen=True)
class Passage:
    """A call on its way: its number, where it is watched, and the fault or the refusal that it meets."""

    call: Call | None
    fault: Fault | None
    refusal: str | None


@dataclass
class Seam:
    """Counts calls and lets some of them go wrong: `plan` says which, by number, and how.

    A call that cannot go wrong as it was planned, because what went wrong before has changed what is called, is left
    alone, and the next that can is met.
    """

    clock: Clock
    lambdas: Lambdas
    surroundings: Any = None  # whoever acts beside the calls: see workflows.Surroundings
    plan: dict[int, Fault] = field(default_factory=dict)  # what is yet to be met
    watched: Callable[[str], bool] = lambda _: True
    calls: list[Call] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)  # competitors who were refused, or found nothing to do
    made: Counter[str] = field(default_factory=Counter)
    lasting: dict[str, tuple[str, float]] = field(default_factory=dict)
    armed: bool = False
    asks_moto: bool = False  # for all, also for what can be read on a shorter way
    _turned_back: Passage | None = None  # of who was on the shorter way, and takes the other one

    def install(self) -> None:
        """Stand before moto, and before what of botocore leads there."""
        replace(BotocoreStubber, "__call__", self._passing)
        replace(BaseClient, "_make_api_call", self._reading)

    def arm(self, plan: Mapping[int, Fault], watched: Callable[[str], bool]) -> None:
        """Begin to count, and to meet calls as planned."""
        self.plan, self.watched, self.armed = dict(plan), watched, True
        self.calls, self.met, self.idle, self.lasting = [], [], [], {}
        self.made.clear()

    def disarm(self) -> None:
        """Let everything pass from now on."""
        self.armed = False
        self.lasting.clear()

    def met_by(self, functions: tuple[str, ...]) -> int:
        """Give how many faults these functions met."""
        return sum(met.split()[1] in functions for met in self.met)

    def fails_now(self, operation: str) -> bool:
        """Give whether every such call is refused at present."""
        return operation in self.lasting and self.clock.moment < self.lasting[operation][1]

    def meet(self, operation: str, request: Any, send: Send, about: str = "") -> Any:
        """Give what a call comes to: what it is for, or what goes wrong with it."""
        caller = self._caller
        if caller is None:
            return send()
        turned_back, self._turned_back = self._turned_back, None
        passage = turned_back or self._pass(caller, operation, about)
        send = self._learning(caller, operation, request, send)
        if passage.call is None:
            return send()
        meeting = Meeting(self, passage.call, caller, request, send)
        if passage.fault:
            return passage.fault.meet(meeting)
        return meeting.refused(passage.refusal) if passage.refusal else send()

    def _pass(self, caller: Invocation | Machine, operation: str, about: str = "") -> Passage:
        """Let others act before a call, count it, and give what it meets."""
        self.clock.agenda.give_way()  # between two calls of one who acts, another one acts
        if caller.dead:
            raise Crash
        self.made[operation] += 1
        call = self._numbered(caller, operation, about)
        fault = self._due(call) if call else None
        refusal = self.lasting[operation][0] if call and not fault and self.fails_now(operation) else None
        if call and fault:
            self.met.append(f"{call.number} {call}")
        caller.met_a_fault = caller.met_a_fault or bool(fault or refusal)
        return Passage(call, fault, refusal)

    @staticmethod
    def _learning(caller: Invocation | Machine, operation: str, request: Any, send: Send) -> Send:
        """Give the call, after which its caller knows what it reads."""
        if not isinstance(caller, Invocation) or not reads(operation):
            return send

        def learn() -> Any:
            answer = send()
            caller.knows.learn(operation, request.body)
            return answer

        return learn

    def _due(self, call: Call) -> Fault | None:
        """Give what was planned for this call, or for an earlier one that could not go wrong so."""
        for number in sorted(self.plan):
            if number <= call.number and self.plan[number].applies(call):
                return self.plan.pop(number)
        return None

    def _passing(self, original: Any) -> Any:
        def send(stubber: Any, event_name: str, request: Any, **rest: Any) -> Any:
            assert current_thread() is main_thread(), f"{event_name} in a thread, where no fault can meet it"
            _, service, operation = event_name.split(".", 2)
            return self.meet(f"{service}.{operation}", request, lambda: original(stubber, event_name, request, **rest))

        return send

    def _reading(self, original: Any) -> Any:
        """Read items without a request, an answer and what is between them, where nothing goes wrong with the call."""

        def _make_api_call(client: BaseClient, name: str, asked: dict[str, Any]) -> Any:
            operation = f"{client.meta.service_model.service_name}.{name}"
            read, caller = READ.get(operation), self._caller
            if read is None or caller is None or self.asks_moto:
                return original(client, name, asked)
            passage = self._pass(caller, operation)
            told = None if passage.fault or passage.refusal else read(asked)
            if told is None:
                self._turned_back = passage
                return original(client, name, asked)
            if isinstance(caller, Invocation):
                caller.knows.learn(operation, json.dumps(asked).encode())
            client.meta.events.emit(f"after-call.{operation}", http_response=WELL, parsed=told, model=None, context={})
            return told

        return _make_api_call

    @property
    def _caller(self) -> Invocation | Machine | None:
        actor = self.clock.agenda.current
        return actor.purpose if actor and isinstance(actor.purpose, Invocation | Machine) else None

    def _numbered(self, caller: Invocation | Machine, operation: str, about: str) -> Call | None:
        """Give the call its number, where it is watched: a machine's is where the function is, or one of its own."""
        number = len(self.calls) + 1
        if isinstance(caller, Machine):
            concerned = (about,) if about else caller.functions
            call = Call(number, caller.name, operation, about=about)
        else:
            concerned = (caller.function,)
            call = Call(number, caller.function, operation, caller.calls + 1)
            caller.wrote = caller.wrote or not call.is_read
        if not self.armed or not any(self.watched(each) for each in concerned):
            return None
        if isinstance(caller, Invocation):
            caller.calls += 1
        self.calls.append(call)
        return call


@dataclass(frozen=True)
class Meeting:
    """A call and a fault, as a mode meets them."""

    seam: Seam
    call: Call
    caller: Invocation | Machine
    request: Any
    send: Send

    @property
    def invocation(self) -> Invocation:
        """Give whose call it is, where it is a function's."""
        assert isinstance(self.caller, Invocation), f"{self.call} is no function's"
        return self.caller

    def crash(self) -> None:
        """Let the process die here."""
        self.invocation.dead = True
        raise Crash

    def close(self) -> None:
        """Let the connection end without an answer."""
        raise ConnectionClosedError(endpoint_url=self.request.url)

    def refused(self, kind: str) -> AWSResponse:
        """Give the service's refusal of that kind, in its own words."""
        status, code = refusal(self.call.operation, kind)
        service, said = self.call.operation.partition(".")[0], SAID.get(kind, "injected")
        if service in ("s3", "sns"):
            body = f"<Error><Code>{code}</Code><Message>injected</Message></Error>"
            if service == "sns":
                body = f"<ErrorResponse>{body}<RequestId>1</RequestId></ErrorResponse>"
            return AWSResponse(self.request.url, status, {}, MockRawResponse(body))
        told: dict[str, Any] = {"__type": code, "message": said}
        if self.call.operation == TRANSACTION and kind in WITHIN_A_TRANSACTION:
            code = "TransactionCanceledException"
            others = json.loads(self.request.body)["TransactItems"][1:]
            reasons = [{"Code": WITHIN_A_TRANSACTION[kind], "Message": "injected"}, *({"Code": "None"} for _ in others)]
            told = {"__type": code, "Message": "injected", "CancellationReasons": reasons}
        body = json.dumps(told)
        headers = {"x-amzn-errortype": code, "x-amzn-query-error": f"{code};Sender"}
        return AWSResponse(self.request.url, status, headers, MockRawResponse(body))

    def last(self, kind: str) -> AWSResponse:
        """Refuse this call, and every one like it for a while."""
        until = self.seam.clock.moment + LASTING_SECONDS
        self.seam.lasting[self.call.operation] = (kind, until)
        return self.refused(kind)


def refusal(operation: str, kind: str) -> tuple[int, str]:
    """Give status and code with which a service refuses.

    Sources: the services' API references, "Common errors".
    """
    service = operation.partition(".")[0]
    match kind:
        case "throttle":
            codes = {
                "s3": (503, "SlowDown"),
                "dynamodb": (400, "ProvisionedThroughputExceededException"),
                "sns": (429, "Throttling"),
                "sqs": (400, "RequestThrottled"),
                "lambda": (429, "TooManyRequestsException"),
            }
            return codes.get(service, (429 if service.startswith("bedrock") else 400, "ThrottlingException"))
        case "error":
            names = {"s3": "InternalError", "sns": "InternalFailure", "lambda": "ServiceException"}
            return 500, names.get(service, "InternalServerError")
        case "denied":
            codes = {"s3": (403, "AccessDenied"), "sns": (403, "AuthorizationError")}
            status = 403 if service.startswith(("bedrock", "lambda")) else 400
            return codes.get(service, (status, "AccessDeniedException"))
        case "quota":
            codes = {
                "stepfunctions": (400, "ExecutionLimitExceeded"),
                "bedrock": (400, "ServiceQuotaExceededException"),
                "bedrock-runtime": (400, "ServiceQuotaExceededException"),
                "sqs": (403, "OverLimit"),
                "sagemaker": (400, "ResourceLimitExceeded"),
            }
            return codes.get(service, (400, "LimitExceededException"))
        case "conflict":
            codes = {
                "dynamodb": (400, "TransactionConflictException"),
                "s3": (409, "OperationAborted"),
                "sagemaker": (400, "ResourceInUse"),
                "application-autoscaling": (500, "ConcurrentUpdateException"),
            }
            return codes.get(service, (409 if service != "bedrock" else 400, "ConflictException"))
        case "name_taken":
            return (400, "ValidationException") if service == "sagemaker" else (400, "ConflictException")
        case "in_progress":
            return 400, "ValidationException"
    raise AssertionError(kind)
