"""What a model costs: rates as data, and billing windows; of instances (domain/uptime.py) the tariff.

Bedrock bills a custom model per copy in windows of five minutes, each begun by the first successful call and
billed whole. Sources differ on whether the idle window after the last call is billed too, so that is a setting
and not a constant. Source: Amazon Bedrock user guide, "Calculate the cost of running a custom model"; Amazon
Bedrock pricing page, "Custom Model Import".
"""

from datetime import date, datetime, timedelta
from enum import StrEnum

from pydantic import Field

from pilotlight.domain.values import Basis, Model, Moment, Money

WINDOW = timedelta(minutes=5)
HOUR = timedelta(hours=1)
MONTH = timedelta(days=30)


class ImportRate(Model):
    """Price of Bedrock's custom model units (CMU) in one region, in US dollars, with its source and date."""

    region: str
    usd_per_unit_minute: float
    usd_per_unit_month: float = 1.95
    source: str = "Amazon Bedrock pricing page, Custom Model Import, unit version 1.0"
    as_of: date = date(2026, 11, 20)
    confirmed: bool = True


RATES = (
    ImportRate(region="us-east-1", usd_per_unit_minute=0.05718),
    ImportRate(region="us-west-2", usd_per_unit_minute=0.05718),
    ImportRate(region="eu-central-1", usd_per_unit_minute=0.07144),
    ImportRate(
        region="us-east-2",
        usd_per_unit_minute=0.05718,
        source="not published when looked up: taken to be as in us-east-1",
        confirmed=False,
    ),
)


def rate_in(region: str) -> ImportRate:
    """Return the rate of a region; an unknown region is priced as the dearest one known, never as free."""
    dearest = max(RATES, key=lambda rate: rate.usd_per_unit_minute)
    unknown = dearest.changed(region=region, confirmed=False, source=f"no rate known for {region}")
    return next((rate for rate in RATES if rate.region == region), unknown)


class WindowOpener(StrEnum):
    """Whose call began a billing window."""

    PROBE = "probe"
    INVOCATION = "invocation"


class BillingWindow(Model):
    """One billed window of one generation, with the running totals up to and including it.

    `ordinal` counts the windows of the generation from 1, `chains` the runs of adjoining windows: each chain
    ends in one idle window, which some sources count as billed. `opened_at` is the call that opened it: later than
    `starts_at` where the window adjoins its predecessor. `last_answer_at` is kept to about half a minute, so that a
    busy model does not write a record per call. `charged_to` is the invocation that was told its price. `late_for` is
    the moment of an answer that was entered after this window had begun, in none of its own: the record then counts the
    window of that answer, and tells the rest of the newest one.
    """

    generation: int
    ordinal: int = Field(ge=1)
    chains: int = Field(ge=1)
    starts_at: Moment
    ends_at: Moment
    last_answer_at: Moment
    opened_by: WindowOpener
    opened_at: Moment | None = None
    tokens_per_second: float | None = None
    charged_to: str | None = None
    late_for: Moment | None = None

    def covers(self, moment: datetime) -> bool:
        """Say whether a call at that moment is already paid for."""
        return moment < self.ends_at

    def contains(self, moment: datetime) -> bool:
        """Say whether a call at that moment, however long ago, was entered here."""
        began = self.late_for or self.starts_at
        return began <= moment < began + WINDOW


def window_at(
    moment: datetime, latest: BillingWindow | None, *, generation: int, opener: WindowOpener
) -> BillingWindow:
    """Return the window that a successful call at `moment` belongs to: the latest one, or the one it opens."""
    if latest is None:
        ordinal, chains, start = 1, 1, moment
    elif latest.covers(moment):
        return latest.changed(last_answer_at=max(moment, latest.last_answer_at))
    elif moment < latest.ends_at + WINDOW:
        ordinal, chains, start = latest.ordinal + 1, latest.chains, latest.ends_at
    else:
        ordinal, chains, start = latest.ordinal + 1, latest.chains + 1, moment
    return BillingWindow(
        generation=generation,
        ordinal=ordinal,
        chains=chains,
        starts_at=start,
        ends_at=start + WINDOW,
        last_answer_at=moment,
        opened_by=opener,
        opened_at=moment,
        tokens_per_second=latest.tokens_per_second if latest else None,
    )


class InstanceTariff(Model):
    """What the instances of one deployment cost: the price of one, how many run or are on their way, and may at most.

    `is_known` is false where nobody has said yet which instance it will be: then it is the dearest one known.
    """

    usd_per_hour: float = Field(ge=0)
    instances: int = Field(default=0, ge=0)
    most: int = Field(default=1, ge=1)
    is_known: bool = True

    @property
    def hour(self) -> Money:
        """The price of an hour of what runs: nothing where nothing does."""
        return Money(usd=round(self.usd_per_hour * self.instances, 6))

    @property
    def instance_hour(self) -> Money:
        """The price of an hour of one instance."""
        return Money(usd=self.usd_per_hour)

    def one_for(self, time: timedelta) -> Money:
        """Return the price of one instance for that long."""
        return Money(usd=round(self.usd_per_hour * max(time / HOUR, 0.0), 6))


class Tariff(Model):
    """What one deployment's model costs: units per copy at a region's rate."""

    rate: ImportRate
    units: int = Field(ge=1)
    copies: int = Field(default=1, ge=1)
    idle_window_is_billed: bool = True

    @property
    def window(self) -> Money:
        """The price of one window."""
        minutes = WINDOW.total_seconds() / 60
        return Money(usd=round(minutes * self.rate.usd_per_unit_minute * self.units * self.copies, 6))

    @property
    def idle_window(self) -> Money:
        """The price of the idle window that ends a chain: nothing where it is not billed."""
        return self.window if self.idle_window_is_billed else Money(usd=0.0)

    @property
    def hour(self) -> Money:
        """The price of an hour in which the model is warm throughout."""
        return Money(usd=round(60 * self.rate.usd_per_unit_minute * self.units * self.copies, 6))

    def storage(self, held: timedelta) -> Money:
        """Return the price of keeping the imported model for that long."""
        return Money(usd=round(self.rate.usd_per_unit_month * self.units * max(held / MONTH, 0.0), 6))

    def windows(self, latest: BillingWindow | None) -> Money:
        """Return the price of all windows of a generation up to its latest one."""
        if latest is None:
            return Money(usd=0.0, basis=Basis.ESTIMATED)
        count = latest.ordinal + (latest.chains if self.idle_window_is_billed else 0)
        return Money(usd=round(count * self.window.usd, 6))
