"""What takes calls and answers later, marks of those that are not answered, and servers that want to be told."""

from collections import deque
from dataclasses import dataclass, field

from pilotlight.domain.backlog import BacklogSizes
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.errors import ModelNotReady, PilotlightError
from pilotlight.domain.invocation import Invocation
from pilotlight.domain.invocation_request import Content
from pilotlight.ports import Submitted

from tests.fakes.storage import FakeBodies


@dataclass(frozen=True)
class Call:
    """One call that was handed over."""

    invocation_id: str
    content: Content
    waits_seconds: int
    runs_seconds: int
    correlation_id: str
    submitted: Submitted


@dataclass
class FakeAsyncBackend:
    """Implements `ports.AsyncInferenceBackend`: it takes calls where there is an endpoint, to a place for each."""

    bodies: FakeBodies
    calls: list[Call] = field(default_factory=list)
    refusals: deque[BaseException] = field(default_factory=deque)
    """What the next calls raise, each once, before they are taken."""
    lost_answers: int = 0
    """How many of the next calls are taken, and then break before they answer."""
    largest_inline_bytes: int = 128_000

    def submit(
        self,
        deployment: Deployment,
        content: Content,
        *,
        invocation_id: str,
        waits_seconds: int,
        runs_seconds: int,
        correlation_id: str,
    ) -> Submitted:
        if self.refusals:
            raise self.refusals.popleft()
        if deployment.endpoint is None or not deployment.endpoint.exists:
            raise ModelNotReady(f"Deployment {deployment.name} has no endpoint just now.")
        assert (content.data is None) != (content.location is None), "one of Body and InputLocation"
        assert content.data is None or len(content.data) <= self.largest_inline_bytes, "Body is too long"
        assert 60 <= max(waits_seconds, 60) <= 21_600
        assert 1 <= runs_seconds <= 3600
        place = f"s3://{self.bodies.bucket}/results/{deployment.name}-g{deployment.generation}"
        number = len(self.calls) + 1
        submitted = Submitted(
            output_location=f"{place}/done/{number}.out", failure_location=f"{place}/failed/{number}-error.out"
        )
        self.calls.append(Call(invocation_id, content, waits_seconds, runs_seconds, correlation_id, submitted))
        if self.lost_answers:
            self.lost_answers -= 1
            raise KeyboardInterrupt
        return submitted

    def answer(self, body: bytes, content_type: str = "application/json", number: int = -1) -> dict[str, object]:
        """Write what a call gave, and return the notice that the topic is sent."""
        call = self.calls[number]
        self.bodies.write(call.submitted.output_location, body, content_type)
        return {
            **_told(call, "Completed"),
            "responseParameters": {"contentType": content_type, "outputLocation": call.submitted.output_location},
        }

    def fail(self, reason: str, body: bytes | None = None, number: int = -1) -> dict[str, object]:
        """Write why a call failed, where the container said it, and return the notice."""
        call = self.calls[number]
        if body is not None:
            self.bodies.write(call.submitted.failure_location or "", body, "text/plain")
        return {
            **_told(call, "Failed"),
            "failureReason": reason,
            "responseParameters": {"failureLocation": call.submitted.failure_location},
        }

    def expire(self, number: int = -1) -> dict[str, object]:
        """Return the notice of a call that waited for too long."""
        return {**_told(self.calls[number], "Expired"), "failureReason": "The request has expired."}


def _told(call: Call, status: str) -> dict[str, object]:
    return {
        "invocationStatus": status,
        "inferenceId": call.invocation_id,
        "eventName": "InferenceResult",
        "requestParameters": {"endpointName": "pilotlight-llama-g1", "inputLocation": call.content.location},
    }


@dataclass
class FakeInFlight:
    """Implements `ports.InFlight`."""

    marks: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    took: dict[tuple[str, int], tuple[float, ...]] = field(default_factory=dict)

    def put(self, invocation: Invocation) -> None:
        self.marks.setdefault((invocation.deployment, invocation.generation), set()).add(invocation.id)

    def forget(self, invocation: Invocation) -> None:
        self.forget_id(invocation.deployment, invocation.generation, invocation.id)

    def forget_id(self, name: str, generation: int, invocation_id: str) -> None:
        self.marks.get((name, generation), set()).discard(invocation_id)

    def oldest(self, name: str, generation: int, limit: int) -> list[str]:
        return sorted(self.marks.get((name, generation), set()))[:limit]

    def note_latency(self, name: str, generation: int, seconds: float) -> None:
        self.took[name, generation] = (*self.latencies(name, generation), seconds)[-10:]

    def latencies(self, name: str, generation: int) -> tuple[float, ...]:
        return self.took.get((name, generation), ())


@dataclass
class FakeBacklog:
    """Implements `ports.Backlog`: nothing is measured unless a test says so."""

    measured: dict[str, BacklogSizes] = field(default_factory=dict)

    def sizes(self, endpoint_name: str) -> BacklogSizes | None:
        return self.measured.get(endpoint_name)


@dataclass
class FakeWebhookSender:
    """Implements `ports.WebhookSender`: a server that answers 200, or what a test says."""

    answers: deque[int | PilotlightError] = field(default_factory=deque)
    sent: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        self.sent.append((url, body, headers))
        answer = self.answers.popleft() if self.answers else 200
        if isinstance(answer, PilotlightError):
            raise answer
        return answer
