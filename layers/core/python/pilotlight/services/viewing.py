"""Everything about deployments and uploads at a glance: what they do, cost, and do next."""

from datetime import datetime

from pilotlight.contracts import (
    LARGEST_PAGE,
    PAGE,
    ArtifactList,
    ArtifactView,
    DeploymentList,
    DeploymentView,
    EndpointView,
    EventList,
    NextStep,
    NextWindow,
    OrphanList,
    RevisionList,
    RevisionScaling,
    RevisionView,
    UpdateView,
    UploadList,
    UploadView,
    WarmthView,
)
from pilotlight.domain.artifact import Artifact, ArtifactStatus
from pilotlight.domain.deployment import UNDER_WAY, Deployment, Status
from pilotlight.domain.endpoint import Endpoint, Revision, RevisionStatus, Update
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.hosting import OF_THE_CONFIG
from pilotlight.domain.keep_warm import Policy
from pilotlight.domain.retention import DEFAULT_RETENTION
from pilotlight.domain.staging_progress import StagingProgress, progress_of
from pilotlight.domain.storage_rates import kept_for_a_month
from pilotlight.domain.upload import ROOT, Upload
from pilotlight.ports import Artifacts, Clock, Deployments, Passes, Uploads
from pilotlight.ports.endpoints import Revisions
from pilotlight.services.accounting import Accounting
from pilotlight.services.spending import Spending

MAY_BILL = UNDER_WAY | {Status.SERVING}  # statuses whose model costs something by the hour, or will


def page_limit(text: str | None) -> int:
    """Return how many items a page shall have, from the query's `limit`.

    Raises: InvalidInput for anything but a number from 1 to 200.
    """
    if text is None:
        return PAGE
    if text.isascii() and text.isdigit() and 1 <= int(text) <= LARGEST_PAGE:
        return int(text)
    raise InvalidInput(
        f"limit={text[:20]} is not understood; write a number from 1 to {LARGEST_PAGE}.",
        field="limit",
        rule=f"1 to {LARGEST_PAGE}",
    )


class Viewing:
    """Shows records; changes nothing."""

    def __init__(
        self,
        deployments: Deployments,
        artifacts: Artifacts,
        uploads: Uploads,
        passes: Passes,
        revisions: Revisions,
        accounting: Accounting,
        spending: Spending,
        clock: Clock,
        *,
        region: str,
        upload_bucket: str,
    ) -> None:
        self._deployments = deployments
        self._artifacts = artifacts
        self._uploads = uploads
        self._passes = passes
        self._revisions = revisions
        self._accounting = accounting
        self._spending = spending
        self._clock = clock
        self._region = region
        self._upload_bucket = upload_bucket

    def deployment(self, name: str) -> DeploymentView:
        """Return one deployment as it is now. Raises: NotFound."""
        return self.of(self._deployments.get(name))

    def deployments(self, cursor: str | None, limit: int = PAGE) -> DeploymentList:
        """Return a page of deployments by name."""
        records, following = self._deployments.page(cursor, limit)
        return DeploymentList(items=tuple(self.of(record) for record in records), next=following)

    def events(self, name: str, cursor: str | None, limit: int = PAGE) -> EventList:
        """Return a page of a deployment's timeline, oldest first. Raises: NotFound."""
        self._deployments.get(name)
        events, following = self._deployments.events(name, cursor, limit)
        return EventList(items=tuple(events), next=following)

    def uploads(self, cursor: str | None, limit: int = PAGE) -> UploadList:
        """Return a page of uploaded folders by name."""
        records, following = self._uploads.page(cursor, limit)
        items = tuple(_upload_view(record) for record in records)
        return UploadList(items=items, next=following, bucket=self._upload_bucket, prefix=ROOT)

    def revisions(self, name: str) -> RevisionList:
        """Return the revisions of a deployment that are kept, the newest first. Raises: NotFound."""
        deployment = self._deployments.get(name)
        kept = self._revisions.newest_first(deployment.name, deployment.generation)
        serves = deployment.endpoint.revision if deployment.endpoint and deployment.status is Status.SERVING else 0
        return RevisionList(items=tuple(_revision_view(revision, serves=serves) for revision in kept))

    def artifact(self, artifact: Artifact) -> ArtifactView:
        """Return one artifact."""
        return _artifact_view(artifact, self._clock.now())

    def artifacts(self, cursor: str | None, limit: int = PAGE) -> ArtifactList:
        """Return a page of artifacts by id; of those that are gone nothing is left to be shown."""
        records, following = self._artifacts.page(cursor, limit)
        now = self._clock.now()
        items = tuple(_artifact_view(each, now) for each in records if each.status is not ArtifactStatus.GONE)
        return ArtifactList(items=items, next=following)

    def orphans(self) -> OrphanList:
        """Return what the newest reconciliation found."""
        newest = self._passes.latest()
        return OrphanList(
            items=newest.findings,
            as_of=newest.as_of,
            dry_run=newest.dry_run,
            complete=not newest.incomplete,
            incomplete=newest.incomplete,
            passes=newest.number,
            found=newest.found,
            removed=newest.removed,
            left=newest.orphans_left,
        )

    def of(self, deployment: Deployment) -> DeploymentView:
        """Return a deployment's view from its record."""
        now = self._clock.now()
        imported = deployment.imported
        step = deployment.next_look_at and deployment.next_step
        return DeploymentView(
            name=deployment.name,
            generation=deployment.generation,
            attempt=deployment.attempt,
            status=deployment.status,
            source=deployment.source,
            revision=deployment.revision,
            backend=deployment.backend,
            region=self._region,
            lease=deployment.lease.term,
            lease_ends_at=deployment.lease.ends_at if deployment.is_live else None,
            keep_warm=deployment.keep_warm,
            keep_warm_until=deployment.keep_warm_ends_at if deployment.is_live else None,
            next_window=_next_window(deployment, now),
            tags=deployment.tags,
            artifact=deployment.artifact,
            artifact_id=deployment.artifact_id,
            model_arn=imported.model_arn if imported and deployment.is_live else None,
            import_job_arn=imported.job_arn if imported else None,
            units=imported.units if imported else None,
            endpoint=_endpoint_view(deployment),
            proposal=deployment.proposal,
            warmth=self._warmth(deployment),
            progress=self._progress(deployment),
            cost_so_far=self._accounting.cost_so_far(deployment, now),
            cost_per_hour=self._accounting.tariff(deployment).hour if _has_hourly_price(deployment) else None,
            spending=self._spending.view(deployment),
            next=NextStep(what=step, at=deployment.next_look_at) if step and deployment.next_look_at else None,
            waiting_for=deployment.waiting_for if _waits(deployment, now) else None,
            failure=deployment.failure.dump() if deployment.failure else None,
            correlation_id=deployment.correlation_id,
            created_at=deployment.created_at,
            updated_at=deployment.updated_at,
        )

    def _warmth(self, deployment: Deployment) -> WarmthView | None:
        if deployment.status not in (Status.WARMING, Status.SERVING):
            return None
        belief = self._accounting.warmth(deployment, self._clock.now())
        return WarmthView(
            state=belief.state,
            as_of=belief.as_of,
            warm_until=belief.warm_until,
            cold_start_seconds=deployment.cold_start_seconds,
        )

    def _progress(self, deployment: Deployment) -> StagingProgress | None:
        if deployment.status is not Status.STAGING or deployment.artifact_id is None:
            return None
        artifact = self._artifacts.find(deployment.artifact_id)
        if artifact is None or not artifact.total_bytes:
            return None
        marks = self._artifacts.span_marks(artifact.id, artifact.attempt)
        return progress_of(marks, artifact.total_bytes, self._clock.now())


def _has_hourly_price(deployment: Deployment) -> bool:
    """Say whether it costs something by the hour, or will; an endpoint does for as long as it is there.

    Before one is planned nothing runs that could have a price: what it will be is in the proposal.
    """
    if deployment.backend.is_endpoint and deployment.endpoint is None:
        return False
    return deployment.status in MAY_BILL or bool(deployment.endpoint and deployment.endpoint.exists)


def _next_window(deployment: Deployment, now: datetime) -> NextWindow | None:
    wanted = deployment.keep_warm
    if wanted.policy is not Policy.WINDOW or not deployment.is_live:
        return None
    return NextWindow(opens_at=wanted.next_opening(now), closes_at=wanted.next_closing(now))


def _waits(deployment: Deployment, now: datetime) -> bool:
    """Say whether somebody is at work for whom it could wait: `deploy`, or whoever keeps it warm."""
    return deployment.status in UNDER_WAY or (deployment.status is Status.SERVING and deployment.wants_warm(now))


def _upload_view(upload: Upload) -> UploadView:
    return UploadView(
        folder=upload.folder,
        status=upload.status,
        reason=upload.reason,
        missing=upload.missing,
        deployment=upload.deployment,
        held_by=upload.held_by,
        look_at=upload.look_at,
        size_bytes=upload.size_bytes,
        version=upload.seen,
        updated_at=upload.updated_at,
    )


def _endpoint_view(deployment: Deployment) -> EndpointView | None:
    endpoint = deployment.endpoint
    if endpoint is None or not deployment.is_live:
        return None
    update = endpoint.update
    return EndpointView(
        name=endpoint.name,
        arn=endpoint.arn,
        status=endpoint.status or ("Parked" if endpoint.parked else "Requested" if endpoint.exists else "Planned"),
        instance_type=endpoint.instance_type,
        instances=endpoint.instances,
        desired=endpoint.desired,
        min=endpoint.scaling.min if endpoint.floor is None else endpoint.floor,
        max=endpoint.scaling.max,
        scaling=endpoint.scaling,
        usd_per_instance_hour=endpoint.usd_per_hour,
        revision=endpoint.revision,
        seen_at=endpoint.seen_at,
        update=_update_view(endpoint, update) if update else None,
        failed_update=endpoint.failed_update,
        failure=endpoint.failure,
    )


def _update_view(endpoint: Endpoint, update: Update) -> UpdateView:
    return UpdateView(
        revision=update.revision,
        previous=update.previous,
        strategy=update.strategy,
        started_at=update.started_at,
        instance_type=update.instance_type,
        instances=max(endpoint.instances, endpoint.desired),
        usd_per_instance_hour=update.usd_per_hour,
    )


def _revision_view(revision: Revision, *, serves: int) -> RevisionView:
    return RevisionView(
        number=revision.number,
        status=RevisionStatus.IN_SERVICE if revision.number == serves else revision.status,
        instance_type=revision.instance_type,
        usd_per_hour=revision.usd_per_hour,
        image=revision.image,
        scaling=RevisionScaling.model_validate(revision.scaling.model_dump(include=set(OF_THE_CONFIG))),
        instance=revision.hosting.instance,
        serving=revision.hosting.serving,
        container=revision.hosting.container,
        tensor_parallel_degree=revision.tensor_parallel_degree,
        why=revision.why,
        reason=revision.reason,
        created_at=revision.created_at,
    )


def _artifact_view(artifact: Artifact, now: datetime) -> ArtifactView:
    return ArtifactView(
        id=artifact.id,
        source=artifact.source,
        revision=artifact.revision,
        status=artifact.status,
        total_bytes=artifact.total_bytes,
        reused_bytes=artifact.reused_bytes,
        unverified=artifact.unverified,
        verified_at=artifact.verified_at,
        users=artifact.users,
        cost_per_month=kept_for_a_month(artifact.total_bytes),
        created_at=artifact.created_at,
        updated_at=artifact.updated_at,
        failure_reason=artifact.failure_reason,
        keep=artifact.retention or DEFAULT_RETENTION,
        last_used_at=now if artifact.users else artifact.last_used_at or artifact.updated_at,
        kept_until=None if artifact.users else artifact.kept_until,
    )
