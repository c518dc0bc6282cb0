"""Hang the simulation into moto: an action is a method of the service's Response class, named as the action."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.cloudwatch.models import Dimension
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores
from moto.sagemaker.responses import SageMakerResponse
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

from local.authorization import sagemaker_requests
from local.sagemaker import capacities, components, configs, endpoints, hub, invoking, models, quotas, tags, updates
from local.sagemaker.errors import SageMakerError, throttled
from local.sagemaker.metrics import HostingMetrics
from local.sagemaker.places import Place
from local.sagemaker.simulation import Clock, Simulation, begin, simulation
from local.sagemaker.validation import validate
from local.seams import replace

Act = Callable[[Simulation, Place, dict[str, Any]], dict[str, Any] | None]

_ACTIONS: dict[str, Act] = {
    "CreateModel": models.create,
    "DescribeModel": models.describe,
    "DeleteModel": models.delete,
    "ListModels": models.listing,
    "CreateEndpointConfig": configs.create,
    "DescribeEndpointConfig": configs.describe,
    "DeleteEndpointConfig": configs.delete,
    "ListEndpointConfigs": configs.listing,
    "CreateEndpoint": endpoints.create,
    "DescribeEndpoint": endpoints.describe,
    "DeleteEndpoint": endpoints.delete,
    "ListEndpoints": endpoints.listing,
    "UpdateEndpoint": updates.update,
    "UpdateEndpointWeightsAndCapacities": capacities.update,
    "CreateInferenceComponent": components.create,
    "DescribeInferenceComponent": components.describe,
    "UpdateInferenceComponent": components.update,
    "UpdateInferenceComponentRuntimeConfig": components.update_runtime,
    "DeleteInferenceComponent": components.delete,
    "ListInferenceComponents": components.listing,
    "DescribeHubContent": hub.describe_content,
}
_TAGGING: dict[str, Act] = {"AddTags": tags.add, "DeleteTags": tags.delete, "ListTags": tags.listing}
# Taken before anything is replaced, so that what is not ours goes on to moto, however often we install.
_MOTO = {name: getattr(SageMakerResponse, camelcase_to_underscores(name)) for name in _TAGGING}


def install(clock: Clock) -> None:
    """Add the simulated service to moto, empty, going by this clock."""
    begin(clock)
    sagemaker_requests.install(lambda arn: tags.of(simulation(), arn))
    replace(Dimension, "__lt__", lambda _: _comes_before)
    HostingMetrics.series = staticmethod(lambda: simulation().state.series)
    for name, act in _ACTIONS.items():
        setattr(SageMakerResponse, camelcase_to_underscores(name), _action(name, act))
    for name, act in _TAGGING.items():
        setattr(SageMakerResponse, camelcase_to_underscores(name), _tagging(name, act))
    if not hasattr(ServiceQuotasResponse, "list_service_quotas"):
        ServiceQuotasResponse.list_service_quotas = _no_quotas
    for name in ("get_service_quota", "list_service_quotas", "list_aws_default_service_quotas"):
        replace(ServiceQuotasResponse, name, _quoted)
    SageMakerRuntimeResponse.use_raw_body = True  # moto would read every body as text
    SageMakerRuntimeResponse.invoke_endpoint = _invoke
    SageMakerRuntimeResponse.invoke_endpoint_async = _invoke_async


def _comes_before(one: Dimension, other: Dimension) -> bool:
    """Order dimensions by name and value: moto compares a value with a name, and so finds only some metrics of two."""
    return bool((one.name, one.value) < (other.name, other.value))


def _action(operation: str, act: Act) -> Callable[[Any], Any]:
    """Give the method that carries out an operation, under the lock and at the clock's moment."""

    def action(self: Any) -> Any:
        service = simulation()
        try:
            with service.lock:
                service.settle()
                if service.knobs.throttle_calls > 0:
                    service.knobs.throttle_calls -= 1
                    raise throttled()
                told = act(service, _place(self), _request(self, operation))
        except SageMakerError as exc:
            return exc.answer()
        return EmptyResult() if told is None else ActionResult(told)

    return action


def _tagging(operation: str, act: Act) -> Callable[[Any], Any]:
    ours = _action(operation, act)

    def action(self: Any) -> Any:
        return ours(self) if tags.owns(json.loads(self.body)["ResourceArn"]) else _MOTO[operation](self)

    return action


def _invoke(self: Any) -> Any:
    try:
        answer = invoking.invoke(simulation(), _place(self), _parsed(self), _body(self))
    except SageMakerError as exc:
        return exc.answer()
    headers = {"Content-Type": answer.content_type, "x-Amzn-Invoked-Production-Variant": answer.variant}
    return answer.body, headers


def _invoke_async(self: Any) -> Any:
    try:
        request = _parsed(self)
        validate("sagemaker-runtime", "InvokeEndpointAsync", {**request, "Body": b""})
        told = invoking.invoke_async(simulation(), _place(self), request, _body(self))
    except SageMakerError as exc:
        return exc.answer()
    headers = {f"X-Amzn-SageMaker-{name}": told[name] for name in ("OutputLocation", "FailureLocation") if name in told}
    headers |= {"status": "202", "Content-Type": "application/json"}
    return json.dumps({"InferenceId": told["InferenceId"]}), headers


def _quoted(original: Any) -> Callable[[Any], Any]:
    """Give what answers for the quotas of hosting, and leaves those of other services to the original."""

    def action(self: Any) -> Any:
        request = json.loads(self.body)
        if request["ServiceCode"] != quotas.SERVICE:
            return original(self)
        held = quotas.applied(_place(self), simulation().settings)
        if "QuotaCode" not in request:
            return json.dumps(quotas.page(held, request))
        for quota in held:
            if quota["QuotaCode"] == request["QuotaCode"]:
                return json.dumps({"Quota": quota})
        raise NoSuchResource

    return action


def _no_quotas(self: Any) -> Any:  # noqa: ARG001 - moto lists no quotas
    raise NoSuchResource


def _place(self: Any) -> Place:
    return Place(self.current_account, self.region)


def _request(self: Any, operation: str) -> dict[str, Any]:
    """Give the request's parameters, checked against the service's model."""
    request = _parsed(self)
    validate("sagemaker", operation, request)
    return request


def _parsed(self: Any) -> dict[str, Any]:
    self.parse_parameters(self.normalized_request)
    return dict(self.params)


def _body(self: Any) -> bytes:
    body = self.raw_body
    return body if isinstance(body, bytes) else str(body or "").encode()
