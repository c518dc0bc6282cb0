"""The worst cases that operators read are those of the code."""

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
