"""The worst cases that operators read are those of the code."""

from pilotlight.domain.instance_rates import rate_of
from pilotlight.settings import Settings

from tools import worst_case
from tools.cloudformation import ROOT


def test_the_page_has_the_figures_of_the_code():
    assert worst_case.table() in (ROOT / "docs/operations.md").read_text()


def test_no_failure_of_one_deployment_costs_more_than_its_ceiling_and_a_window_for_each_copy():
    worst = max(usd for case in worst_case.cases() if not case.of_all for usd in case.usd.values())

    assert worst <= worst_case.COPIES * (500 + 2.2872)


def test_all_of_them_together_cost_no_more_in_a_month_than_the_units_that_may_be_warm():
    worst = max(usd for case in worst_case.cases() for usd in case.usd.values())
    a_unit = 0.05718 * 60 * 24 * 31

    assert round(worst, 2) == round(Settings().max_custom_model_units * a_unit, 2)
    page = (ROOT / "docs/operations.md").read_text()
    assert f"is ${a_unit:,.2f}." in page
    assert f"are ${8 * a_unit:,.0f} at most" in page


# ---- instances ------------------------------------------------------------------------------------------------


def test_the_page_has_the_figures_of_the_code_for_instances():
    assert worst_case.instance_table() in (ROOT / "docs/operations.md").read_text()


def test_what_is_looked_at_costs_no_more_than_its_ceiling():
    seen = [case for case in worst_case.instance_cases() if not (case.of_all or case.for_a_day)]

    assert max(usd for case in seen for usd in case.usd.values()) <= Settings().default_spend_ceiling_usd


def test_all_of_them_together_cost_no_more_than_the_instances_that_there_may_be():
    worst = max(usd for case in worst_case.instance_cases() for usd in case.usd.values())
    cheap, dearest = (rate_of(each, "us-east-1").usd_per_hour * 24 * 31 * 4 for each in worst_case.INSTANCES)

    assert worst == round(dearest, 6)
    page = (ROOT / "docs/operations.md").read_text()
    assert f"four of the dearest are ${dearest:,.0f} in a month" in page
    assert f"four ml.g5.xlarge ${cheap:,.0f}." in page


def test_the_page_has_the_prices_of_instances():
    page = (ROOT / "docs/operations.md").read_text()

    for name in ("ml.g5.xlarge", "ml.g5.12xlarge", "ml.g6e.12xlarge", "ml.p5.48xlarge"):
        hour = rate_of(name, "us-west-2").usd_per_hour
        row = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
        assert row.endswith(f"| ${hour:,.2f} | ${9 * hour:,.2f} | ${720 * hour:,.0f} |")
