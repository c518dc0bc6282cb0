"""Instances that are asked for, judged by nothing of the product but its records: was it right to ask for them?

Each is judged by what was so when it was asked for: who owns the endpoint, its lease, the kill switch, the ceiling,
how many run at once. What a caller had read before a fault held it up it could not know: as with windows of Bedrock.
Autoscaling asks by itself: by the bounds that it was given, which the product may take minutes to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from local.sagemaker import async_requests, fleets, invoking
from local.sagemaker.resources import Endpoint, Fleet
from tests.faults.billing import DEFAULT_CEILING_USD, is_switched_on
from tests.faults.permissions import LEDGER, RECORD, ROOM, SWITCH
from tests.faults.product import STACK
from tests.faults.replacing import replace
from tests.faults.uptimes import total_usd

if TYPE_CHECKING:
    from tests.faults.lambdas import Invocation
    from tests.faults.stack import Stack

ALIVE = ("CREATING", "WARMING", "SERVING")
MOST_INSTANCES = 4  # by the template's own default


class Launches:
    """Watches what is asked of the simulated endpoints in a run."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.wrong: list[str] = []
        self.submitted: list[str] = []  # ids of asynchronous calls, as often as they were taken
        self.answered = 0  # real-time calls

    def install(self) -> None:
        """Stand before the service."""
        replace(fleets, "launch", self._watching_launches)
        replace(async_requests, "submit", self._watching_calls)
        replace(invoking, "invoke", self._watching_answers)

    def clear(self) -> None:
        """Forget the run."""
        self.wrong.clear()
        self.submitted.clear()
        self.answered = 0

    def _watching_launches(self, original: Any) -> Callable[..., None]:
        def launch(simulation: Any, endpoint: Endpoint, fleet: Fleet, count: int, then: Any) -> None:
            caller = self._stack.lambdas.current
            if count > 0 and caller is not None and endpoint.tags.get("pilotlight:stack") == STACK:
                told = f"{count} instances of {endpoint.name} were asked for by {caller.function}"
                wrong = self._judged(endpoint, count)
                self.wrong += [f"{told} {why}" for known_by, why in wrong if not known_by & caller.knows.stale]
            original(simulation, endpoint, fleet, count, then)

        return launch

    def _watching_calls(self, original: Any) -> Callable[..., Any]:
        def submit(simulation: Any, endpoint: Endpoint, asked: Any) -> Any:
            taken = original(simulation, endpoint, asked)
            self.submitted.append(taken.id)
            return taken

        return submit

    def _watching_answers(self, original: Any) -> Callable[..., Any]:
        def invoke(*asked: Any) -> Any:
            answer = original(*asked)
            self._stack.answers.append(("real-time", _is_probe(self._stack.lambdas.current)))
            return answer

        return invoke

    def _judged(self, endpoint: Endpoint, count: int) -> Iterator[tuple[set[str], str]]:
        """Yield what forbade to ask for them, each with what one must have read to know."""
        name, generation = endpoint.tags["pilotlight:deployment"], endpoint.tags["pilotlight:generation"]
        record, now = self._stack.deployment(name), self._stack.clock.now()
        if record.get("status") not in ALIVE or str(record["generation"]) != generation:
            yield {RECORD}, f"while it was {record.get('status')} at generation {record.get('generation')}"
            return
        ends_at = record["lease"].get("ends_at")
        if ends_at and datetime.fromisoformat(ends_at) <= now:
            yield {RECORD}, f"after its lease, which ended at {ends_at}"
        if is_switched_on() and not self._stack.seam.fails_now("ssm.GetParameter"):
            yield {SWITCH}, "with the kill switch on"
        ceiling = (record.get("spend_ceiling") or {}).get("usd", DEFAULT_CEILING_USD)
        if (usd := total_usd(self._stack, name)) > ceiling:
            yield {RECORD, LEDGER}, f"beyond its ceiling: ${usd:.2f} of ${ceiling:.2f}"
        update = record["endpoint"].get("update") or {}
        if endpoint.deployment and not endpoint.deployment.config.name.endswith(f"-v{update.get('revision')}"):
            yield {RECORD}, f"to run {endpoint.deployment.config.name}, where its record has the update {update}"
        running = 0 if endpoint.deployment else self._running() + count  # an update has both for a while
        if running > MOST_INSTANCES:
            yield {ROOM}, f"which makes {running}, of {MOST_INSTANCES}"

    def _running(self) -> int:
        """Give how many instances of this stack there are, or are on their way."""
        ours = [
            each
            for each in self._stack.hosting.service.state.endpoints.values()
            if each.tags.get("pilotlight:stack") == STACK
        ]
        return sum(len(fleet.present) for each in ours for fleet in each.all_fleets)


def _is_probe(caller: Invocation | None) -> bool:
    return caller is not None and caller.function == "probe_deployment"
