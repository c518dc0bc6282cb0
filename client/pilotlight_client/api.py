"""The Pilotlight API as Python methods, and the waiting that belongs to it."""

import os
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx

from pilotlight_client import waiting
from pilotlight_client.checkpoint import require_checkpoint
from pilotlight_client.connection import Clock, Connection
from pilotlight_client.endpoint_views import Container, Hosting, Instance, RevisionView, Scaling, Serving
from pilotlight_client.folder_upload import PARALLEL, FolderUpload, OnBytes
from pilotlight_client.invoking import Invocations, given, path_of
from pilotlight_client.transfers import Transfers
from pilotlight_client.upload_requests import UploadRequests
from pilotlight_client.upload_views import UploadSummary
from pilotlight_client.uploading import read_folder, require_name
from pilotlight_client.views import (
    ArtifactPage,
    ArtifactView,
    DeploymentView,
    EventView,
    HealthView,
    KeepWarm,
    KillSwitchView,
    OrphanPage,
    Page,
    PreflightView,
    SpendCeiling,
    UploadPage,
    UploadView,
)

if TYPE_CHECKING:
    from botocore.session import Session

DEFAULT_URL = "http://127.0.0.1:8000"

Item = TypeVar("Item")


class Pilotlight(Invocations):
    """A client of one Pilotlight: at `url`, else at PILOTLIGHT_URL, else on this machine.

    Requests to another machine are signed with the AWS credentials that botocore finds (`profile` or `session`).
    Every method may raise ApiError and NotReachable.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        profile: str | None = None,
        session: "Session | None" = None,
        correlation_id: str | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        url = url or os.environ.get("PILOTLIGHT_URL") or DEFAULT_URL
        connection = Connection(
            url, profile=profile, session=session, correlation_id=correlation_id, transport=transport, clock=clock
        )
        super().__init__(connection, Transfers(is_local=connection.is_local, transport=transport))

    def __enter__(self) -> Self:
        """Return the client; it is closed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def url(self) -> str:
        """Where the API is."""
        return self._connection.url

    @property
    def now(self) -> datetime:
        """The API's time: in a simulated cloud it may run ahead of this machine's."""
        return self._connection.now()

    # ---- deployments ---------------------------------------------------------------------------------------

    def deploy(  # noqa: PLR0913 (each parameter is a field of the request)
        self,
        source: str,
        *,
        name: str,
        backend: str = "bedrock",
        lease: str | None = None,
        keep_warm: KeepWarm | None = None,
        spend_ceiling: SpendCeiling | None = None,
        tags: Mapping[str, str] | None = None,
        artifact: str | None = None,
        import_role_arn: str | None = None,
        instance: Instance | None = None,
        scaling: Scaling | None = None,
        serving: Serving | None = None,
        container: Container | None = None,
        accept_eula: bool = False,
        idempotency_key: str | None = None,
    ) -> DeploymentView:
        """Ask for a deployment and return its record; the work goes on by itself (see `wait_until`).

        `instance` to `container` are for the backends `sagemaker-async` and `sagemaker-realtime`, `accept_eula` for
        gated JumpStart models. `artifact` says how long weights are kept that nobody uses any more: "retain", "delete",
        or a time after their last use, such as "collect_after:7d". Without a key of the caller's one is made, so that a
        repeat after a lost answer deploys nothing twice.
        """
        wanted = {
            "name": name,
            "source": source,
            "backend": backend,
            "lease": lease,
            "keep_warm": keep_warm,
            "spend_ceiling": spend_ceiling,
            "tags": tags or None,
            "artifact": artifact,
            "import_role_arn": import_role_arn,
            **_hosting(instance, scaling, serving, container),
            "accept_eula": accept_eula or None,
        }
        body = given(wanted)
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return cast(DeploymentView, self._ask("POST", "/deployments", body=body, headers=headers))

    def deployments(self, cursor: str | None = None, limit: int | None = None) -> Page[DeploymentView]:
        """Return one page of deployments."""
        return cast(Page[DeploymentView], self._ask("GET", "/deployments", cursor=cursor, limit=limit))

    def deployment(self, name: str) -> DeploymentView:
        """Return one deployment."""
        return cast(DeploymentView, self._ask("GET", path_of("deployments", name)))

    def teardown(self, name: str) -> DeploymentView:
        """Begin to remove a deployment with everything that it made."""
        return cast(DeploymentView, self._ask("DELETE", path_of("deployments", name)))

    def retry(self, name: str) -> DeploymentView:
        """Let a failed deployment go on from what it already has."""
        return cast(DeploymentView, self._ask("POST", path_of("deployments", name, "retry")))

    def warm_up(self, name: str) -> DeploymentView:
        """Begin to load the model."""
        return cast(DeploymentView, self._ask("POST", path_of("deployments", name, "warm-up")))

    def scale_down(self, name: str) -> DeploymentView:
        """Stop keeping the model warm until its next window."""
        return cast(DeploymentView, self._ask("POST", path_of("deployments", name, "scale-down")))

    def set_keep_warm(self, name: str, keep_warm: KeepWarm) -> DeploymentView:
        """Set when the model shall be warm though nobody calls it."""
        path = path_of("deployments", name, "keep-warm")
        return cast(DeploymentView, self._ask("PUT", path, body={"keep_warm": keep_warm}))

    def set_lease(self, name: str, lease: str) -> DeploymentView:
        """Set a new lease, counted from now: "90m", "8h", "3d" or "permanent"."""
        path = path_of("deployments", name, "lease")
        return cast(DeploymentView, self._ask("PUT", path, body={"lease": lease}))

    def set_spend_ceiling(self, name: str, usd: float, per: str = "month") -> DeploymentView:
        """Set how many dollars a deployment may spend per `month` or per `deployment`."""
        path = path_of("deployments", name, "spend-ceiling")
        return cast(DeploymentView, self._ask("PUT", path, body={"spend_ceiling": {"usd": usd, "per": per}}))

    def update(
        self,
        name: str,
        *,
        instance: Instance | None = None,
        scaling: Scaling | None = None,
        serving: Serving | None = None,
        container: Container | None = None,
        strategy: str | None = None,
        reason: str | None = None,
    ) -> DeploymentView:
        """Begin to bring another configuration into service, `blue-green` or `rolling`; calls are answered meanwhile.

        A field that is named takes the place of the one there is, None that of its default; what is left out stays.
        `changed_sections` of `pilotlight_client.changing` adds options and variables to those that there are.
        """
        body = given({**_hosting(instance, scaling, serving, container), "strategy": strategy, "reason": reason})
        return cast(DeploymentView, self._ask("PATCH", path_of("deployments", name), body=body))

    def rollback(self, name: str, revision: int | None = None, *, strategy: str | None = None) -> DeploymentView:
        """Begin to bring an earlier configuration into service again: that revision, or the one before this one."""
        path = path_of("deployments", name, "rollback")
        return cast(DeploymentView, self._ask("POST", path, body=given({"revision": revision, "strategy": strategy})))

    def revisions(self, name: str, cursor: str | None = None) -> Page[RevisionView]:
        """Return one page of the configurations that a deployment has had, newest first."""
        return cast(Page[RevisionView], self._ask("GET", path_of("deployments", name, "revisions"), cursor=cursor))

    def events(self, name: str, cursor: str | None = None) -> Page[EventView]:
        """Return one page of a deployment's timeline, oldest first."""
        return cast(Page[EventView], self._ask("GET", path_of("deployments", name, "events"), cursor=cursor))

    def iterate(self, page: Callable[[str | None], Page[Item]]) -> Iterator[Item]:
        """Yield the items of all pages: `iterate(pilotlight.deployments)`."""
        cursor: str | None = None
        while True:
            current = page(cursor)
            yield from current["items"]
            cursor = current.get("next")
            if not cursor:
                return

    # ---- waiting -------------------------------------------------------------------------------------------

    def watch(self, name: str, *, timeout_seconds: float | None = None) -> Iterator[DeploymentView]:
        """Yield the deployment as it is now and after each pause, until the caller has seen enough.

        Raises: TimedOut.
        """
        for _ in self.looks(timeout_seconds, f"deployment {name}"):
            yield self.deployment(name)

    def wait_until(
        self,
        name: str,
        statuses: Collection[str],
        on_change: Callable[[DeploymentView], None] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> DeploymentView:
        """Return the deployment once it is in one of these statuses; `on_change` sees every change of its record.

        Raises: TimedOut; DeploymentFailed when it ends elsewhere, or when a newer generation has taken the name.
        """
        seen: DeploymentView | None = None
        for view in self.watch(name, timeout_seconds=timeout_seconds):
            if on_change and view != seen:
                on_change(view)
            if view["status"] in statuses:
                return view
            waiting.require_on_its_way(view, seen, statuses)
            seen = view
        raise AssertionError("looking ends by an answer or by TimedOut")

    def looks(self, timeout_seconds: float | None, what: str) -> Iterator[int]:
        """Yield 0, 1, 2 … with a pause after each, until the time is over.

        Raises: TimedOut, saying that what was waited for goes on.
        """
        return waiting.looks(self._connection, timeout_seconds, what)

    # ---- sources, uploads, health --------------------------------------------------------------------------

    def preflight(self, source: str, backend: str = "bedrock", hosting: Hosting | None = None) -> PreflightView:
        """Return whether the backend would take this model, and why not; nothing is moved or made.

        `hosting` is what would be said of its instances to `deploy`.
        """
        body = {"source": source, "backend": backend, **(hosting or {})}
        return cast(PreflightView, self._ask("POST", "/preflight", body=body))

    def uploads(self, cursor: str | None = None) -> UploadPage:
        """Return one page of uploaded folders."""
        return cast(UploadPage, self._ask("GET", "/uploads", cursor=cursor))

    def upload(self, folder: str) -> UploadView | None:
        """Return one uploaded folder, or None where nothing of it has been noticed yet."""
        pages = self.iterate(cast(Callable[[str | None], Page[UploadView]], self.uploads))
        return next((upload for upload in pages if upload["folder"] == folder), None)

    def upload_folder(
        self,
        name: str,
        folder: Path,
        *,
        on_bytes: OnBytes = lambda _: None,
        parallel: int = PARALLEL,
    ) -> UploadSummary:
        """Upload a folder, whose import starts by itself, and return what was sent; a repeat goes on from what came.

        `on_bytes` is told of bytes as they go, and of those of parts that S3 holds already.

        Raises: WrongInput for a name that no deployment may have; NotACheckpoint for a folder that lacks files;
        UploadFailed for what cannot be read or sent, and for a file that changes meanwhile.
        """
        require_name(name)
        found = read_folder(folder)
        with self.folder_upload(name, parallel=parallel) as upload:
            plan = upload.plan(found)
            require_checkpoint(found, plan.strangers)
            held_bytes = upload.send(plan, lambda moved: on_bytes(moved.size_bytes))
        return plan.summary(name, found, held_bytes)

    def folder_upload(self, name: str, *, parallel: int = PARALLEL) -> FolderUpload:
        """Return the upload of a folder in its steps: what is to be sent, and the sending."""
        requests = UploadRequests(self._connection, name)
        return FolderUpload(requests, self._transfers, self._connection.clock, parallel=parallel)

    def artifacts(self, cursor: str | None = None) -> ArtifactPage:
        """Return one page of the weights in the stack's bucket."""
        return cast(ArtifactPage, self._ask("GET", "/artifacts", cursor=cursor))

    def delete_artifact(self, artifact_id: str) -> ArtifactView:
        """Have weights deleted that nobody uses, however long they were to be kept."""
        return cast(ArtifactView, self._ask("DELETE", path_of("artifacts", artifact_id)))

    def orphans(self) -> OrphanPage:
        """Return what the newest reconciliation found."""
        return cast(OrphanPage, self._ask("GET", "/orphans"))

    def kill_switch(self) -> KillSwitchView:
        """Return whether the kill switch is on, and why."""
        return cast(KillSwitchView, self._ask("GET", "/kill-switch"))

    def turn_kill_switch(self, *, on: bool, reason: str | None = None) -> KillSwitchView:
        """Turn the kill switch: while it is on, nothing is created, woken or kept warm."""
        body = {"on": on} | ({"reason": reason} if reason else {})
        return cast(KillSwitchView, self._ask("POST", "/kill-switch", body=body))

    def health(self) -> HealthView:
        """Return who answers, and where its upload bucket is."""
        return cast(HealthView, self._ask("GET", "/health"))


def _hosting(
    instance: Instance | None, scaling: Scaling | None, serving: Serving | None, container: Container | None
) -> dict[str, Any]:
    sections = {"instance": instance, "scaling": scaling, "serving": serving, "container": container}
    return {section: value or None for section, value in sections.items()}
