"""The worst cases in docs/operations.md, worked out from the product's own rates and bounds; a test compares them."""

from dataclasses import dataclass
from datetime import timedelta

from pilotlight.adapters.bedrock_inference import PROBE_TIMEOUT_SECONDS
from pilotlight.domain.lease import DEFAULT_LEASE, parse_duration
from pilotlight.domain.pricing import MONTH, WINDOW, Tariff, rate_in
from pilotlight.settings import Settings

REGION = "us-east-1"
UNITS = {"8B": 2, "70B": 8}
COPIES = 3  # to which Bedrock scales out by itself, unless the account's quota says otherwise
HOUR = timedelta(hours=1)
LONGEST_MONTH = timedelta(days=31)
MODELS_AT_ONCE = 3  # Bedrock's quota of imported models, until somebody asks for more


@dataclass(frozen=True)
class Case:
    """One failure: what bounds it, and what it costs at most, by model; of one deployment, or of all there are."""

    failure: str
    bound: str
    usd: dict[str, float]
    of_all: bool = False


def cases() -> list[Case]:
    """Return the worst case of each failure."""
    settings = Settings()
    ceiling = settings.default_spend_ceiling_usd
    lease = parse_duration(DEFAULT_LEASE)
    every = {model: Tariff(rate=rate_in(REGION), units=units) for model, units in UNITS.items()}
    wake = timedelta(seconds=settings.wake_budget.max_seconds)
    window = {model: tariff.window.usd for model, tariff in every.items()}
    month = {model: tariff.storage(MONTH).usd for model, tariff in every.items()}
    chain = {model: 2 * usd for model, usd in window.items()}
    overshoot = {model: ceiling + usd for model, usd in window.items()}
    capped = settings.max_custom_model_units * 60 * rate_in(REGION).usd_per_unit_minute
    return [
        Case("The sweep is dead: no lease is taken down", "storage, until it runs again; nothing is called", month),
        Case("The sweep is dead while callers go on", "the ceiling, until the lease's end", overshoot),
        Case("A keep-warm policy of `always` that nobody wanted", "the ceiling, each month", overshoot),
        Case("A client calls without end", "the ceiling, each month", overshoot),
        Case(
            "The same, and Bedrock adds copies, which our ledger does not see",
            f"the ceiling, times {COPIES} copies",
            {model: COPIES * usd for model, usd in overshoot.items()},
        ),
        Case("A `warm` execution dies in the middle of a probe", "one window, and the idle one after it", chain),
        Case(
            "Each wake answers, and its success is never noted",
            "warm throughout: an hour of windows",
            {model: int(HOUR / WINDOW) * usd + usd for model, usd in window.items()},
        ),
        Case("A wake never gets an answer", "probes of a model that loads cost nothing", _each(0.0)),
        Case(
            "A model takes every probe and gives no answer that we understand",
            "each counts as billed, within the wake's budget: its windows, and the idle one after them",
            {model: (int(wake / WINDOW) + 1) * usd for model, usd in window.items()},
        ),
        Case("Two of the same deployment are asked for at once", "one name, one record: nothing twice", _each(0.0)),
        Case(
            "A teardown is lost",
            "storage, until the next look, at most an hour later",
            {model: tariff.storage(HOUR).usd for model, tariff in every.items()},
        ),
        Case("An imported model has no record any more, and nobody reconciles", "its storage, a month", month),
        Case(
            "An import job hangs",
            "Bedrock bills no job; the model that it leaves, until the lease's end",
            {model: tariff.storage(lease).usd for model, tariff in every.items()},
        ),
        Case("A clock is five minutes slow", "one window more than the ceiling, or beyond the lease", window),
        Case(
            "The kill switch is turned while a probe is under way",
            f"the probe ends within {PROBE_TIMEOUT_SECONDS:.0f} s: one window, and the idle one after it",
            chain,
        ),
        Case("The kill switch cannot be read", "the ceiling: callers are answered, nothing else begins", overshoot),
        Case(
            "Every deployment there is runs away at once",
            f"{settings.max_custom_model_units} units warm: an hour of one copy each",
            _each(capped),
            of_all=True,
        ),
        Case(
            "The same for a month, three deployments at a time as Bedrock's quota has it, and no others after them",
            f"the ceilings of {MODELS_AT_ONCE} deployments",
            {model: MODELS_AT_ONCE * usd for model, usd in overshoot.items()},
            of_all=True,
        ),
        Case(
            "The same for a month, each deployment followed by another one when it is at its ceiling",
            f"{settings.max_custom_model_units} units warm throughout 31 days: one copy each",
            _each(capped * (LONGEST_MONTH / HOUR)),
            of_all=True,
        ),
    ]


def table() -> str:
    """Return the table of docs/operations.md."""
    lines = ["| failure | what bounds it | 8B | 70B |", "|---|---|---|---|"]
    for case in cases():
        small, large = (_usd(case.usd[model]) for model in ("8B", "70B"))
        lines.append(f"| {case.failure} | {case.bound} | {small} | {large} |")
    return "\n".join(lines)


def _each(usd: float) -> dict[str, float]:
    return {model: usd for model in UNITS}  # noqa: C420 (typed)


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount else "$0"


if __name__ == "__main__":
    print(table())
