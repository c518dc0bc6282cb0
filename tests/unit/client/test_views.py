"""The client's views and the API's contracts are written twice, so that neither imports the other; they must agree."""

from typing import NotRequired, get_args, get_origin, get_type_hints

import pytest
from pilotlight import contracts
from pilotlight.domain import deployment, invocation, keep_warm, preflight, spending, values
from pilotlight_client import views

PAIRS = [
    (views.DeploymentView, contracts.DeploymentView),
    (views.WarmthView, contracts.WarmthView),
    (views.Progress, contracts.Progress),
    (views.NextStep, contracts.NextStep),
    (views.SpendView, contracts.SpendView),
    (views.SpendCeiling, spending.SpendCeiling),
    (views.KillSwitchView, contracts.KillSwitchView),
    (views.NextWindow, contracts.NextWindow),
    (views.InvocationView, contracts.InvocationView),
    (views.UploadView, contracts.UploadView),
    (views.UploadPage, contracts.UploadList),
    (views.PreflightView, contracts.PreflightView),
    (views.HealthView, contracts.HealthView),
    (views.EventView, deployment.Event),
    (views.FailureView, deployment.Failure),
    (views.Money, values.Money),
    (views.KeepWarm, keep_warm.KeepWarm),
    (views.Window, keep_warm.Window),
    (views.Output, invocation.Output),
    (views.Usage, invocation.Usage),
    (views.Parameters, invocation.Parameters),
    (views.Message, invocation.ChatMessage),
    (views.Verdict, preflight.Verdict),
    (views.Check, preflight.Check),
]


@pytest.mark.parametrize(("view", "model"), PAIRS, ids=lambda each: each.__name__)
def test_a_view_has_the_fields_of_its_contract(view, model):
    assert set(get_type_hints(view)) == set(model.model_fields)


@pytest.mark.parametrize(("view", "model"), PAIRS, ids=lambda each: each.__name__)
def test_a_field_that_may_be_absent_is_said_to_be(view, model):
    may_be_absent = {name for name, field in model.model_fields.items() if field.default is None}

    assert may_be_absent.isdisjoint(view.__required_keys__)


def test_every_status_is_known():
    hint = get_type_hints(views.DeploymentView, include_extras=True)["status"]

    assert get_origin(hint) is not NotRequired
    assert set(get_args(hint)) == set(deployment.Status)
