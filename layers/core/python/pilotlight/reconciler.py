"""The composition of the reconciliation, over a runtime: one inspector for each kind of thing that there is."""

from datetime import timedelta

from pilotlight.adapters.endpoint_inventory import SageMakerInventory
from pilotlight.adapters.inventory import S3Inventory
from pilotlight.domain.pricing import rate_in
from pilotlight.runtime import Runtime
from pilotlight.services.erasing import Erasing
from pilotlight.services.inspecting import (
    InspectingDeployments,
    InspectingExecutions,
    InspectingFolders,
    InspectingModels,
    Inspector,
)
from pilotlight.services.inspecting_bytes import InspectingArtifacts, InspectingInvocations, InspectingUploadsInParts
from pilotlight.services.inspecting_endpoints import endpoint_inspectors
from pilotlight.services.reconciling import Reconciling
from pilotlight.wiring import TRANSFER

# Of the wall's time, of which a Lambda has 300 s: one item that is begun in time may take the rest.
LONGEST_PASS = timedelta(seconds=200)
TURN = timedelta(seconds=330)


def reconciling(runtime: Runtime) -> Reconciling:
    """Return the reconciliation of a runtime. What is removed comes before what is only looked at."""
    settings, clock, deployments, artifacts = runtime.settings, runtime.clock, runtime.deployments, runtime.artifacts
    inventory = S3Inventory(runtime.client("s3", TRANSFER), settings.artifact_bucket, settings.upload_bucket)
    erasing = Erasing(artifacts, runtime.bucket, clock)
    inspectors = (
        *_of_endpoints(runtime, inventory),
        InspectingModels(runtime.imports, deployments, clock, rate_in(settings.region)),
        InspectingExecutions(runtime.executions, deployments, artifacts),
        InspectingFolders(inventory, runtime.uploads, clock),
        InspectingUploadsInParts(inventory, artifacts),
        InspectingInvocations(inventory, runtime.invocations, runtime.queue_work),
        InspectingArtifacts(inventory, artifacts, deployments, runtime.executions, erasing, clock),
        InspectingDeployments(deployments, runtime.imports, clock),
    )
    return Reconciling(
        inspectors,
        runtime.passes,
        runtime.journal,
        clock,
        settings.reconcile_rules,
        longest=LONGEST_PASS * settings.clock_speed,
        turn=TURN * settings.clock_speed,
    )


def _of_endpoints(runtime: Runtime, storage: S3Inventory) -> tuple[Inspector, ...]:
    settings = runtime.settings
    inventory = SageMakerInventory(
        runtime.client("sagemaker"),
        runtime.client("application-autoscaling"),
        runtime.client("cloudwatch"),
        runtime.client("s3"),
        settings.artifact_bucket,
    )
    return endpoint_inspectors(
        inventory,
        runtime.endpoints,
        runtime.revisions,
        storage,
        runtime.bucket,
        runtime.deployments,
        runtime.clock,
        region=settings.region,
    )
