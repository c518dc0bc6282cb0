"""The worst cases in docs/operations.md, worked out from the product's own rates and bounds; a test compares them."""

from dataclasses import dataclass
from datetime import timedelta

from pilotlight.adapters.bedrock_inference import PROBE_TIMEOUT_SECONDS
from pilotlight.domain.containers import ContainerSettings
from pilotlight.domain.deployment import LONGEST_TEARDOWN_REST
from pilotlight.domain.hosting import Scaling, ScalingSettings
from pilotlight.domain.instance_rates import RATES, rate_of
from pilotlight.domain.instance_spending import STOPPING
from pilotlight.domain.lease import DEFAULT_LEASE, parse_duration
from pilotlight.domain.pricing import HOUR, MONTH, WINDOW, Tariff, rate_in
from pilotlight.domain.values import Backend, seconds
from pilotlight.settings import Settings

REGION = "us-east-1"
UNITS = {"8B": 2, "70B": 8}
COPIES = 3  # to which Bedrock scales out by itself, unless the account's quota says otherwise
INSTANCES = ("ml.g5.xlarge", max(RATES, key=lambda rate: rate.usd_per_hour).instance_type)
"""What an 8B model fits on, and the dearest there is."""
DAY = timedelta(days=1)
LONGEST_MONTH = timedelta(days=31)
MODELS_AT_ONCE = 3  # Bedrock's quota of imported models, until somebody asks for more
SCALE_IN_ALARM = timedelta(minutes=15)
"""Until target tracking sees that nobody calls: 15 data points of a minute. Source: Application Auto Scaling user
guide, "Target tracking scaling policies"; not measured."""


@dataclass(frozen=True)
class Case:
    """One failure: what bounds it, and what it costs at most, by model or by instance; of one deployment, or of all.

    `for_a_day` is what no ceiling stops, because nobody looks: it goes on for as long as that lasts.
    """

    failure: str
    bound: str
    usd: dict[str, float]
    of_all: bool = False
    for_a_day: bool = False


def cases() -> list[Case]:
    """Return the worst case of each failure."""
    settings = Settings()
    ceiling = settings.default_spend_ceiling_usd
    lease = parse_duration(DEFAULT_LEASE)
    every = {model: Tariff(rate=rate_in(REGION), units=units) for model, units in UNITS.items()}
    wake = timedelta(seconds=settings.wake_budgets.windows.max_seconds)
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


def instance_cases() -> list[Case]:
    """Return the worst case of each failure of a deployment on instances."""
    settings, container = Settings(), ContainerSettings()
    wake = seconds(settings.wake_budgets.instances.max_seconds)
    asynchronous, realtime = (ScalingSettings().for_backend(each) for each in Backend if each.is_endpoint)
    start = seconds(container.health_check_timeout_seconds + container.download_timeout_seconds)
    capped = settings.max_instances
    ceiling = _of_each(settings.default_spend_ceiling_usd)
    return [
        Case("A keep-warm policy of `always` that nobody wanted", "the ceiling, each month", ceiling),
        Case("A client calls without end", "the ceiling, each month, however many instances that takes", ceiling),
        Case("The kill switch cannot be read", "the ceiling: callers are answered, nothing else begins", ceiling),
        Case(
            "The kill switch is turned while instances run",
            f"the next look, and until they have stopped: {STOPPING / timedelta(minutes=1):.0f} minutes of "
            f"{realtime.max} instances",
            _running(STOPPING, realtime.max),
        ),
        Case(
            "The answer to an asynchronous call is the last one",
            "autoscaling's alarm, and its cooldown; `scale_in: immediate` lets go within a minute",
            _running(_tail(asynchronous), 1),
        ),
        Case(
            "An endpoint never comes into service",
            "the time that its container has for its weights and its first health check",
            _running(start, realtime.initial),
        ),
        Case(
            "A wake gets an instance and never an answer",
            "the seconds of the wake's budget, and the tail of a scale-in",
            _running(wake + _tail(asynchronous), 1),
        ),
        Case(
            "A look reads the clock five minutes slow, or is entered twice",
            "charged once, by the later look",
            _of_each(0.0),
        ),
        Case(
            "A teardown is lost",
            f"until the next look, at most an hour later: {realtime.max} instances",
            _running(LONGEST_TEARDOWN_REST, realtime.max),
        ),
        Case(
            "The sweep is dead, and a real-time endpoint runs on",
            f"nobody looks: for each day {realtime.max} instances; the alarm SweepStopped tells within 15 minutes",
            _running(DAY, realtime.max),
            for_a_day=True,
        ),
        Case(
            "An endpoint has no record any more, and nobody reconciles",
            f"nobody knows of it: for each day {realtime.max} instances",
            _running(DAY, realtime.max),
            for_a_day=True,
        ),
        Case(
            "Every deployment there is runs away at once",
            f"`MaxInstances`: an hour of {capped}",
            _running(HOUR, capped),
            of_all=True,
        ),
        Case(
            "The same for a month, each deployment followed by another one when it is at its ceiling",
            f"`MaxInstances`: {capped} throughout 31 days",
            _running(LONGEST_MONTH, capped),
            of_all=True,
        ),
    ]


def _tail(scaling: Scaling) -> timedelta:
    return SCALE_IN_ALARM + seconds(scaling.scale_in_cooldown_seconds)


def _running(time: timedelta, count: int) -> dict[str, float]:
    return {each: round(count * rate_of(each, REGION).usd_per_hour * (time / HOUR), 6) for each in INSTANCES}


def _of_each(usd: float) -> dict[str, float]:
    return {instance: usd for instance in INSTANCES}  # noqa: C420 (typed)


def instance_table() -> str:
    """Return the table of docs/operations.md for instances."""
    return _table(instance_cases(), INSTANCES, ("ml.g5.xlarge", f"{INSTANCES[1]}, the dearest"))


def table() -> str:
    """Return the table of docs/operations.md for models on Bedrock."""
    return _table(cases(), ("8B", "70B"), ("8B", "70B"))


def _table(rows: list[Case], columns: tuple[str, ...], titles: tuple[str, ...]) -> str:
    lines = [f"| failure | what bounds it | {' | '.join(titles)} |", f"|---|---|{'---|' * len(titles)}"]
    for case in rows:
        amounts = " | ".join(_usd(case.usd[column]) for column in columns)
        lines.append(f"| {case.failure} | {case.bound} | {amounts} |")
    return "\n".join(lines)


def _each(usd: float) -> dict[str, float]:
    return {model: usd for model in UNITS}  # noqa: C420 (typed)


def _usd(amount: float) -> str:
    return f"${amount:,.2f}" if amount else "$0"


if __name__ == "__main__":
    print(table())
    print()
    print(instance_table())
