"""Does the product's ledger count each window once? Its months must be the sum of its windows, by their own prices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from local.bedrock.simulation import Job, Model
from local.bedrock.warmth import Window
from tests.faults import table_records, uptimes

if TYPE_CHECKING:
    from tests.faults.stack import Stack

USD_PER_UNIT_WINDOW = 5 * 0.05718  # Source: Amazon Bedrock pricing page, Custom Model Import, us-east-1
ROUNDED_USD = 0.001


def lines(stack: Stack, name: str, kind: str) -> list[dict[str, Any]]:
    """Give what lies beside a deployment's record: its EVENTs, its WINDOWs, what it has SPENT, in order."""
    return table_records.beside(stack.outputs["TableName"], name, kind)


def windows(stack: Stack, name: str, generation: int) -> list[tuple[datetime, datetime]]:
    """Give the billing windows of a generation: when they start and end."""
    found = [each for each in lines(stack, name, "WINDOW") if each["generation"] == generation]
    return [(datetime.fromisoformat(each["starts_at"]), datetime.fromisoformat(each["ends_at"])) for each in found]


def wrong(stack: Stack) -> Iterator[str]:
    """Yield the deployments whose months are not what their windows cost, and the windows of which there are two."""
    for name in stack.records("DEPLOYMENT"):
        opened = lines(stack, name, "WINDOW")
        cost = sum(_priced(each, opened, units(stack, name, each["generation"])) for each in opened)
        cost += uptimes.total_usd(stack, name)
        told = sum(float(each["usd"]) for each in lines(stack, name, "SPENT"))
        if abs(told - cost) > ROUNDED_USD:
            yield f"the ledger of {name} says ${told:.2f} of windows and instances that cost ${cost:.2f}"
        starts = Counter((each["generation"], each.get("late_for") or each["starts_at"]) for each in opened)
        yield from (f"{name} has {count} windows from {at} on" for (_, at), count in starts.items() if count > 1)


def unbilled(stack: Stack) -> Iterator[str]:
    """Yield the generations of which the ledger has more windows than the service billed: not where calls failed."""
    for (name, generation), more in beyond_billed(stack).items():
        yield f"the ledger of {name} has {more} windows of generation {generation} more than were billed"


def beyond_billed(stack: Stack) -> Counter[tuple[str, int]]:
    """Give by how many windows the ledger of a name's generation is beyond what was billed, where it is."""
    more: Counter[tuple[str, int]] = Counter()
    for name in stack.records("DEPLOYMENT"):
        noted = Counter(int(each["generation"]) for each in lines(stack, name, "WINDOW"))
        for generation, count in noted.items():
            more[name, generation] = count - len(billed(stack, name, generation))
    return +more


def billed(stack: Stack, name: str, generation: int) -> list[Window]:
    """Give the windows that the service billed for a generation."""
    models = {job.model_arn for job in _jobs(stack, name, generation)}
    models |= {model.arn for model in _models(stack, name, generation)}
    return [window for window in stack.bedrock.windows() if window.model_arn in models]


def _priced(window: dict[str, Any], all_of_them: list[dict[str, Any]], units: int) -> float:
    """Give what a window costs, with the idle window after it where no other one follows at once."""
    follows = any(
        each["generation"] == window["generation"]
        and each["starts_at"] == window["ends_at"]
        and not each.get("late_for")
        for each in all_of_them
    )
    return units * USD_PER_UNIT_WINDOW * (1 if follows and not window.get("late_for") else 2)


def units(stack: Stack, name: str, generation: int) -> int:
    """Give the units of a generation's model, which may be gone."""
    verdicts = [job.verdict for job in _jobs(stack, name, generation) if job.status != "Failed"]
    made = [verdict.units for verdict in verdicts if not isinstance(verdict, str)]
    return max(made + [model.inspection.units for model in _models(stack, name, generation)], default=0)


def _jobs(stack: Stack, name: str, generation: int) -> list[Job]:
    whose = _tags(name, generation)
    return [job for job in stack.bedrock.jobs if whose.items() <= job.tags.items()]


def _models(stack: Stack, name: str, generation: int) -> list[Model]:
    """Give the models that there are, also one that was planted and that no job made."""
    whose = _tags(name, generation)
    return [model for model in stack.bedrock.models.values() if whose.items() <= model.tags.items()]


def _tags(name: str, generation: int) -> dict[str, str]:
    return {"pilotlight:deployment": name, "pilotlight:generation": str(generation)}
