"""Money is windows, begun by successful calls and billed whole: the examples of the published pages come out."""

from datetime import timedelta

import pytest
from pilotlight.domain.pricing import BillingWindow, Tariff, WindowOpener, rate_in, window_at
from pilotlight.domain.values import Basis, Money

from tests.factories import NOON, at


def ledger(*calls: str) -> BillingWindow | None:
    """Return the latest window after successful calls at these times of one day."""
    latest = None
    for call in calls:
        latest = window_at(at(f"2026-11-20T{call}"), latest, generation=1, opener=WindowOpener.INVOCATION)
    return latest


def llama(units: int = 8, **fields: object) -> Tariff:
    return Tariff(rate=rate_in("us-east-1"), units=units, **fields)


@pytest.mark.parametrize(
    ("calls", "with_idle", "without"),
    [
        ((), 0, 0),
        (("10:00",), 2, 1),
        (("10:00", "10:04:59"), 2, 1),
        (("10:00", "10:05"), 3, 2),
        (("10:00", "10:07"), 3, 2),
        (("10:00", "10:09:59"), 3, 2),
        (("10:00", "10:10"), 4, 2),
        (("10:00", "11:00"), 4, 2),
        (("10:00", "10:04", "10:08", "10:12"), 4, 3),
    ],
)
def test_windows_are_counted_as_the_pages_count_them(calls, with_idle, without):
    latest = ledger(*calls)

    one = llama().window.usd
    assert llama(idle_window_is_billed=True).windows(latest).usd == pytest.approx(with_idle * one)
    assert llama(idle_window_is_billed=False).windows(latest).usd == pytest.approx(without * one)


def test_a_call_within_ten_minutes_goes_on_with_the_window_after_the_last_one():
    latest = ledger("10:00", "10:07")

    assert latest is not None
    assert (latest.starts_at, latest.ends_at) == (at("2026-11-20T10:05"), at("2026-11-20T10:10"))
    assert (latest.ordinal, latest.chains) == (2, 1)


def test_a_call_after_an_idle_window_begins_a_chain_of_its_own():
    latest = ledger("10:00", "10:12")

    assert latest is not None
    assert (latest.starts_at, latest.ordinal, latest.chains) == (at("2026-11-20T10:12"), 2, 2)


def test_a_call_that_is_reported_late_does_not_move_the_last_answer_back():
    latest = ledger("10:00", "10:03", "10:02")

    assert latest is not None
    assert latest.last_answer_at == at("2026-11-20T10:03")


@pytest.mark.parametrize(("units", "window", "hour", "month"), [(8, 2.287, 27.45, 15.60), (2, 0.572, 6.86, 3.90)])
def test_one_copy_in_us_east_1_costs_what_the_pages_say(units, window, hour, month):
    tariff = llama(units)

    assert tariff.window.usd == pytest.approx(window, abs=0.0005)
    assert tariff.hour.usd == pytest.approx(hour, abs=0.005)
    assert tariff.storage(timedelta(days=30)).usd == pytest.approx(month)


def test_copies_multiply_what_runs_and_not_what_is_stored():
    assert llama(copies=3).window.usd == pytest.approx(3 * llama().window.usd)
    assert llama(copies=3).storage(timedelta(days=30)) == llama().storage(timedelta(days=30))


def test_a_model_that_was_never_stored_costs_no_storage():
    assert llama().storage(timedelta(seconds=-1)).usd == 0


def test_an_unknown_region_is_priced_as_the_dearest_one_and_says_that_it_is_not_confirmed():
    unknown = rate_in("mars-north-1")

    assert unknown.usd_per_unit_minute == rate_in("eu-central-1").usd_per_unit_minute > 0.07
    assert not unknown.confirmed
    assert rate_in("us-east-1").confirmed
    assert not rate_in("us-east-2").confirmed


def test_a_sum_is_only_as_sure_as_its_parts():
    billed, estimated = Money(usd=1, basis=Basis.BILLED), Money(usd=2)

    assert (billed + estimated).basis is Basis.ESTIMATED
    assert (billed + billed) == Money(usd=2, basis=Basis.BILLED)


def test_a_window_is_of_the_generation_whose_call_opened_it():
    window = window_at(NOON, None, generation=3, opener=WindowOpener.PROBE)

    assert (window.generation, window.opened_by) == (3, WindowOpener.PROBE)
