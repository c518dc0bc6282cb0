"""Revisions: from what a user asked for and what the weights are, to all that an endpoint is made of.

A revision is known by its digest. The same wish of the same weights gives the same digest, so that a step that runs
twice, or an attempt that is made again, finds its revision and makes no other.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pilotlight.domain import names
from pilotlight.domain.artifact import Manifest, manifest_key, weights_prefix
from pilotlight.domain.bundle import bundle_key
from pilotlight.domain.bundle import digest as content_digest
from pilotlight.domain.containers import ContainerPlan, place_of_weights, plan_container
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.endpoint import REVISIONS_KEPT, Mount, Revision, RevisionStatus
from pilotlight.domain.errors import ConcurrentChange, NotFound
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.instance_rates import rate_of
from pilotlight.domain.instances import has_own_disks, instance_of
from pilotlight.domain.jumpstart import plan as plan_jumpstart
from pilotlight.domain.lmi_images import NVIDIA
from pilotlight.domain.packing import entries_to_pack
from pilotlight.domain.proposals import Proposal
from pilotlight.domain.source import Source, SourceKind
from pilotlight.domain.values import Backend
from pilotlight.ports import ArtifactBucket, Clock
from pilotlight.ports.endpoints import Revisions
from pilotlight.ports.jumpstart import JumpStartCatalogue

TRIES = 4
LONGEST_RUN_SECONDS = 3600  # Source: botocore's service model, InvokeEndpointAsync
IMAGE_GIB, LARGEST_VOLUME_GIB = 30, 512  # Source: botocore's service model, ProductionVariantVolumeSizeInGB
DEGREE_VARIABLES = ("OPTION_TENSOR_PARALLEL_DEGREE", "TENSOR_PARALLEL_DEGREE", "SM_VLLM_TENSOR_PARALLEL_SIZE")


class Revising:
    """Plans revisions and keeps them."""

    def __init__(
        self,
        revisions: Revisions,
        bucket: ArtifactBucket,
        catalogue: JumpStartCatalogue,
        clock: Clock,
        *,
        region: str,
        bucket_name: str,
    ) -> None:
        self._revisions = revisions
        self._bucket = bucket
        self._catalogue = catalogue
        self._clock = clock
        self._region = region
        self._bucket_name = bucket_name

    def first(self, deployment: Deployment) -> Revision:
        """Return the revision that a deployment begins with: that of an earlier attempt, where it is just the same."""
        hosting = deployment.hosting or Hosting()
        return self.of(deployment, hosting, deployment.proposal, reason="as it was asked for")

    def of(self, deployment: Deployment, hosting: Hosting, proposal: Proposal | None, *, reason: str) -> Revision:
        """Return the revision of a wish, kept: the newest one if it is the same, or the next.

        Raises: InvalidInput for what image, region or instance cannot do; SourceGated; NotFound; ConcurrentChange.
        """
        for tries_left in reversed(range(TRIES)):
            kept = self._revisions.newest_first(deployment.name, deployment.generation)
            wanted, bundle = self._plan(deployment, hosting, proposal, kept[0].number + 1 if kept else 1, reason)
            try:
                revision = self._kept_or_added(kept, wanted)
            except ConcurrentChange:  # somebody else has taken the number, for the same wish or for another one
                if not tries_left:
                    raise
                continue
            if revision.bundle_key and bundle and not revision.packs_weights:
                self._bucket.put(revision.bundle_key, bundle)
            return revision
        raise AssertionError("unreachable: the last try returns or raises")

    def _kept_or_added(self, kept: Sequence[Revision], wanted: Revision) -> Revision:
        if kept and kept[0].digest == wanted.digest:
            return kept[0]
        self._revisions.add(wanted)
        return wanted

    def pack(self, deployment: Deployment, revision: Revision) -> None:
        """Write the archive of a revision that packs its weights; one that is there whole stays as it is.

        It takes up to a minute. Raises: InvalidInput for weights that cannot be packed; NotFound; Unavailable,
        BodyCutShort, Throttled, after which a repeat writes the same bytes.
        """
        if revision.bundle_key is None or revision.proposal is None or deployment.artifact_id is None:
            raise _unknown(deployment)
        sealed = self._bucket.get(manifest_key(deployment.artifact_id))
        if sealed is None:
            raise NotFound(f"Artifact {deployment.artifact_id} is not sealed.", artifact_id=deployment.artifact_id)
        container = self._container(deployment, revision.hosting, revision.proposal)
        manifest = Manifest.model_validate_json(sealed)
        self._bucket.put_archive(revision.bundle_key, entries_to_pack(manifest, container.contents()))

    def find(self, deployment: Deployment, number: int) -> Revision:
        """Return a revision of a deployment. Raises: NotFound, naming those that are kept."""
        kept = self._revisions.newest_first(deployment.name, deployment.generation)
        for revision in kept:
            if revision.number == number:
                return revision
        known = ", ".join(str(revision.number) for revision in reversed(kept)) or "none"
        raise NotFound(
            f"Deployment {deployment.name} keeps no revision {number}; it keeps {known}.",
            deployment=deployment.name,
            revision=number,
        )

    def kept(self, deployment: Deployment) -> list[Revision]:
        """Return the revisions that are kept, the newest first."""
        return self._revisions.newest_first(deployment.name, deployment.generation)

    def forget(self, revision: Revision) -> None:
        """Remove a revision's record, and its bundle."""
        if revision.bundle_key:
            self._bucket.delete(revision.bundle_key)
        self._revisions.forget(revision)

    def mark(self, revision: Revision, status: RevisionStatus) -> None:
        """Note what became of a revision."""
        if revision.status is not status:
            self._revisions.put(revision.changed(status=status))

    def to_forget(self, deployment: Deployment, *spared: int | None) -> list[Revision]:
        """Return the revisions that are beyond those that are kept for a rollback, without those that are spared."""
        kept = self._revisions.newest_first(deployment.name, deployment.generation)
        return [revision for revision in kept[REVISIONS_KEPT:] if revision.number not in spared]

    def _plan(
        self, deployment: Deployment, hosting: Hosting, proposal: Proposal | None, number: int, reason: str
    ) -> tuple[Revision, bytes | None]:
        """Return the revision of a wish under that number, and its bundle where it has one."""
        source = Source.parse(deployment.source)
        common: dict[str, Any] = {
            "deployment": deployment.name,
            "generation": deployment.generation,
            "number": number,
            "model_name": names.revision_name(deployment.name, deployment.generation, number),
            "config_name": names.revision_name(deployment.name, deployment.generation, number),
            "scaling": hosting.scaling.for_backend(deployment.backend),
            "hosting": hosting,
            "proposal": proposal,
            "created_at": self._clock.now(),
            "reason": reason,
        }
        if source.kind is SourceKind.JUMPSTART:
            made, bundle = self._of_jumpstart(deployment, hosting, source), None
        else:
            made, bundle = self._of_artifact(deployment, hosting, proposal, number)
        return Revision(**common, **made, digest=_digest(deployment, hosting, made, bundle)), bundle

    def _of_artifact(
        self, deployment: Deployment, hosting: Hosting, proposal: Proposal | None, number: int
    ) -> tuple[dict[str, Any], bytes | None]:
        """Return what a revision of staged weights is made of, and its bundle."""
        if proposal is None or deployment.artifact_id is None:
            raise _unknown(deployment)
        container = self._container(deployment, hosting, proposal)
        bundle, packs = container.bundle(), hosting.serving.packs_weights
        key = bundle_key(deployment.name, deployment.generation, number) if bundle or packs else None
        weights = f"s3://{self._bucket_name}/{weights_prefix(deployment.artifact_id)}"
        mounts = [] if packs else [Mount(uri=weights, channel=container.model_source.weights_channel)]
        if key:
            mounts.insert(0, Mount(uri=f"s3://{self._bucket_name}/{key}", compressed=True))
        made = {
            "instance_type": proposal.instance_type,
            "usd_per_hour": proposal.usd_per_hour,
            "tensor_parallel_degree": proposal.tensor_parallel_degree,
            "why": proposal.why,
            "image": container.image,
            "environment": container.environment,
            "mounts": tuple(mounts),
            "bundle_key": key,
            "network_isolation": container.network_isolation,
            "health_check_timeout_seconds": container.health_check_timeout_seconds,
            "download_timeout_seconds": container.download_timeout_seconds,
            "inference_ami_version": container.inference_ami_version,
            "volume_gib": _volume_gib(proposal),
        }
        return made, bundle

    def _container(self, deployment: Deployment, hosting: Hosting, proposal: Proposal) -> ContainerPlan:
        """Return the container of a wish, on the instance that is proposed for it. Raises: InvalidInput."""
        instance = instance_of(proposal.instance_type)
        return plan_container(
            hosting.serving,
            hosting.container,
            region=self._region,
            weights=place_of_weights(hosting.serving),
            facts_options={**proposal.options, **_patience(deployment.backend)},
            tensor_parallel_degree=proposal.tensor_parallel_degree,
            accelerator=instance.kind if instance else NVIDIA,
        )

    def _of_jumpstart(self, deployment: Deployment, hosting: Hosting, source: Source) -> dict[str, Any]:
        """Return what a revision of a JumpStart model is made of: its weights stay where AWS keeps them."""
        pinned = source.at(deployment.revision) if deployment.revision else source
        plan = plan_jumpstart(
            self._catalogue.resolve(pinned),
            region=self._region,
            instance_type=hosting.instance.type,
            environment=hosting.container.environment,
            accept_eula=hosting.accept_eula,
        )
        data = [(None, plan.model_data), *((channel.name, channel.data) for channel in plan.channels)]
        instance = instance_of(plan.instance_type)
        return {
            "instance_type": plan.instance_type,
            "usd_per_hour": rate_of(plan.instance_type, self._region).usd_per_hour,
            "tensor_parallel_degree": _degree(plan.environment) or (instance.shares if instance else None),
            "why": " ".join(plan.notes) or "JumpStart proposes it",
            "image": plan.image,
            "environment": dict(plan.environment),
            "mounts": tuple(
                Mount(uri=each.uri, channel=channel, compressed=each.compression == "Gzip", gated=each.gated)
                for channel, each in data
            ),
            "volume_gib": plan.volume_gib,
            "network_isolation": plan.network_isolation,
            "health_check_timeout_seconds": (
                plan.health_check_timeout_seconds or hosting.container.health_check_timeout_seconds
            ),
            "download_timeout_seconds": (plan.download_timeout_seconds or hosting.container.download_timeout_seconds),
            "inference_ami_version": plan.inference_ami_version,
        }


def _unknown(deployment: Deployment) -> NotFound:
    return NotFound(
        f"The record of {deployment.name} tells neither weights nor an instance for them: delete it, and deploy it "
        "again.",
        deployment=deployment.name,
    )


def _volume_gib(proposal: Proposal) -> int | None:
    """Return room for the weights, once more for what is made of them, and for the image; None on own disks."""
    if has_own_disks(proposal.instance_type):
        return None
    return min(IMAGE_GIB + 2 * math.ceil(proposal.needed_gib), LARGEST_VOLUME_GIB)


def _patience(backend: Backend) -> dict[str, str]:
    """Return how long a handler may take: an asynchronous call an hour, where LMI's image gives up after minutes."""
    return {"predict_timeout": str(LONGEST_RUN_SECONDS)} if backend is Backend.SAGEMAKER_ASYNC else {}


def _degree(environment: Mapping[str, str]) -> int | None:
    """Return over how many accelerators a container's variables spread a model, where they tell."""
    told = (environment.get(name, "") for name in DEGREE_VARIABLES)
    return next((int(text) for text in told if text.isascii() and text.isdigit()), None)


def _digest(deployment: Deployment, hosting: Hosting, made: dict[str, Any], bundle: bytes | None) -> str:
    """Return what tells one revision from another, whatever its number: what is asked for, and what comes of it.

    That is in the bundle, too: what the checkpoint asks for is written into its serving.properties.
    """
    told = {key: value for key, value in made.items() if key not in ("why", "usd_per_hour", "bundle_key", "mounts")}
    told["bundle"] = content_digest(bundle) if bundle else None
    told |= {"artifact": deployment.artifact_id, "revision": deployment.revision, "hosting": hosting.dump()}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:32]
