"""A user asks for a deployment, for another try, or for another lease: the record first, then the execution."""

import hashlib
import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from pilotlight.contracts import DeploymentRequest, DeploymentView, input_of
from pilotlight.domain import names
from pilotlight.domain.deployment import (
    KEEP_WARM_CONFIRMED_FOR,
    UNDER_WAY,
    Change,
    Deployment,
    Event,
    EventKind,
    Status,
    change,
)
from pilotlight.domain.errors import IllegalTransition, NameTaken, PilotlightError, Retryable
from pilotlight.domain.keep_warm import KeepWarm
from pilotlight.domain.lease import LeaseTerm, lease_from
from pilotlight.domain.source import Source, SourceKind
from pilotlight.domain.spending import SpendCeiling
from pilotlight.ports import Clock, Deployments, Executions, IdempotencyKeys
from pilotlight.services.judging import Judging
from pilotlight.services.records import amend
from pilotlight.services.spending import Spending
from pilotlight.services.viewing import Viewing

MACHINE = "deploy"


class Requesting:
    """Takes requests and starts the executions that carry them out."""

    def __init__(
        self,
        deployments: Deployments,
        executions: Executions,
        idempotency_keys: IdempotencyKeys,
        viewing: Viewing,
        spending: Spending,
        judging: Judging,
        clock: Clock,
        keep_warm_for: timedelta = KEEP_WARM_CONFIRMED_FOR,
    ) -> None:
        self._deployments = deployments
        self._executions = executions
        self._keys = idempotency_keys
        self._viewing = viewing
        self._spending = spending
        self._judging = judging
        self._clock = clock
        self._keep_warm_for = keep_warm_for

    def request(
        self, wanted: DeploymentRequest, *, correlation_id: str, idempotency_key: str | None = None
    ) -> DeploymentView:
        """Reserve the name and start the deployment; the same key and body give the same answer.

        Raises: NameTaken, naming the holder; IdempotencyKeyReused; InvalidInput for a source nobody can read, and for
        sections that the backend does not have; PreflightRefused, SourceRefused where instances could not host it;
        KillSwitchOn; SpendCeilingReached for a ceiling that could not pay for anything.
        """
        self._require_hostable(wanted)
        if idempotency_key is None:
            return self._viewing.of(self._start(wanted, correlation_id, None))
        body = json.dumps(wanted.dump(), sort_keys=True)
        answered = self._keys.claim(idempotency_key, hashlib.sha256(body.encode()).hexdigest(), self._clock.now())
        if answered is not None:
            return DeploymentView.model_validate(answered)
        try:
            view = self._viewing.of(self._start(wanted, correlation_id, idempotency_key))
        except PilotlightError:
            self._keys.forget(idempotency_key)
            raise
        self._keys.answer(idempotency_key, view.dump())
        return view

    def _require_hostable(self, wanted: DeploymentRequest) -> None:
        """Refuse at once what instances could not host: a wrong type would else be told after everything was staged.

        Where the source does not answer just now, the first step of `deploy` judges it.
        """
        source = Source.parse(wanted.source)
        hosting = wanted.hosting
        if hosting is not None or source.kind is SourceKind.JUMPSTART:
            with suppress(Retryable):
                self._judging.require(source, wanted.backend, hosting)

    def _start(self, wanted: DeploymentRequest, correlation_id: str, key: str | None) -> Deployment:
        """Reserve the name and start the execution; what an earlier run of the same request reserved is accepted.

        That is looked at before money is: by now the model may have spent what its ceiling had left.
        """
        deployment = self._reserved_by(key, wanted.name) or self._reserve(wanted, correlation_id, key)
        self.resume(deployment)
        return deployment

    def _reserve(self, wanted: DeploymentRequest, correlation_id: str, key: str | None) -> Deployment:
        self._spending.require_creation()
        now = self._clock.now()
        fresh = Deployment(
            name=wanted.name,
            source=wanted.source,
            backend=wanted.backend,
            lease=lease_from(wanted.lease, now),
            keep_warm=wanted.keep_warm,
            **self._confirmed(now),
            spend_ceiling=wanted.spend_ceiling,
            artifact=wanted.artifact,
            tags=wanted.tags,
            import_role_arn=wanted.import_role_arn,
            hosting=wanted.hosting,
            correlation_id=correlation_id,
            request_key=key,
            created_at=now,
            updated_at=now,
        )
        self._spending.require_affordable(fresh)
        look = fresh.next_look(now)
        fresh = fresh.changed(next_look_at=look and look[0], next_step=look and look[1])
        event = Event(at=now, kind=EventKind.STATUS, reason=f"asked for {wanted.source}", generation=1)
        try:
            return self._deployments.reserve(fresh, event)
        except NameTaken:
            if holder := self._reserved_by(key, wanted.name):
                return holder
            raise

    def _reserved_by(self, key: str | None, name: str) -> Deployment | None:
        """Return the deployment for which an earlier run of the same request reserved the name."""
        holder = self._deployments.find(name) if key else None
        return holder if holder and holder.is_live and holder.request_key == key else None

    def resume(self, deployment: Deployment) -> bool:
        """Start the execution that carries out a request; False where it was there already."""
        name = names.run_name(deployment.name, deployment.generation, deployment.attempt, deployment.created_at)
        return self._executions.start(MACHINE, name, input_of(deployment))

    def retry(self, name: str, *, correlation_id: str) -> Deployment:
        """Go on with a failed deployment from what it has: a sealed artifact and a finished import stay.

        Raises: IllegalTransition unless it is FAILED; KillSwitchOn; SpendCeilingReached.
        """
        self._spending.require_creation()
        now = self._clock.now()

        def again(before: Deployment) -> Change:
            if before.status is not Status.FAILED:
                raise IllegalTransition(
                    f"Deployment {name} is {before.status}; only a FAILED one can be retried.",
                    deployment=name,
                    status=before.status,
                )
            self._spending.require_affordable(before)
            after = before.moved_to(
                Status.REQUESTED, now, attempt=before.attempt + 1, failure=None, correlation_id=correlation_id
            )
            return change(before, after, EventKind.STATUS, f"retried: attempt {after.attempt}", now)

        deployment = amend(self._deployments, name, again)
        self.resume(deployment)
        return deployment

    def renew_lease(self, name: str, term: LeaseTerm) -> Deployment:
        """Give a deployment a lease that begins now.

        Raises: IllegalTransition when it is being torn down or gone.
        """
        now = self._clock.now()

        def renewed(before: Deployment) -> Change:
            self._require_alive(before)
            after = before.changed(lease=lease_from(term, now), **self._confirmed(now))
            return change(before, after, EventKind.LEASE, f"lease of {term} from now", now, was=str(before.lease))

        return amend(self._deployments, name, renewed)

    def keep_warm(self, name: str, keep_warm: KeepWarm) -> Deployment:
        """Change when the model shall be warm though nobody calls it."""
        now = self._clock.now()

        def changed(before: Deployment) -> Change:
            self._require_alive(before)
            after = before.changed(keep_warm=keep_warm, quiet_until=None, **self._confirmed(now))
            return change(before, after, EventKind.KEEP_WARM, f"keep-warm policy {keep_warm.policy}", now)

        return amend(self._deployments, name, changed)

    def limit_spending(self, name: str, ceiling: SpendCeiling) -> Deployment:
        """Change how much a deployment may spend."""
        now = self._clock.now()

        def limited(before: Deployment) -> Change:
            self._require_alive(before)
            after = before.changed(spend_ceiling=ceiling, spend_notice=None)
            return change(before, after, EventKind.SPEND, f"spend ceiling {ceiling}", now)

        return amend(self._deployments, name, limited)

    def _confirmed(self, now: datetime) -> dict[str, Any]:
        """Return the fields of a deployment that somebody wants to be kept warm from now on."""
        return {"keep_warm_until": now + self._keep_warm_for, "keep_warm_warned": False}

    @staticmethod
    def _require_alive(deployment: Deployment) -> None:
        if deployment.status in UNDER_WAY | {Status.SERVING, Status.FAILED}:
            return
        raise IllegalTransition(
            f"Deployment {deployment.name} is {deployment.status}: its lease, policy and ceiling can no longer change.",
            deployment=deployment.name,
            status=deployment.status,
        )
