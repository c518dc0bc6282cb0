"""The client's views and the API's contracts are written twice, so that neither imports the other; they must agree."""

from typing import NotRequired, get_args, get_origin, get_type_hints

import pytest
from pilotlight import contracts
from pilotlight.domain import (
    containers,
    deployment,
    endpoint,
    hosting,
    invocation,
    invocation_phase,
    keep_warm,
    preflight,
    proposals,
    spending,
    values,
    webhook,
)
from pilotlight.domain.staging_progress import FileProgress, StagingProgress
from pilotlight_client import endpoint_rendering, endpoint_views, upload_views, views
from pilotlight_client.commands import hosting as hosting_options

PAIRS = [
    (views.DeploymentView, contracts.DeploymentView),
    (views.WarmthView, contracts.WarmthView),
    (views.Progress, StagingProgress),
    (views.FileProgress, FileProgress),
    (views.NextStep, contracts.NextStep),
    (views.SpendView, contracts.SpendView),
    (views.SpendCeiling, spending.SpendCeiling),
    (views.KillSwitchView, contracts.KillSwitchView),
    (views.NextWindow, contracts.NextWindow),
    (views.InvocationView, contracts.InvocationView),
    (upload_views.UploadPlan, contracts.UploadPlanView),
    (upload_views.FilePlan, contracts.FilePlanView),
    (upload_views.PartView, contracts.PartView),
    (upload_views.Addresses, contracts.AddressesView),
    (upload_views.PartAddress, contracts.PartAddress),
    (upload_views.StoredFile, contracts.StoredFileView),
    (views.UploadView, contracts.UploadView),
    (views.UploadPage, contracts.UploadList),
    (views.ArtifactView, contracts.ArtifactView),
    (views.ArtifactPage, contracts.ArtifactList),
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
    (endpoint_views.Instance, hosting.InstanceSettings),
    (endpoint_views.Scaling, hosting.ScalingSettings),
    (endpoint_views.Container, containers.ContainerSettings),
    (endpoint_views.EndpointView, contracts.EndpointView),
    (endpoint_views.EndpointFailureView, endpoint.EndpointFailure),
    (endpoint_views.UpdateView, contracts.UpdateView),
    (endpoint_views.RevisionView, contracts.RevisionView),
    (endpoint_views.SettledScaling, hosting.Scaling),
    (endpoint_views.AlternativeView, proposals.Alternative),
    (endpoint_views.ProposalView, proposals.Proposal),
    (endpoint_views.InputView, contracts.InputView),
    (endpoint_views.InputUpload, contracts.InputUpload),
    (endpoint_views.Estimate, invocation_phase.Estimate),
    (endpoint_views.WebhookView, webhook.Webhook),
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


def test_every_phase_and_every_state_of_a_revision_is_known():
    told = get_type_hints(endpoint_views.RevisionView)["status"]

    assert set(get_args(views.Phase)) == set(invocation_phase.Phase) == set(endpoint_rendering.PHASES)
    assert set(get_args(told)) == set(endpoint.RevisionStatus)


def test_a_request_says_the_sections_that_the_api_takes():
    assert set(get_type_hints(endpoint_views.Sections)) == set(contracts.requests.HOSTING_SECTIONS)
    assert set(get_type_hints(endpoint_views.Hosting)) == set(hosting.Hosting.model_fields)


def test_the_command_knows_the_same_choices():
    assert {choice.value for choice in hosting_options.Backend} == set(values.Backend)
    assert {choice.value for choice in hosting_options.OptimizeFor} == set(hosting.OptimizeFor)
    assert {choice.value for choice in hosting_options.ScaleIn} == set(hosting.ScaleIn)
    assert {choice.value for choice in hosting_options.Strategy} == set(endpoint.Strategy)
