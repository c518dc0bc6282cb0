"""Bedrock's custom model import: jobs, imported models, quotas."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from pilotlight.adapters.aws_errors import code_of, message_of, translate, translated
from pilotlight.domain.bedrock_support import MODEL_QUOTA_CODE
from pilotlight.domain.errors import Conflict, InvalidInput, QuotaExceeded, Unavailable
from pilotlight.domain.place import Place
from pilotlight.domain.preflight import Holder
from pilotlight.ports import ImportedModelState, ImportJobState

MODEL_QUOTA_DEFAULT = 3  # Source: Amazon Bedrock quotas, imported models per account and region
NOT_FOUND = "ResourceNotFoundException"
QUOTA_ERRORS = frozenset({"ServiceQuotaExceededException", "TooManyRequestsException"})


class BedrockImports:
    """Implements `ports.ModelImports`."""

    def __init__(self, bedrock: Any, service_quotas: Any, place: Place) -> None:
        self._bedrock = bedrock
        self._service_quotas = service_quotas
        self._place = place

    def start(
        self, *, job_name: str, model_name: str, role_arn: str, s3_uri: str, token: str, tags: dict[str, str]
    ) -> str:
        """Start a job and return its ARN.

        A repeated token gives the old job's ARN without an error, so that a repeat is safe.
        Raises: QuotaExceeded, Conflict, InvalidInput, AccessDenied, Throttled, Unavailable.
        """
        listed = [{"key": key, "value": value} for key, value in sorted(tags.items())]
        with _import_errors(f"starting import job {job_name}"):
            job = self._bedrock.create_model_import_job(
                jobName=job_name,
                importedModelName=model_name,
                roleArn=role_arn,
                modelDataSource={"s3DataSource": {"s3Uri": s3_uri}},
                clientRequestToken=token,
                jobTags=listed,
                importedModelTags=listed,
                **_placed(self._place),
            )
        return str(job["jobArn"])

    def job(self, identifier: str) -> ImportJobState | None:
        """Return a job by name or ARN, or None."""
        with translated(f"reading import job {identifier}"):
            try:
                job = self._bedrock.get_model_import_job(jobIdentifier=identifier)
            except ClientError as exc:
                if code_of(exc) == NOT_FOUND:
                    return None
                raise
        return ImportJobState(
            arn=job["jobArn"],
            name=job["jobName"],
            status=job["status"],
            model_name=job.get("importedModelName"),
            model_arn=job.get("importedModelArn"),
            failure=job.get("failureMessage"),
        )

    def running_jobs(self) -> list[ImportJobState]:
        """Return the jobs that hold the region's slots."""
        with translated("listing import jobs"):
            jobs = self._all("list_model_import_jobs", "modelImportJobSummaries", statusEquals="InProgress")
            return [ImportJobState(arn=job["jobArn"], name=job["jobName"], status=job["status"]) for job in jobs]

    def model(self, identifier: str) -> ImportedModelState | None:
        """Return an imported model by name or ARN with its tags, or None."""
        with translated(f"reading imported model {identifier}"):
            try:
                model = self._bedrock.get_imported_model(modelIdentifier=identifier)
                tags = self._bedrock.list_tags_for_resource(resourceARN=model["modelArn"])["tags"]
            except ClientError as exc:
                if code_of(exc) == NOT_FOUND:
                    return None
                raise
        return ImportedModelState(
            arn=model["modelArn"],
            name=model["modelName"],
            units=model.get("customModelUnits", {}).get("customModelUnitsPerModelCopy"),
            tags={tag["key"]: tag["value"] for tag in tags},
        )

    def holders(self) -> list[Holder]:
        """Return every imported model of the account and region."""
        with translated("listing imported models"):
            return [
                Holder(name=model["modelName"], arn=model["modelArn"], created_at=model.get("creationTime"))
                for model in self._all("list_imported_models", "modelSummaries")
            ]

    def delete_model(self, arn: str) -> None:
        """Delete an imported model; one already gone is a success."""
        with translated(f"deleting imported model {arn}"):
            try:
                self._bedrock.delete_imported_model(modelIdentifier=arn)
            except ClientError as exc:
                if code_of(exc) != NOT_FOUND:
                    raise

    def model_quota(self) -> int:
        """Return how many imported models the account may have in the region; the default where it is not told."""
        with translated("reading the quota of imported models"):
            try:
                quota = self._service_quotas.get_service_quota(ServiceCode="bedrock", QuotaCode=MODEL_QUOTA_CODE)
            except ClientError as exc:
                if code_of(exc) == "NoSuchResourceException":
                    return MODEL_QUOTA_DEFAULT
                raise
        return int(quota["Quota"]["Value"])

    def _all(self, operation: str, items: str, **query: Any) -> Iterator[dict[str, Any]]:
        for page in self._bedrock.get_paginator(operation).paginate(**query):
            yield from page.get(items, [])


def _placed(place: Place) -> dict[str, Any]:
    """Return the key and the network as parameters of a job; a service refuses empty ones."""
    parameters: dict[str, Any] = {}
    if place.kms_key_arn:
        parameters["importedModelKmsKeyId"] = place.kms_key_arn
    if place.subnet_ids:
        parameters["vpcConfig"] = {"subnetIds": place.subnet_ids, "securityGroupIds": place.security_group_ids}
    return parameters


@contextmanager
def _import_errors(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code, told = code_of(exc), f"{what}: {message_of(exc)}"
        if code in QUOTA_ERRORS:
            raise QuotaExceeded(told, aws_code=code) from exc
        if code == "ConflictException":
            raise Conflict(told, aws_code=code) from exc
        if code == "ValidationException" and "role ARN is invalid" in message_of(exc):
            # a role made a moment ago is not known everywhere yet: worth another try
            raise Unavailable(f"{told} A fresh role takes some seconds to be known.", aws_code=code) from exc
        if code == "ValidationException":
            raise InvalidInput(told, aws_code=code, field="import", rule="Bedrock's own") from exc
        raise translate(exc, what) from exc
    except BotoCoreError as exc:
        raise Unavailable(f"{what}: {exc}") from exc
