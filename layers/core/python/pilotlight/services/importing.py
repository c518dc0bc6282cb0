"""Importing a sealed artifact into Bedrock: one job per region at a time, and a model found again after a crash."""

from datetime import datetime

from pilotlight.contracts import DeploymentTask, Wait
from pilotlight.domain import names
from pilotlight.domain.artifact import weights_prefix
from pilotlight.domain.bedrock_support import MODEL_QUOTA_CODE
from pilotlight.domain.deployment import Change, Deployment, EventKind, ImportedModel, Status, change
from pilotlight.domain.errors import (
    ConcurrentChange,
    Conflict,
    DeadlinePassed,
    Held,
    ImportFailed,
    NotOurs,
    QuotaExceeded,
)
from pilotlight.domain.preflight import Holder
from pilotlight.domain.spending import Purpose
from pilotlight.domain.values import Model, seconds
from pilotlight.ports import Clock, Deployments, ImportedModelState, ImportJobState, ModelImports
from pilotlight.services.holding import held_seconds
from pilotlight.services.records import amend
from pilotlight.services.spending import Spending

WAITS_FOR_SLOT = "waits for the region's import slot"


class ImportRules(Model):
    """Where weights lie, as whom Bedrock reads them, and how patient we are (seconds)."""

    stack: str
    bucket: str
    role_arn: str
    poll_seconds: int = 60
    deadline_seconds: int = 3 * 3600
    slot_poll_seconds: int = 60
    slot_deadline_seconds: int = 6 * 3600


class Importing:
    """Starts import jobs and follows them."""

    def __init__(
        self,
        deployments: Deployments,
        imports: ModelImports,
        spending: Spending,
        clock: Clock,
        rules: ImportRules,
    ) -> None:
        self._deployments = deployments
        self._imports = imports
        self._spending = spending
        self._clock = clock
        self._rules = rules

    def start(self, task: DeploymentTask) -> Wait:
        """Start the job, adopt what an earlier run made, or say how long to wait for the slot or the kill switch.

        Raises: QuotaExceeded, naming the holders; NotOurs when a stranger's model has our name; DeadlinePassed;
        LeaseEnded; SpendCeilingReached.
        """
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.STAGING, Status.IMPORTING)
        deployment = self._intend(deployment)
        if model := self._own_model(deployment):
            self._adopt(deployment, model)
            return Wait(done=True)
        if job := self._imports.job(self._job_name(deployment)):
            return self._record_job(deployment, job.arn)
        try:
            self._spending.require(deployment, Purpose.CREATE)
        except Held as why:
            self._note_once(deployment, f"waits: {why.message}", self._clock.now())
            return Wait(done=False, wait_seconds=held_seconds(deployment, self._clock.now()))
        self._require_quota()
        if holders := self._imports.running_jobs():
            return self._wait_for_slot(deployment, holders)
        return self._create(deployment)

    def check(self, task: DeploymentTask) -> Wait:
        """Say whether the job is done, and record the model when it is.

        Raises: ImportFailed with the backend's own words; DeadlinePassed.
        """
        now = self._clock.now()
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.IMPORTING)
        imported = deployment.imported
        if imported and imported.model_arn:
            return Wait(done=True)
        job = self._imports.job(self._job_name(deployment))
        match job and job.status:
            case "Completed":
                return self._finish(deployment, job)
            case "Failed":
                raise ImportFailed(
                    f"Bedrock gave up job {self._job_name(deployment)}: {(job and job.failure) or 'no reason given'}",
                    job_arn=job and job.arn,
                )
        waited = (now - imported.started_at).total_seconds() if imported else 0.0
        if waited > self._rules.deadline_seconds:
            raise DeadlinePassed(
                f"Import job {self._job_name(deployment)} was still under way after {waited:.0f} s; an import job "
                "cannot be stopped: retry later adopts its model, delete removes it.",
                job_arn=job and job.arn,
            )
        return Wait(done=False, wait_seconds=self._rules.poll_seconds)

    def _job_name(self, deployment: Deployment) -> str:
        return deployment.import_job_name(deployment.attempt)

    def _intend(self, deployment: Deployment) -> Deployment:
        """Write into the record what is about to be made, before it is."""
        job_name = self._job_name(deployment)
        if deployment.status is Status.IMPORTING and deployment.imported and deployment.imported.job_name == job_name:
            return deployment
        now = self._clock.now()
        intent = ImportedModel(
            job_name=job_name,
            model_name=names.imported_model_name(deployment.name, deployment.generation),
            started_at=now,
        )

        def intended(before: Deployment) -> Change:
            before.require(deployment.generation, Status.STAGING, Status.IMPORTING)
            moved = before.status is Status.STAGING
            after = before.moved_to(Status.IMPORTING, now) if moved else before
            after = after.changed(imported=_keeping_model(intent, before.imported))
            return change(before, after, EventKind.IMPORT, f"importing as {intent.model_name}", now, job=job_name)

        return amend(self._deployments, deployment.name, intended)

    def _own_model(self, deployment: Deployment) -> ImportedModelState | None:
        model = self._imports.model(names.imported_model_name(deployment.name, deployment.generation))
        if model is None:
            return None
        ours = self._tags(deployment)
        if any(model.tags.get(key) != value for key, value in ours.items()):
            raise NotOurs(
                f"An imported model named {model.name} exists without this deployment's tags, or with those of other "
                "weights; it is left alone. Rename or delete it, then retry.",
                model_arn=model.arn,
                wanted_tags=ours,
                found_tags=model.tags,
            )
        return model

    def _tags(self, deployment: Deployment) -> dict[str, str]:
        artifact_id = deployment.artifact_id or ""
        return names.content_tags(self._rules.stack, deployment.name, deployment.generation, artifact_id)

    def _require_quota(self) -> None:
        holders = self._imports.holders()
        quota = self._imports.model_quota()
        if len(holders) >= quota:
            raise _quota_exceeded(holders, quota)

    def _create(self, deployment: Deployment) -> Wait:
        """Ask Bedrock for the job, under a fence: a teardown that began meanwhile is not overtaken.

        The moment tells a later teardown until when this very call may still be on its way.
        """
        generation = deployment.generation
        now = self._clock.now()

        def starting(before: Deployment) -> Change | None:
            before.require(generation, Status.IMPORTING)
            if before.imported is None:
                return None
            after = before.changed(imported=before.imported.changed(starting_at=now))
            return change(before, after, EventKind.IMPORT, "asking Bedrock for the import job", now)

        amend(self._deployments, deployment.name, starting)
        try:
            arn = self._imports.start(
                job_name=self._job_name(deployment),
                model_name=names.imported_model_name(deployment.name, generation),
                role_arn=deployment.import_role_arn or self._rules.role_arn,
                s3_uri=f"s3://{self._rules.bucket}/{weights_prefix(deployment.artifact_id or '')}",
                token=names.import_token(self._rules.stack, self._job_name(deployment)),
                tags={**deployment.tags, **self._tags(deployment)},
            )
        except QuotaExceeded:
            if holders := self._imports.running_jobs():  # somebody took the slot between our look and our call
                return self._wait_for_slot(deployment, holders)
            raise
        except Conflict as exc:  # whose name it is, the next try finds out; what nobody's is, passes
            raise ConcurrentChange(exc.message, deployment=deployment.name) from exc
        return self._record_job(deployment, arn)

    def _record_job(self, deployment: Deployment, arn: str) -> Wait:
        """Note that the job runs: the one just started, or one that an earlier run started and could not note."""
        now = self._clock.now()

        def started(before: Deployment) -> Change | None:
            before.require(deployment.generation, Status.IMPORTING)
            if before.imported is None or before.imported.job_arn == arn:
                return None
            # a job makes a model of its own: one that an attempt before it made is no longer there
            imported = before.imported.changed(job_arn=arn, started_at=now, model_arn=None, units=None, ended_at=None)
            after = before.changed(imported=imported, waiting_for=None)
            return change(before, after, EventKind.IMPORT, "import job started", now, job_arn=arn)

        amend(self._deployments, deployment.name, started)
        return Wait(done=True)

    def _wait_for_slot(self, deployment: Deployment, holders: list[ImportJobState]) -> Wait:
        now = self._clock.now()
        waits_already = (deployment.waiting_for or "").startswith(WAITS_FOR_SLOT)  # and not for the kill switch
        began = deployment.imported.started_at if deployment.imported and waits_already else now
        names_of = ", ".join(job.name for job in holders)
        if now - began > seconds(self._rules.slot_deadline_seconds):
            raise DeadlinePassed(
                f"The region's slot for import jobs was not free within {self._rules.slot_deadline_seconds} s; "
                f"it is held by {names_of}.",
                holders=[job.arn for job in holders],
            )
        self._note_once(deployment, f"{WAITS_FOR_SLOT}, held by {names_of}", now, began=began)
        return Wait(done=False, wait_seconds=self._rules.slot_poll_seconds)

    def _note_once(self, deployment: Deployment, reason: str, now: datetime, began: datetime | None = None) -> None:
        def waiting(before: Deployment) -> Change | None:
            if before.waiting_for == reason or before.status is not Status.IMPORTING:
                return None
            since = before.imported and before.imported.changed(started_at=began or before.imported.started_at)
            after = before.changed(waiting_for=reason, imported=since)
            return change(before, after, EventKind.IMPORT, reason, now)

        amend(self._deployments, deployment.name, waiting)

    def _adopt(self, deployment: Deployment, model: ImportedModelState) -> None:
        self._record_model(deployment, model, f"adopted the finished import {model.name}")

    def _finish(self, deployment: Deployment, job: ImportJobState | None) -> Wait:
        model = self._own_model(deployment)
        if model is None:
            raise ImportFailed(
                f"Bedrock says that job {job.name if job else '?'} is complete, but model "
                f"{names.imported_model_name(deployment.name, deployment.generation)} does not exist.",
                job_arn=job and job.arn,
            )
        self._record_model(deployment, model, f"imported as {model.name}")
        return Wait(done=True)

    def _record_model(self, deployment: Deployment, model: ImportedModelState, reason: str) -> None:
        now = self._clock.now()

        def recorded(before: Deployment) -> Change | None:
            before.require(deployment.generation, Status.IMPORTING)
            if before.imported is None or before.imported.model_arn == model.arn:
                return None
            imported = before.imported.changed(model_arn=model.arn, units=model.units, ended_at=now)
            after = before.changed(imported=imported, waiting_for=None)
            return change(before, after, EventKind.IMPORT, reason, now, model_arn=model.arn, units=model.units)

        amend(self._deployments, deployment.name, recorded)


def _keeping_model(intent: ImportedModel, known: ImportedModel | None) -> ImportedModel:
    """Return the intent with the model that an earlier attempt finished: it is stored, and paid for, since then."""
    if known is None or known.model_name != intent.model_name:
        return intent
    return intent.changed(model_arn=known.model_arn, units=known.units, ended_at=known.ended_at)


def _quota_exceeded(holders: list[Holder], quota: int) -> QuotaExceeded:
    held = ", ".join(holder.name for holder in holders)
    return QuotaExceeded(
        f"The account may have {quota} imported models in this region and has {len(holders)}: {held}. "
        f"Tear one down, or ask for more of quota {MODEL_QUOTA_CODE} in Service Quotas, then retry.",
        quota_code=MODEL_QUOTA_CODE,
        holders=[holder.dump() for holder in holders],
    )
