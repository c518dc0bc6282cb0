"""The worst cases that operators read are those of the code."""

from tools import worst_case
from tools.cloudformation import ROOT


def test_the_page_has_the_figures_of_the_code():
    assert worst_case.table() in (ROOT / "docs/operations.md").read_text()


def test_no_failure_of_one_deployment_costs_more_than_its_ceiling_and_a_window_for_each_copy():
    worst = max(usd for case in worst_case.cases() for usd in case.usd.values())

    assert worst <= worst_case.COPIES * (500 + 2.2872)
