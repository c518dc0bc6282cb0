"""What the simulated service bills, judged by nothing of the product but its records: was it right to spend that?

Every call that opens a billing window is judged by what was so when it was made: who owns the model, the lease, the
kill switch, the ceiling, how much is warm at once. What a caller had read before a fault held it up, and did not read
again, it could not know: by that it is not judged, and by all else it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.ssm.models import ssm_backends

from local.identity import ACCOUNT_ID, REGION
from tests.faults import ledger
from tests.faults.ledger import USD_PER_UNIT_WINDOW
from tests.faults.permissions import LEDGER, RECORD, ROOM, SWITCH

if TYPE_CHECKING:
    from tests.faults.lambdas import Invocation
    from tests.faults.stack import Stack

DEFAULT_CEILING_USD = 500.0
DEFAULT_UNITS = 32
SPENDS = ("SERVING", "WARMING")
ROUNDED_USD = 0.01
LONGEST_ANSWER = timedelta(seconds=30)  # the ledger has when an answer came, and this its beginning


@dataclass(frozen=True)
class Opening:
    """A window that a call opened: for which generation of which deployment, when, and who called."""

    deployment: str
    generation: int
    moment: datetime
    caller: Invocation


class Billing:
    """Watches the windows of a run."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.openings: list[Opening] = []
        self.wrong: list[str] = []

    def clear(self) -> None:
        """Forget the run."""
        self.openings.clear()
        self.wrong.clear()

    def watched(self, model_arn: str, call: Callable[[], Any]) -> Any:
        """Give what the call gives, and judge the window that it opens, where it does."""
        stack, caller = self._stack, self._stack.lambdas.current
        model = stack.bedrock.models.get(model_arn)
        name = model.tags.get("pilotlight:deployment") if model else None
        if model is None or name is None or caller is None:
            return call()
        before, moment = self._windows(model_arn), stack.clock.now()
        record, is_on = stack.deployment(name), is_switched_on()
        spent = self._spent_usd(name, model.tags["pilotlight:generation"], record)
        answer = call()
        if opened := self._windows(model_arn) - before:
            opening = Opening(name, int(model.tags["pilotlight:generation"]), moment, caller)
            self.openings.append(opening)
            usd = spent + opened * model.inspection.units * USD_PER_UNIT_WINDOW
            told = f"a window of {name} was opened by {caller.function}"
            wrong = self._judged(opening, record, usd, is_on=is_on)
            self.wrong += [f"{told} {why}" for known_by, why in wrong if not known_by & caller.knows.stale]
        return answer

    def unbooked(self) -> Iterator[str]:
        """Yield the windows that the product's ledger does not have, though whoever opened them was not disturbed."""
        for opening in self.openings:
            caller = opening.caller
            if caller.failed or caller.dead or caller.delayed or caller.met_a_fault:
                continue
            booked = ledger.windows(self._stack, opening.deployment, opening.generation)
            if not any(starts - LONGEST_ANSWER <= opening.moment < ends for starts, ends in booked):
                yield f"a window of {opening.deployment} at {opening.moment:%H:%M:%S} is in no ledger"

    def _judged(
        self, opening: Opening, record: dict[str, Any], usd: float, *, is_on: bool
    ) -> Iterator[tuple[set[str], str]]:
        """Yield what forbade to open it, each with what one must have read to know."""
        if record.get("status") not in SPENDS or record["generation"] != opening.generation:
            yield {RECORD}, f"while it was {record.get('status')} at generation {record.get('generation')}"
            return
        ends_at = record["lease"].get("ends_at")
        if ends_at and datetime.fromisoformat(ends_at) <= opening.moment:
            yield {RECORD}, f"after its lease, which ended at {ends_at}"
        if is_on and not self._stack.seam.fails_now("ssm.GetParameter"):
            yield {SWITCH}, "with the kill switch on"
        ceiling = (record.get("spend_ceiling") or {}).get("usd", DEFAULT_CEILING_USD)
        if (warm := self._warm_units()) > self._most_units:
            yield {ROOM}, f"while {warm} units were warm, of {self._most_units}"
        if usd > ceiling + ROUNDED_USD:
            yield {RECORD, LEDGER}, f"beyond its ceiling: ${usd:.2f} of ${ceiling:.2f}"

    def _warm_units(self) -> int:
        """Give the units of models that keep warm because they have answered: one that only loaded is not billed."""
        service = self._stack.bedrock
        answered = (arn for arn, model in service.models.items() if model.warmth.loading_since is None)
        return sum(service.models[arn].inspection.units for arn in answered if service.is_warm(arn))

    @property
    def _most_units(self) -> int:
        return int(self._stack.lambdas.variables.get("MAX_CUSTOM_MODEL_UNITS", DEFAULT_UNITS))

    def _windows(self, model_arn: str) -> int:
        return sum(window.model_arn == model_arn for window in self._stack.bedrock.windows())

    def _spent_usd(self, name: str, generation: str, record: dict[str, Any]) -> float:
        """Give what counts against the ceiling: of the name in this month, or of the generation where it says so."""
        per_generation = (record.get("spend_ceiling") or {}).get("per") == "deployment"
        of_generation = {"pilotlight:generation": generation} if per_generation else {}
        whose = {"pilotlight:deployment": name, **of_generation}.items()
        now = self._stack.clock.now()
        began = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
        units = {
            job.model_arn: job.verdict.units
            for job in self._stack.bedrock.jobs
            if whose <= job.tags.items() and not isinstance(job.verdict, str)
        }
        windows = (each for each in self._stack.bedrock.windows() if per_generation or each.start >= began)
        return sum(units.get(each.model_arn, 0) * USD_PER_UNIT_WINDOW for each in windows)


def is_switched_on() -> bool:
    """Say whether the kill switch is on."""
    for name, versions in ssm_backends[ACCOUNT_ID][REGION]._parameters.items():
        if name.endswith("/kill-switch") and versions:
            text = str(versions[-1].value)
            return bool(json.loads(text)["on"]) if text.startswith("{") else text.lower() == "on"
    return False
