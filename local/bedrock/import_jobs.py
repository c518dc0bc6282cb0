"""Import jobs: made one at a time, decided by the clock and by what really lies in S3."""

from __future__ import annotations

from typing import Any

from local.bedrock.errors import invalid, not_found, over_quota, service_error
from local.bedrock.inspection import Inspection, inspect
from local.bedrock.keys import check_key
from local.bedrock.listing import at, page, tags_from
from local.bedrock.roles import check_reading, is_assumable
from local.bedrock.simulation import Job, Model, Place, Simulation
from local.bedrock.staged import UnimportableError, staged_at


def create(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """Start a job, or give the old one where the token was used before, whatever became of it since."""
    with simulation.lock:
        settle(simulation)
        if earlier := _with_token(simulation, place, request.get("clientRequestToken")):
            return {"jobArn": earlier.arn}
        _check_role(simulation, place, request["roleArn"])
        check_key(place, request.get("importedModelKmsKeyId"))
        _check_names(simulation, place, request)
        _check_quotas(simulation, place)
        job = _begin(simulation, place, request)
        simulation.jobs.append(job)
        return {"jobArn": job.arn}


def get(simulation: Simulation, place: Place, identifier: str) -> dict[str, Any]:
    """Describe the job of that ARN or name."""
    with simulation.lock:
        settle(simulation)
        job = find(simulation, place, identifier)
        described = {**_summary(job), "roleArn": job.request["roleArn"], "failureMessage": _failure(job)}
        described |= {"modelDataSource": job.request["modelDataSource"], "vpcConfig": job.request.get("vpcConfig")}
        described |= {"importedModelKmsKeyArn": job.request.get("importedModelKmsKeyId")}
        return {name: value for name, value in described.items() if value is not None}


def find(simulation: Simulation, place: Place, identifier: str) -> Job:
    """Give the job of that ARN or name."""
    for job in simulation.jobs:
        if job.place == place and identifier in (job.arn, job.name):
            return job
    raise not_found("Could not find the model import job. Check the job identifier and try again.")


def listing(simulation: Simulation, place: Place, request: dict[str, Any]) -> dict[str, Any]:
    """List jobs, filtered by status and name, a page at a time."""
    with simulation.lock:
        settle(simulation)
        jobs = [
            job
            for job in simulation.jobs
            if job.place == place
            and request.get("statusEquals") in (None, job.status)
            and request.get("nameContains", "") in job.name
        ]
        chosen, token = page(jobs, request)
        return {"modelImportJobSummaries": [_summary(job) for job in chosen], "nextToken": token}


def settle(simulation: Simulation) -> None:
    """Bring every job to where the clock says that it is by now."""
    now = simulation.clock.timestamp()
    for job in simulation.jobs:
        if job.status == "InProgress" and not job.stuck:
            _advance(simulation, job, now)


def _advance(simulation: Simulation, job: Job, now: float) -> None:
    told = job.created + min(simulation.settings.verdict_seconds, job.seconds)
    if isinstance(job.verdict, str):
        if now >= told:
            job.status, job.ended = "Failed", told
    elif now >= job.created + job.seconds:
        job.status, job.ended = "Completed", job.created + job.seconds
        _add_model(simulation, job, job.verdict, job.ended)


def _add_model(simulation: Simulation, job: Job, inspection: Inspection, created: float) -> None:
    arn = job.model_arn = job.place.arn("imported-model")
    tags = tags_from(job.request.get("importedModelTags"))
    simulation.models[arn] = Model(job.place, arn, job.model_name, created, job, inspection, tags)


def _with_token(simulation: Simulation, place: Place, token: str | None) -> Job | None:
    if token is None:
        return None
    jobs = (job for job in simulation.jobs if job.place == place)
    return next((job for job in jobs if job.request.get("clientRequestToken") == token), None)


def _check_role(simulation: Simulation, place: Place, arn: str) -> None:
    if simulation.knobs.refuse_roles > 0:
        simulation.knobs.refuse_roles -= 1
        raise invalid("The provided role ARN is invalid.")
    if not is_assumable(arn, place):
        raise invalid("The provided role ARN is invalid.")


def _check_names(simulation: Simulation, place: Place, request: dict[str, Any]) -> None:
    """Refuse a name in use. A job holds its name for good; a model holds it from its job's start to its end."""
    code = simulation.settings.name_in_use_error
    jobs = [job for job in simulation.jobs if job.place == place]
    if any(job.name == request["jobName"] for job in jobs):
        raise service_error(code, "The provided job name is currently in use.")
    names = {model.name for model in simulation.models.values() if model.place == place}
    names |= {job.model_name for job in jobs if job.status == "InProgress"}
    if request["importedModelName"] in names:
        raise service_error(code, "The provided imported model name is currently in use.")


def _check_quotas(simulation: Simulation, place: Place) -> None:
    settings = simulation.settings
    running = sum(job.place == place and job.status == "InProgress" for job in simulation.jobs)
    models = sum(model.place == place for model in simulation.models.values())
    if models >= settings.imported_models:
        raise over_quota(f"The account holds {models} imported models; the quota is {settings.imported_models}.")
    if running >= settings.import_jobs:
        raise over_quota(f"{running} model import jobs are in progress; the quota is {settings.import_jobs}.")


def _begin(simulation: Simulation, place: Place, request: dict[str, Any]) -> Job:
    knobs = simulation.knobs
    verdict, size_bytes = _look(place, request["modelDataSource"]["s3DataSource"]["s3Uri"], request["roleArn"])
    job = Job(
        place=place,
        arn=place.arn("model-import-job"),
        created=simulation.clock.timestamp(),
        seconds=simulation.settings.import_seconds(size_bytes),
        request=request,
        tags=tags_from(request.get("jobTags")),
        verdict=verdict if knobs.fail_next_import is None else knobs.fail_next_import,
        stuck=knobs.stick_next_import,
    )
    knobs.fail_next_import, knobs.stick_next_import = None, False
    return job


def _look(place: Place, s3_uri: str, role_arn: str) -> tuple[Inspection | str, int]:
    """Give what the checkpoint is, or why it cannot be imported, and its bytes.

    The look is taken when the job begins and told later: so it does not matter when somebody asks, nor whether
    the checkpoint is still there by then.
    """
    try:
        staged = staged_at(place.account, s3_uri)
        check_reading(role_arn, staged)
    except UnimportableError as exc:
        return str(exc), 0
    try:
        return inspect(staged), staged.size_bytes
    except UnimportableError as exc:
        return str(exc), staged.size_bytes


def _failure(job: Job) -> str | None:
    return job.verdict if job.status == "Failed" and isinstance(job.verdict, str) else None


def _summary(job: Job) -> dict[str, Any]:
    summary = {
        "jobArn": job.arn,
        "jobName": job.name,
        "status": job.status,
        "creationTime": at(job.created),
        "lastModifiedTime": at(job.ended or job.created),
        "endTime": at(job.ended) if job.ended else None,
        "importedModelArn": job.model_arn,
        "importedModelName": job.model_name,
    }
    return {name: value for name, value in summary.items() if value is not None}
