"""Hang the simulation into moto: an action is a method of the service's Response class, named as the action."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.bedrock.responses import BedrockResponse
from moto.bedrockruntime.responses import BedrockRuntimeResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

from local.authorization.encryption import model_keys_are_kept_by
from local.authorization.requests import tags_are_kept_by
from local.bedrock import import_jobs, imported_models, quotas, runtime
from local.bedrock.errors import invalid
from local.bedrock.simulation import Clock, Place, Simulation, begin, simulation
from local.bedrock.stream import events
from local.bedrock.validation import validate

CORRELATION = "X-Pilotlight-Correlation-Id"

# Taken before anything is replaced, so that what is not ours goes on to moto, however often we install.
_MOTO_TAG = BedrockResponse.tag_resource
_MOTO_UNTAG = BedrockResponse.untag_resource
_MOTO_LIST_TAGS = BedrockResponse.list_tags_for_resource
_MOTO_INVOKE = BedrockRuntimeResponse.invoke_model
_MOTO_GET_QUOTA = ServiceQuotasResponse.get_service_quota
_MOTO_DEFAULT_QUOTAS = ServiceQuotasResponse.list_aws_default_service_quotas

Listing = Callable[[Simulation, Place, dict[str, Any]], dict[str, Any]]


def install(clock: Clock) -> None:
    """Add the simulated service to moto, empty, going by this clock."""
    begin(clock)
    tags_are_kept_by(_tags_of)
    model_keys_are_kept_by(_key_of)
    BedrockResponse.create_model_import_job = _whole("CreateModelImportJob", import_jobs.create)
    BedrockResponse.get_model_import_job = _one("GetModelImportJob", "jobIdentifier", import_jobs.get)
    BedrockResponse.list_model_import_jobs = _whole("ListModelImportJobs", import_jobs.listing)
    BedrockResponse.list_imported_models = _whole("ListImportedModels", imported_models.listing)
    BedrockResponse.get_imported_model = _one("GetImportedModel", "modelIdentifier", imported_models.get)
    BedrockResponse.delete_imported_model = _one("DeleteImportedModel", "modelIdentifier", imported_models.delete)
    BedrockResponse.tag_resource = _tag
    BedrockResponse.untag_resource = _untag
    BedrockResponse.list_tags_for_resource = _list_tags
    BedrockRuntimeResponse.invoke_model = _invoke
    BedrockRuntimeResponse.invoke_model_with_response_stream = _invoke_with_stream
    ServiceQuotasResponse.get_service_quota = _get_quota
    ServiceQuotasResponse.list_service_quotas = _list_quotas
    ServiceQuotasResponse.list_aws_default_service_quotas = _default_quotas


def _tags_of(resource: str) -> dict[str, str]:
    """Give the tags of an imported model or of a job, by which policies may decide."""
    held = simulation()
    found = held.models.get(resource) or next((job for job in held.jobs if resource in (job.arn, job.name)), None)
    return dict(found.tags) if found else {}


def _key_of(model_arn: str) -> str | None:
    """Give the KMS key that an imported model is encrypted with."""
    model = simulation().models.get(model_arn)
    return model.job.request.get("importedModelKmsKeyId") if model else None


def _whole(operation: str, act: Listing) -> Callable[[Any], Any]:
    def action(self: Any) -> Any:
        return ActionResult(act(simulation(), _place(self), _request(self, operation)))

    return action


def _one(operation: str, key: str, act: Callable[[Simulation, Place, str], Any]) -> Callable[[Any], Any]:
    def action(self: Any) -> Any:
        result = act(simulation(), _place(self), _request(self, operation)[key])
        return EmptyResult() if result is None else ActionResult(result)

    return action


def _tag(self: Any) -> Any:
    arn = json.loads(self.body)["resourceARN"]
    if not imported_models.owns(arn):
        return _MOTO_TAG(self)
    request = _request(self, "TagResource")
    imported_models.tag(simulation(), _place(self), arn, request["tags"])
    return EmptyResult()


def _untag(self: Any) -> Any:
    arn = json.loads(self.body)["resourceARN"]
    if not imported_models.owns(arn):
        return _MOTO_UNTAG(self)
    keys = _request(self, "UntagResource")["tagKeys"]
    imported_models.untag(simulation(), _place(self), arn, keys)
    return EmptyResult()


def _list_tags(self: Any) -> Any:
    arn = json.loads(self.body)["resourceARN"]
    if not imported_models.owns(arn):
        return _MOTO_LIST_TAGS(self)
    held = imported_models.tags(simulation(), _place(self), arn)
    return ActionResult({"tags": [{"key": key, "value": value} for key, value in held.items()]})


def _invoke(self: Any) -> Any:
    model_id = self.params["modelId"]
    if ":imported-model/" not in model_id:
        if "." not in model_id:  # moto would answer anything; the service knows an imported model by its ARN only
            raise invalid("The provided model identifier is invalid.")
        return _MOTO_INVOKE(self)
    answer = _answered(self)
    self.response_headers |= {
        "X-Amzn-Bedrock-Input-Token-Count": str(answer.generation.prompt_tokens),
        "X-Amzn-Bedrock-Output-Token-Count": str(answer.generation.tokens),
        "X-Amzn-Bedrock-Invocation-Latency": str(answer.latency_ms),
    }
    body = json.dumps(answer.body, ensure_ascii=False)
    return ActionResult({"body": body, "contentType": "application/json"})


def _invoke_with_stream(self: Any) -> Any:
    return ActionResult({"body": events(_answered(self)), "contentType": "application/json"})


def _answered(self: Any) -> runtime.Answer:
    body = self.raw_body if isinstance(self.raw_body, bytes) else self.raw_body.encode()
    return runtime.invoke(simulation(), _place(self), self.params["modelId"], body, self.headers.get(CORRELATION))


def _get_quota(self: Any) -> Any:
    request = json.loads(self.body)
    if request["ServiceCode"] != quotas.SERVICE:
        return _MOTO_GET_QUOTA(self)
    for quota in quotas.applied(_place(self), simulation().settings):
        if quota["QuotaCode"] == request["QuotaCode"]:
            return json.dumps({"Quota": quota})
    raise NoSuchResource


def _list_quotas(self: Any) -> Any:
    if json.loads(self.body)["ServiceCode"] != quotas.SERVICE:
        raise NoSuchResource
    return json.dumps({"Quotas": quotas.applied(_place(self), simulation().settings)})


def _default_quotas(self: Any) -> Any:
    if json.loads(self.body)["ServiceCode"] != quotas.SERVICE:
        return _MOTO_DEFAULT_QUOTAS(self)
    return _list_quotas(self)


def _place(self: Any) -> Place:
    return Place(self.current_account, self.region)


def _request(self: Any, operation: str) -> dict[str, Any]:
    """Give the request's parameters from path, query and body, checked against the service's model."""
    self.parse_parameters(self.normalized_request)
    request: dict[str, Any] = dict(self.params)
    validate(operation, request)
    return request
