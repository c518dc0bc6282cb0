"""What instances cost: the product's ledger beside what the service would bill, by nothing but the service's own word.

Never less than is billed; and where nothing went wrong, not more than what lies between two looks, for each change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pilotlight.domain.instance_rates import rate_of

from local.identity import REGION
from local.sagemaker.resources import Uptime
from tests.faults import table_records
from tests.faults.hosting import AT_REST_SECONDS, EVERY_SECONDS
from tests.faults.product import STACK

if TYPE_CHECKING:
    from tests.faults.stack import Stack

HOUR = 3600.0
ROUNDED_SECONDS, ROUNDED_USD = 1.0, 0.001
LATE_SECONDS = AT_REST_SECONDS + 2 * EVERY_SECONDS  # of the newest look, at what may be looked at more seldom
CHANGE_SECONDS = 5 * EVERY_SECONDS  # that one start and stop may be charged too much: asked, come, seen, gone, seen


@dataclass(frozen=True)
class Account:
    """What a generation has cost by the ledger, until the moment of the newest look at it."""

    seconds: float
    usd: float
    until: float


def account(stack: Stack, name: str, generation: int) -> Account | None:
    """Give the account of a generation, None where nobody has ever looked."""
    looks = [each for each in _looks(stack, name) if each["generation"] == generation]
    if not looks:
        return None
    latest = max(looks, key=lambda each: int(each["ordinal"]))
    began, until = _moment(latest["starts_at"]), _moment(latest["ends_at"])
    since = int(latest["instances"]) * (until - began)
    usd = float(latest["usd_before"]) + since / HOUR * float(latest["usd_per_hour"])
    return Account(float(latest["seconds_before"]) + since, usd, until)


def billed(stack: Stack, name: str, generation: int) -> list[Uptime]:
    """Give the times for which the service bills instances of a generation."""
    endpoint = f"{STACK}-{name}-g{generation}"
    return [each for each in stack.hosting.service.uptimes() if each.endpoint == endpoint]


def total_usd(stack: Stack, name: str) -> float:
    """Give what all generations of a name have cost by the ledger."""
    generations = {int(each["generation"]) for each in _looks(stack, name)}
    accounts = (account(stack, name, generation) for generation in generations)
    return sum(each.usd for each in accounts if each)


def wrong(stack: Stack) -> Iterator[str]:
    """Yield the generations whose ledger says less than is billed, and those at which nobody looks any more."""
    for name, record in stack.records("DEPLOYMENT").items():
        for generation in range(1, int(record["generation"]) + 1):
            times, told = billed(stack, name, generation), account(stack, name, generation)
            if times:
                yield from _too_little(f"{name} generation {generation}", times, told, stack.clock.moment)


def _too_little(whose: str, times: list[Uptime], told: Account | None, now: float) -> Iterator[str]:
    if told is None:
        yield f"{whose} is billed, and in no ledger"
        return
    seconds = sum(_until(each, told.until) for each in times)
    usd = sum(_until(each, told.until) / HOUR * _rate(each) for each in times)
    if seconds > told.seconds + ROUNDED_SECONDS:
        yield f"{whose} is billed for {seconds:.0f} s of instances, and its ledger says {told.seconds:.0f} s"
    elif usd > told.usd + ROUNDED_USD:
        yield f"{whose} is billed ${usd:.4f}, and its ledger says ${told.usd:.4f}"
    runs_until = max(each.end or now for each in times)
    if runs_until > told.until + LATE_SECONDS:
        yield f"{whose} is billed, and nobody has looked at it for {runs_until - told.until:.0f} s"


def too_much(stack: Stack) -> Iterator[str]:
    """Yield the generations whose ledger says much more than is billed: not where calls failed.

    Where no instance ever came, what was asked for is charged all the same: nobody tells that it is not billed.
    """
    for name, record in stack.records("DEPLOYMENT").items():
        for generation in range(1, int(record["generation"]) + 1):
            times, told = billed(stack, name, generation), account(stack, name, generation)
            seconds = sum(_until(each, told.until) for each in times) if told else 0.0
            least = stack.hosting.rested_at or stack.clock.moment
            late = sum(LATE_SECONDS for each in times if each.end and each.end > least)
            if told and times and told.seconds > seconds + CHANGE_SECONDS * len(times) + late:
                yield f"{name} generation {generation} is billed for {seconds:.0f} s, and charged {told.seconds:.0f} s"


def _looks(stack: Stack, name: str) -> list[dict[str, Any]]:
    return table_records.beside(stack.outputs["TableName"], name, "UPTIME")


def _until(time: Uptime, moment: float) -> float:
    """Give for how long an instance was billed by then."""
    return max(min(time.end or moment, moment) - time.start, 0.0)


def _rate(time: Uptime) -> float:
    return float(rate_of(time.instance_type, REGION).usd_per_hour)


def _moment(text: Any) -> float:
    return datetime.fromisoformat(str(text)).timestamp()
