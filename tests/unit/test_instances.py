"""Instances are data: what is in each, what it costs and how fast it is, each with where that is known from."""

from datetime import UTC, datetime, timedelta

import botocore.session
import pytest
from pilotlight.domain.instance_rates import RATES, rate_of
from pilotlight.domain.instances import INSTANCES, Kind, in_order, instance_of, near_matches
from pilotlight.domain.throughput import (
    BENCHMARKS,
    Measurement,
    estimated_speed,
    seconds_per_token,
    speed_of,
    usd_per_million_tokens,
)
from pilotlight.domain.values import Basis

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
SEVEN_BILLION = 14_000_000_000


def a_measurement(tokens_per_second, *, instance_type="ml.g5.xlarge", degree=1, at=NOON):
    return Measurement(
        instance_type=instance_type,
        tensor_parallel_degree=degree,
        tokens_per_second=tokens_per_second,
        measured_at=at,
        deployment="llama",
    )


def test_every_instance_is_one_that_sagemaker_has_for_endpoints():
    model = botocore.session.get_session().get_service_model("sagemaker")

    assert {each.type for each in INSTANCES} <= set(model.shape_for("ProductionVariantInstanceType").enum)


@pytest.mark.parametrize(
    ("instance_type", "gpu", "count", "vcpus", "memory_gib"),
    [
        ("ml.g4dn.xlarge", "T4", 1, 4, 16),
        ("ml.g5.12xlarge", "A10G", 4, 48, 192),
        ("ml.g5.16xlarge", "A10G", 1, 64, 256),
        ("ml.g5.48xlarge", "A10G", 8, 192, 768),
        ("ml.g6e.12xlarge", "L40S", 4, 48, 384),
        ("ml.p4d.24xlarge", "A100", 8, 96, 1152),
        ("ml.p5.48xlarge", "H100", 8, 192, 2048),
    ],
)
def test_an_instance_tells_its_gpus_processors_and_memory(instance_type, gpu, count, vcpus, memory_gib):
    instance = instance_of(instance_type)

    assert (instance.accelerator.name, instance.count) == (gpu, count)
    assert (instance.vcpus, instance.memory_gib) == (vcpus, memory_gib)
    assert f"{count} × {gpu}" in instance.hardware


def test_instances_without_gpu_and_with_neuron_chips_are_told_apart():
    assert instance_of("ml.m5.xlarge").kind is Kind.NONE
    assert "no GPU" in instance_of("ml.m5.xlarge").hardware
    assert instance_of("ml.inf2.24xlarge").kind is Kind.NEURON
    assert instance_of("ml.inf2.24xlarge").shares == 12  # six chips of two cores


def test_an_unknown_type_has_near_matches_of_its_family_first():
    assert instance_of("ml.g5.3xlarge") is None
    assert set(near_matches("ml.g5.3xlarge")) <= {each.type for each in INSTANCES if each.type.startswith("ml.g5.")}
    assert "ml.g5.2xlarge" in near_matches("g5.2xlarge")
    assert near_matches("ml.g5d.12xlarge")
    assert near_matches("ml.p5.12xlarge")[0] == "ml.p5.48xlarge"
    assert near_matches("ml.vvvvvv.qqqqqqqqqqqqqqqqqqqqq") == ()


def test_types_are_listed_by_family_and_size():
    mixed = ("ml.p5.48xlarge", "ml.g5.12xlarge", "ml.m5.xlarge", "ml.g5.xlarge", "ml.m5.large", "ml.g5.2xlarge")

    assert in_order(mixed) == [
        *("ml.g5.xlarge", "ml.g5.2xlarge", "ml.g5.12xlarge"),
        *("ml.m5.large", "ml.m5.xlarge", "ml.p5.48xlarge"),
    ]


def test_every_instance_has_a_price_and_where_it_is_from():
    assert {rate.instance_type for rate in RATES} == {each.type for each in INSTANCES}
    assert len(RATES) == len({(rate.instance_type, rate.region) for rate in RATES})
    assert all(rate.source and rate.as_of for rate in RATES)


@pytest.mark.parametrize(
    ("instance_type", "usd"),
    [("ml.g5.xlarge", 1.408), ("ml.g5.12xlarge", 7.09), ("ml.g6e.12xlarge", 13.12), ("ml.p5.48xlarge", 63.296)],
)
def test_a_published_price_is_confirmed(instance_type, usd):
    rate = rate_of(instance_type, "us-west-2")

    assert (rate.usd_per_hour, rate.confirmed) == (usd, True)


def test_a_price_that_nobody_published_says_so():
    rate = rate_of("ml.inf2.xlarge", "us-west-2")

    assert not rate.confirmed
    assert "no copy of the price list" in rate.source


def test_the_regions_of_us_east_are_priced_as_us_west_2_and_say_so():
    told = [rate_of("ml.g5.xlarge", region) for region in ("us-east-1", "us-east-2")]

    assert [(each.usd_per_hour, each.confirmed) for each in told] == [(1.408, False)] * 2
    assert all("as in us-west-2" in each.source for each in told)


def test_a_region_of_which_no_price_is_known_has_the_dearest_of_the_type_and_a_surcharge():
    dearer = rate_of("ml.g5.xlarge", "us-west-2").changed(region="eu-west-1", usd_per_hour=2.0)

    rate = rate_of("ml.g5.xlarge", "ap-southeast-2", (*RATES, dearer))

    assert (rate.usd_per_hour, rate.region, rate.confirmed) == (3.2, "ap-southeast-2", False)
    assert "no rate known in ap-southeast-2: 1.6 times" in rate.source


def test_an_unknown_type_is_as_dear_as_the_dearest():
    rate = rate_of("ml.p9.96xlarge", "us-west-2")

    assert (rate.instance_type, rate.confirmed) == ("ml.p9.96xlarge", False)
    assert rate.usd_per_hour == max(each.usd_per_hour for each in RATES)


def test_the_figures_of_the_three_gpus_make_the_known_prices_of_a_million_tokens():
    told = {each.accelerator.name: round(each.usd_per_million_tokens, 3) for each in BENCHMARKS}

    assert told == {"T4": 0.081, "A10G": 0.085, "A100": 0.1}
    assert all(each.source and each.as_of for each in BENCHMARKS)


@pytest.mark.parametrize(
    ("instance_type", "tokens_per_second"),
    [("ml.g4dn.xlarge", 1200), ("ml.g5.xlarge", 3200), ("ml.p4d.24xlarge", 8500)],
)
def test_a_model_of_seven_billion_on_one_of_these_gpus_has_the_published_speed(instance_type, tokens_per_second):
    speed = estimated_speed(instance_of(instance_type), 1, SEVEN_BILLION)

    assert (speed.tokens_per_second, speed.basis) == (tokens_per_second, Basis.ESTIMATED)


def test_other_gpus_sizes_and_numbers_are_scaled():
    def speed(instance_type, degree, weight_bytes):
        return estimated_speed(instance_of(instance_type), degree, weight_bytes).tokens_per_second

    assert speed("ml.p5.48xlarge", 1, SEVEN_BILLION) > 2 * 8500
    assert speed("ml.g5.xlarge", 1, 2 * SEVEN_BILLION) == 1600
    assert 2 * 3200 < speed("ml.g5.12xlarge", 4, SEVEN_BILLION) < 4 * 3200
    assert speed("ml.g5.xlarge", 1, 1) == 8 * 3200  # something else is the limit by then


def test_no_speed_is_made_up_for_what_nobody_measured():
    assert estimated_speed(instance_of("ml.m5.large"), 1, 10**9).tokens_per_second is None
    assert estimated_speed(instance_of("ml.inf2.xlarge"), 2, 10**9).tokens_per_second is None


def test_a_measurement_of_ours_replaces_the_estimate_and_the_latest_one_counts():
    measurements = [a_measurement(900), a_measurement(1100, at=NOON + timedelta(days=1)), a_measurement(5, degree=4)]

    speed = speed_of(instance_of("ml.g5.xlarge"), 1, SEVEN_BILLION, measurements)

    assert (speed.seconds_per_token, speed.basis) == (1 / 1100, Basis.MEASURED)
    assert "llama on 2026-11-29" in speed.source


def half_of_the_estimate(instance_type="ml.g5.xlarge"):
    estimate = estimated_speed(instance_of(instance_type), 1, SEVEN_BILLION)
    return a_measurement(0.5 / estimate.seconds_per_token, instance_type=instance_type)


def test_what_all_callers_get_together_is_scaled_by_what_one_was_measured_to_get():
    speed = speed_of(instance_of("ml.g5.xlarge"), 1, SEVEN_BILLION, [half_of_the_estimate()])

    assert speed.tokens_per_second == pytest.approx(1600)


@pytest.mark.parametrize("instance_type", ["ml.g5.2xlarge", "ml.g6.xlarge", "ml.g4dn.xlarge"])
def test_what_was_not_measured_is_scaled_likewise_and_stays_in_its_place(instance_type):
    other = instance_of(instance_type)
    estimate = estimated_speed(other, 1, SEVEN_BILLION)

    speed = speed_of(other, 1, SEVEN_BILLION, [half_of_the_estimate()])

    assert speed.tokens_per_second == pytest.approx(estimate.tokens_per_second / 2, abs=0.1)
    assert speed.seconds_per_token == pytest.approx(estimate.seconds_per_token * 2)
    assert speed.basis is Basis.ESTIMATED
    assert "llama" in speed.source
    assert "ml.g5.xlarge" in speed.source


def test_a_measurement_of_the_same_gpu_says_more_than_a_later_one_of_another():
    other = a_measurement(1, instance_type="ml.g4dn.xlarge", at=NOON + timedelta(days=1))

    speed = speed_of(instance_of("ml.g5.2xlarge"), 1, SEVEN_BILLION, [half_of_the_estimate(), other])

    assert speed.tokens_per_second == pytest.approx(1600)


def test_without_a_measurement_or_with_one_of_what_is_not_known_the_estimate_stays():
    instance = instance_of("ml.g5.xlarge")
    estimate = estimated_speed(instance, 1, SEVEN_BILLION)

    assert speed_of(instance, 1, SEVEN_BILLION) == estimate
    assert speed_of(instance, 1, SEVEN_BILLION, [a_measurement(9, instance_type="ml.x9.large")]) == estimate


def test_a_lone_caller_waits_less_where_memory_is_faster_and_shared():
    one, four = instance_of("ml.g5.xlarge"), instance_of("ml.g5.12xlarge")

    assert seconds_per_token(four, 4, SEVEN_BILLION) < seconds_per_token(one, 1, SEVEN_BILLION)
    assert usd_per_million_tokens(3.6, 1000) == pytest.approx(1.0)
