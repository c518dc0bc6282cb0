"""Keeping as many instances as there shall be: bounds for autoscaling, and a count at once where nobody shall wait.

Level-triggered, as the sweep is: what shall be is compared with what is, and only the difference is asked for.
"""

from pilotlight.domain import names
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.endpoint import IN_SERVICE, Endpoint, Seen
from pilotlight.domain.errors import ConcurrentChange, NotFound
from pilotlight.domain.scaling import Wish, reaches_zero, wish
from pilotlight.domain.uptime import paid_instances
from pilotlight.domain.values import Backend
from pilotlight.ports import Clock, Deployments
from pilotlight.ports.endpoints import Autoscaling, Endpoints
from pilotlight.services.accounting import Accounting
from pilotlight.services.async_results import AsyncResults
from pilotlight.services.creating import Creating
from pilotlight.services.metering import Metering
from pilotlight.services.records import amend
from pilotlight.services.spending import Spending

ANSWERS_NOBODY = ("Failed", "OutOfService")


class InstanceScaling:
    """Adds and removes instances."""

    def __init__(
        self,
        deployments: Deployments,
        endpoints: Endpoints,
        autoscaling: Autoscaling,
        creating: Creating,
        accounting: Accounting,
        metering: Metering,
        spending: Spending,
        results: AsyncResults,
        clock: Clock,
    ) -> None:
        self._deployments = deployments
        self._endpoints = endpoints
        self._autoscaling = autoscaling
        self._creating = creating
        self._accounting = accounting
        self._metering = metering
        self._spending = spending
        self._results = results
        self._clock = clock

    def apply(self, deployment: Deployment) -> Deployment:
        """Bring a deployment's endpoint to where it shall be, and return the record.

        What changes just now is left as it is: the next look finds it again. Before the deployment serves, its endpoint
        is touched only where it must stop.
        """
        endpoint = deployment.endpoint
        if endpoint is None or endpoint.update or not (endpoint.is_in_service or endpoint.is_broken):
            return deployment
        wanted = self._wish(deployment, endpoint)
        if deployment.status is not Status.SERVING and not wanted.suspended:
            return deployment
        if endpoint.is_broken:
            return self._let_go_of_broken(deployment, endpoint, wanted)
        if wanted.parked:
            return self._park(deployment, wanted.reason)
        if wanted.now == 0:
            return self._stop(deployment, endpoint, wanted)
        deployment = self._register(deployment, endpoint, wanted)
        if wanted.now is None or wanted.now == _set_to(endpoint):
            return deployment
        return self._bring_to(deployment, endpoint, wanted.now, f"set to {_counted(wanted.now)}: {wanted.reason}")

    def ensure_capacity(self, deployment: Deployment) -> bool:
        """Say whether an instance is there that takes calls; where none is, ask for one, once.

        Raises: QuotaExceeded; NotOurs; Superseded where it is being taken down.
        """
        endpoint = deployment.endpoint
        if endpoint is None:
            raise NotFound(f"Deployment {deployment.name} has no endpoint.", deployment=deployment.name)
        seen = self._creating.see(deployment, endpoint, making=False) if endpoint.exists else None
        if seen is None:
            self._creating.create(deployment)
            return False
        if seen.has_capacity:
            return True
        if seen.status == IN_SERVICE and not seen.asked_for and reaches_zero(deployment.backend, endpoint):
            self._begin_again(deployment, endpoint, seen)
        return False

    def _let_go_of_broken(self, deployment: Deployment, endpoint: Endpoint, wanted: Wish) -> Deployment:
        """Park what is at rest and not in service, which nobody can scale: the next wake makes it anew.

        One of which a rollback failed answers all the same, and is kept for as long as it may be.
        """
        if endpoint.status not in ANSWERS_NOBODY and not wanted.parked and wanted.now != 0:
            return deployment
        why = wanted.reason
        if endpoint.status in ANSWERS_NOBODY:
            why = f"it is {endpoint.status}{f', {endpoint.failure.reason}' if endpoint.failure else ''}"
        return self._park(deployment, why)

    def _begin_again(self, deployment: Deployment, endpoint: Endpoint, seen: Seen) -> None:
        """Ask for the first instance, or the first copy: minutes before an alarm would.

        What is there by now is metered before, so that the time since the last look is not charged for what begins; and
        what begins, too: should no look succeed before it is gone again, it was paid for all the same.
        """
        count, price = max(1, endpoint.scaling.min), endpoint.dearest_usd_per_hour
        for instances in (paid_instances(seen, endpoint), count):
            self._metering.observe(deployment, instances, self._clock.now(), usd_per_hour=price)
        self._bring_to(deployment, endpoint, count, "asking for an instance")

    def leave(self, deployment: Deployment, reason: str) -> Deployment:
        """Let go of all instances now, whoever could have called: a scale-down on request.

        Calls under way are answered first: then a look lets go. Of those that are answered directly nobody knows, so
        that what may have some is left to a look.
        """
        endpoint = deployment.endpoint
        if endpoint is None or endpoint.update or not (endpoint.is_in_service or endpoint.is_broken):
            return deployment
        is_called_directly = deployment.backend is Backend.SAGEMAKER_REALTIME and endpoint.status not in ANSWERS_NOBODY
        if is_called_directly or self._results.in_flight(deployment):
            return deployment
        if endpoint.is_broken:
            return self._park(deployment, reason)
        wanted = Wish(floor=0, most=endpoint.scaling.max, now=0, reason=reason)
        return self._stop(deployment, endpoint, wanted)

    def tidy(self, deployment: Deployment) -> Deployment:
        """Remove what scaled and watched an endpoint that is gone, and note that.

        Where there is an endpoint of its name by now, that is somebody's: of a wake, or a stranger's.
        """
        endpoint = deployment.endpoint
        if endpoint is None or not endpoint.has_bounds_left:
            return deployment
        if self._endpoints.see(endpoint.name) is None:
            self.forget(deployment)
        return self._note_without_bounds(deployment)

    def forget(self, deployment: Deployment) -> None:
        """Remove an endpoint's bounds, policies and alarms; what is not there is not missed."""
        if deployment.endpoint:
            self._autoscaling.deregister(deployment.endpoint.name, self._component(deployment, deployment.endpoint))

    def _wish(self, deployment: Deployment, endpoint: Endpoint) -> Wish:
        now = self._clock.now()
        return wish(
            deployment,
            endpoint,
            must_stop=self._spending.must_stop(deployment),
            in_flight=self._results.in_flight(deployment),
            last_answer_at=self._accounting.last_answer_at(deployment),
            now=now,
        )

    def _register(self, deployment: Deployment, endpoint: Endpoint, wanted: Wish) -> Deployment:
        """Write bounds where the record tells of others; they are not known while that goes on, and written again.

        Two looks may be at it at once, and whose bounds autoscaling has then nobody tells: see `_note_bounds`.
        """
        bounds = (wanted.floor, wanted.most, wanted.suspended)
        if bounds == (endpoint.floor, endpoint.most, endpoint.suspended):
            return deployment
        begun = self._note(deployment, None, floor=None)
        self._autoscaling.register(
            endpoint,
            deployment.backend,
            floor=wanted.floor,
            most=wanted.most,
            suspended=wanted.suspended,
            component=self._component(deployment, endpoint),
        )
        return self._note_bounds(begun, wanted)

    def _note_bounds(self, begun: Deployment, wanted: Wish) -> Deployment:
        """Note the bounds that were written, if nobody has changed the record since that began.

        Whoever did may have written others, before or after: they stay unknown, and the next look writes them again.
        """
        held = ", and none by itself" if wanted.suspended else ""
        scales = f"scales between {wanted.floor} and {wanted.most} instances{held}: {wanted.reason}"

        def noted(before: Deployment) -> Change | None:
            if before.version == begun.version:
                return self._noting(
                    before, begun, scales, floor=wanted.floor, most=wanted.most, suspended=wanted.suspended
                )
            return self._noting(before, begun, None, floor=None, most=wanted.most)

        return amend(self._deployments, begun.name, noted)

    def _stop(self, deployment: Deployment, endpoint: Endpoint, wanted: Wish) -> Deployment:
        """Let go of all instances, and only then set the bounds: where those are refused, nothing runs on."""
        if _set_to(endpoint):
            deployment = self._bring_to(deployment, endpoint, 0, f"set to no instance: {wanted.reason}")
        return self._register(deployment, endpoint, wanted)

    def _bring_to(self, deployment: Deployment, endpoint: Endpoint, count: int, reason: str) -> Deployment:
        """Ask for a count of instances, or of copies; what changes just now is asked at the next look."""
        component = self._component(deployment, endpoint)
        try:
            if component:
                self._endpoints.set_copies(component, count)
            else:
                self._endpoints.set_instances(endpoint.name, count)
        except ConcurrentChange:
            return deployment
        return self._note(deployment, reason, desired=count)

    def _park(self, deployment: Deployment, reason: str) -> Deployment:
        """Delete an endpoint that cannot be without an instance; its model and its config stay, for the next wake.

        Raises: NotOurs for one that is a stranger's by now.
        """
        found = self._creating.owned(deployment)
        component = deployment.endpoint and self._component(deployment, deployment.endpoint)
        try:
            if component and self._endpoints.component(component):  # it would be left behind
                self._endpoints.delete_component(component)
            if found:
                self._endpoints.delete_endpoint(found.name)
        except ConcurrentChange:  # the next look finds it
            return self._note(deployment, f"is to be parked: {reason}")
        deployment = self._note(deployment, f"parked: {reason}", desired=0, status="Deleting")
        self.forget(deployment)  # last: where that is refused, nothing runs on, and a later look asks again
        return self._note_without_bounds(deployment)

    def _note_without_bounds(self, deployment: Deployment) -> Deployment:
        if deployment.endpoint is None or deployment.endpoint.most is None:
            return deployment
        removed = {"floor": None, "most": None, "failed_tidies": 0, "tidy_rests_until": None}
        return self._note(deployment, "its bounds and alarms are removed", **removed)

    def _component(self, deployment: Deployment, endpoint: Endpoint) -> str | None:
        if not endpoint.scaling.components:
            return None
        return names.component_name(deployment.name, deployment.generation, endpoint.revision)

    def _note(self, deployment: Deployment, reason: str | None, **fields: object) -> Deployment:
        return amend(
            self._deployments, deployment.name, lambda before: self._noting(before, deployment, reason, **fields)
        )

    def _noting(self, before: Deployment, known: Deployment, reason: str | None, **fields: object) -> Change | None:
        """Return the change of these fields of an endpoint; without a reason another change tells of it."""
        alive = before.status in (Status.CREATING, Status.WARMING, Status.SERVING)
        if before.generation != known.generation or before.endpoint is None or not alive:
            return None
        after = before.changed(endpoint=before.endpoint.changed(**fields))
        made = change(before, after, EventKind.ENDPOINT, reason or "", self._clock.now())
        return made if reason else made.changed(event=None)


def _set_to(endpoint: Endpoint) -> int:
    """Return the count that was asked for last, by anybody."""
    return endpoint.desired if endpoint.copies is None else endpoint.copies


def _counted(count: int) -> str:
    return {0: "no instance", 1: "one instance"}.get(count, f"{count} instances")
