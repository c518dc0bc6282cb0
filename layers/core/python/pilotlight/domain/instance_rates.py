"""What an instance behind an endpoint costs by the hour: rates as data, each with its source and date.

Only us-west-2 is known by the number. us-east-1 and us-east-2 are priced alike by AWS; elsewhere the dearest rate
known for the type is taken with a surcharge. Both are said to be unconfirmed: a ceiling that is held by too low a rate
would not hold. Storage and traffic are not in it.
"""

from collections.abc import Sequence
from datetime import date

from pydantic import Field

from pilotlight.domain.values import Model

_PRICE_LIST = "AWS Price List for Amazon SageMaker, Hosting, as public copies of 2026 have it"
_TRANSFORM = "AWS Price List for Amazon SageMaker, as a public copy of 2026 has it for batch transform"
_ALIKE = "priced as in us-west-2, as both regions of US East are for EC2's instances"
_NOT_PUBLISHED = "no copy of the price list had it: EC2's rate and the usual surcharge of SageMaker"

PRICED_ALIKE = ("us-east-1", "us-east-2")
# São Paulo, among the dearest regions, asks 1.56 times the price of us-west-2 for a g5.xlarge.
SURCHARGE = 1.6


class InstanceRate(Model):
    """Price of one instance type in one region, in US dollars, with its source and date."""

    instance_type: str
    region: str
    usd_per_hour: float = Field(gt=0)
    source: str
    as_of: date = date(2026, 11, 20)
    confirmed: bool = True


_USD: dict[str, dict[str, float]] = {
    _PRICE_LIST: {
        "ml.c5.large": 0.102,
        "ml.c5.xlarge": 0.204,
        "ml.c5.2xlarge": 0.408,
        "ml.m5.large": 0.115,
        "ml.m5.xlarge": 0.23,
        "ml.m5.2xlarge": 0.461,
        "ml.m5.4xlarge": 0.922,
        "ml.g4dn.xlarge": 0.7364,
        "ml.g4dn.2xlarge": 0.94,
        "ml.g5.xlarge": 1.408,
        "ml.g5.2xlarge": 1.515,
        "ml.g5.4xlarge": 2.03,
        "ml.g5.8xlarge": 3.06,
        "ml.g5.12xlarge": 7.09,
        "ml.g5.16xlarge": 5.12,
        "ml.g5.24xlarge": 10.18,
        "ml.g5.48xlarge": 20.36,
        "ml.g6.xlarge": 1.1267,
        "ml.g6.2xlarge": 1.222,
        "ml.g6.4xlarge": 1.654,
        "ml.g6.8xlarge": 2.518,
        "ml.g6.12xlarge": 5.752,
        "ml.g6.24xlarge": 8.344,
        "ml.g6.48xlarge": 16.688,
        "ml.g6e.12xlarge": 13.12,
        "ml.g6e.48xlarge": 37.66,
        "ml.p4d.24xlarge": 25.25,
        "ml.p5.48xlarge": 63.296,
    },
    _TRANSFORM: {
        "ml.g6e.xlarge": 2.6054,
        "ml.g6e.2xlarge": 2.8026,
        "ml.g6e.4xlarge": 3.7553,
        "ml.g6e.8xlarge": 5.6607,
        "ml.g6e.24xlarge": 18.832,
        "ml.p4de.24xlarge": 31.5641,
    },
    _NOT_PUBLISHED: {
        "ml.c5.4xlarge": 0.816,
        "ml.c5.9xlarge": 1.836,
        "ml.g4dn.4xlarge": 1.505,
        "ml.g4dn.8xlarge": 2.72,
        "ml.g4dn.12xlarge": 4.89,
        "ml.g4dn.16xlarge": 5.44,
        "ml.g6.16xlarge": 4.246,
        "ml.g6e.16xlarge": 9.472,
        "ml.inf2.xlarge": 0.99,
        "ml.inf2.8xlarge": 2.36,
        "ml.inf2.24xlarge": 7.79,
        "ml.inf2.48xlarge": 15.58,
    },
}

_KNOWN = tuple(
    InstanceRate(
        instance_type=instance_type,
        region="us-west-2",
        usd_per_hour=usd,
        source=source,
        confirmed=source == _PRICE_LIST,
    )
    for source, rates in _USD.items()
    for instance_type, usd in rates.items()
)
RATES: tuple[InstanceRate, ...] = (
    *_KNOWN,
    *(each.changed(region=region, source=_ALIKE, confirmed=False) for region in PRICED_ALIKE for each in _KNOWN),
)


def rate_of(instance_type: str, region: str, rates: Sequence[InstanceRate] = RATES) -> InstanceRate:
    """Return the rate of an instance type in a region.

    Where it is not known it is the dearest known of the type, and of a type without any, of all; in a region of which
    no price is known, with the surcharge.
    """
    of_type = [rate for rate in rates if rate.instance_type == instance_type]
    if known := next((rate for rate in of_type if rate.region == region), None):
        return known
    dearest = max(of_type or rates, key=lambda rate: rate.usd_per_hour)
    is_of_known_prices = any(rate.region == region for rate in rates)
    factor, times = (1.0, "") if is_of_known_prices else (SURCHARGE, f"{SURCHARGE} times ")
    return dearest.changed(
        instance_type=instance_type,
        region=region,
        usd_per_hour=round(dearest.usd_per_hour * factor, 4),
        confirmed=False,
        source=f"no rate known in {region}: {times}the dearest known of {dearest.instance_type}",
    )
