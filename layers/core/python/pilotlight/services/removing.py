"""Removing an endpoint and all that was made for it, from any half-made state.

Level-triggered: every step looks at what is there, "already gone" is a success, and what has not our tags stays.
"""

from contextlib import suppress
from datetime import datetime

from pilotlight.contracts import DeploymentTask, Wait
from pilotlight.domain import names
from pilotlight.domain.bundle import bundle_folder
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.endpoint import Endpoint
from pilotlight.domain.errors import ConcurrentChange
from pilotlight.domain.uptime import believed_instances, paid_instances
from pilotlight.ports import ArtifactBucket, Clock, Deployments
from pilotlight.ports.endpoints import Endpoints, Found, Revisions
from pilotlight.services.async_results import AsyncResults
from pilotlight.services.creating import JUST_ASKED, asked_lately
from pilotlight.services.metering import Metering
from pilotlight.services.observing import Observing
from pilotlight.services.records import amend
from pilotlight.services.scaling import InstanceScaling
from pilotlight.services.spending import Spending

FIRST_WAIT_SECONDS = 15
LONGEST_WAIT_SECONDS = 300


class Removing:
    """Takes endpoints away."""

    def __init__(
        self,
        deployments: Deployments,
        endpoints: Endpoints,
        revisions: Revisions,
        bucket: ArtifactBucket,
        observing: Observing,
        scaling: InstanceScaling,
        metering: Metering,
        spending: Spending,
        results: AsyncResults,
        clock: Clock,
        *,
        stack: str,
    ) -> None:
        self._deployments = deployments
        self._endpoints = endpoints
        self._revisions = revisions
        self._bucket = bucket
        self._observing = observing
        self._scaling = scaling
        self._metering = metering
        self._spending = spending
        self._results = results
        self._clock = clock
        self._stack = stack

    def stop_billing(self, name: str, generation: int, attempt: int) -> Deployment:
        """Delete what bills by the hour of an attempt that failed; why it failed is kept before that.

        What cannot be deleted just now, because it is still being created, is deleted at a later look. A later attempt,
        or one that serves after all, keeps what it has.
        """
        deployment = self._deployments.get(name)
        stale = (deployment.generation, deployment.attempt) != (generation, attempt)
        gone_on = deployment.status in (Status.SERVING, Status.TEARING_DOWN, Status.GONE)
        known = deployment.endpoint
        if stale or gone_on or known is None or not (known.exists or known.waiting):
            return deployment
        deployment = self._observing.look(name, making=False)
        if deployment.endpoint is None or not deployment.endpoint.exists:
            return deployment
        found = self._endpoints.endpoint(deployment.endpoint.name)
        if found and self._is_ours(found, deployment):
            self._delete_endpoint(deployment, deployment.endpoint)
        return self._observing.look(name, making=False)

    def delete(self, task: DeploymentTask) -> Wait:
        """Delete endpoint, scaling, component, configs, models, bundles and revisions, or say how long to wait."""
        deployment = self._deployments.get(task.deployment).require(task.generation, Status.TEARING_DOWN)
        endpoint = deployment.endpoint
        if endpoint is None:
            if deployment.backend.is_endpoint:  # a revision is kept before the record tells of its endpoint
                self._delete_revisions(deployment)
            return Wait(done=True)
        now = self._clock.now()
        if asked_lately(endpoint, now):
            return Wait(done=False, wait_seconds=JUST_ASKED.seconds)
        found = self._endpoints.endpoint(endpoint.name)
        if found and self._is_ours(found, deployment):
            self._begin_to_delete(deployment, endpoint)
            return Wait(done=False, wait_seconds=_patience(deployment, now))
        self._metering.observe(deployment, 0, now)
        if found is None:  # what a stranger's of the same name has beside it is a stranger's, too
            self._scaling.forget(deployment)
            if self._components_are_there(deployment, endpoint):
                return Wait(done=False, wait_seconds=_patience(deployment, now))
        self._delete_revisions(deployment)
        if not self._results.abandon(deployment, "its endpoint was removed before it was answered"):
            return Wait(done=False, wait_seconds=1)
        self._spending.vacate(deployment)
        self._note_gone(deployment)
        return Wait(done=True)

    def _begin_to_delete(self, deployment: Deployment, endpoint: Endpoint) -> None:
        """Begin to delete an endpoint of ours, once nothing is under way at it.

        Until it is gone it is charged as the record has it, or for more: what was told of its cost never falls.
        """
        seen = self._endpoints.see(endpoint.name)
        if seen is None:
            return
        instances, price = (
            max(paid_instances(seen, endpoint), believed_instances(endpoint)),
            endpoint.dearest_usd_per_hour,
        )
        self._metering.observe(deployment, instances, self._clock.now(), usd_per_hour=price)
        if seen.is_settled:
            self._delete_endpoint(deployment, endpoint)

    def _delete_endpoint(self, deployment: Deployment, endpoint: Endpoint) -> None:
        """Begin to delete an endpoint, its component first: deleting an endpoint leaves its components behind.

        Its bounds and alarms go last: what bills must not wait for them.
        """
        self._components_are_there(deployment, endpoint)
        with suppress(ConcurrentChange):  # it is being created or changed: the next look deletes it
            self._endpoints.delete_endpoint(endpoint.name)
        self._scaling.forget(deployment)

    def _components_are_there(self, deployment: Deployment, endpoint: Endpoint) -> bool:
        """Begin to delete the components of an endpoint; say whether there are some yet."""
        if not endpoint.scaling.components:
            return False
        left = False
        for revision in self._revisions.newest_first(deployment.name, deployment.generation):
            if self._endpoints.component(revision.model_name):
                left = True
                with suppress(ConcurrentChange):  # it is going already, or being made: the next look deletes it
                    self._endpoints.delete_component(revision.model_name)
        return left

    def _delete_revisions(self, deployment: Deployment) -> None:
        for revision in self._revisions.newest_first(deployment.name, deployment.generation):
            self.delete_revision(deployment, revision.model_name, revision.config_name)
            self._revisions.forget(revision)
        self._bucket.delete(bundle_folder(deployment.name, deployment.generation))

    def delete_revision(self, deployment: Deployment, model_name: str, config_name: str) -> None:
        """Delete the config and the model of a revision, where they are ours."""
        config = self._endpoints.config(config_name)
        if config and self._is_ours(config, deployment):
            self._endpoints.delete_config(config_name)
        model = self._endpoints.model(model_name)
        if model and self._is_ours(model, deployment):
            self._endpoints.delete_model(model_name)

    def _is_ours(self, found: Found, deployment: Deployment) -> bool:
        ours = names.ownership_tags(self._stack, deployment.name, deployment.generation)
        return all(found.tags.get(key) == value for key, value in ours.items())

    def _note_gone(self, deployment: Deployment) -> None:
        now = self._clock.now()

        def gone(before: Deployment) -> Change | None:
            known = before.endpoint
            if before.generation != deployment.generation or known is None:
                return None
            bare = known.changed(
                exists=False,
                parked=False,
                instances=0,
                desired=0,
                status=None,
                waiting=(),
                update=None,
                starting_at=None,
            )
            if bare == known and before.waiting_for is None:
                return None
            after = before.changed(endpoint=bare, waiting_for=None)
            reason = f"endpoint {known.name} and all that was made for it are deleted"
            return change(before, after, EventKind.TEARDOWN, reason, now)

        amend(self._deployments, deployment.name, gone)


def _patience(deployment: Deployment, now: datetime) -> int:
    """Return how long to wait for an endpoint that was asked to go: what takes long is asked for less."""
    elapsed = (now - deployment.updated_at).total_seconds()
    return round(min(max(elapsed / 5, FIRST_WAIT_SECONDS), LONGEST_WAIT_SECONDS))
