"""What the service says of an endpoint when its status changes.

Source: SageMaker developer guide, "SageMaker endpoint state change".
"""

from __future__ import annotations

from local import events
from local.sagemaker.resources import Endpoint, Status
from local.sagemaker.simulation import Simulation


def set_status(simulation: Simulation, endpoint: Endpoint, status: Status, failure_reason: str | None = None) -> None:
    """Let an endpoint have a status from this moment on, and tell the event bus."""
    endpoint.status = status
    endpoint.failure_reason = failure_reason
    endpoint.modified = simulation.moment
    detail = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config.name,
        "ProductionVariants": [
            {
                "VariantName": fleet.name,
                "CurrentWeight": fleet.weight,
                "DesiredWeight": fleet.weight,
                "CurrentInstanceCount": len(fleet.ready),
                "DesiredInstanceCount": fleet.desired,
            }
            for fleet in endpoint.fleets
        ],
        "EndpointStatus": status.in_event,
        "CreationTime": round(endpoint.created * 1000),
        "LastModifiedTime": round(endpoint.modified * 1000),
        "Tags": dict(endpoint.tags),
    }
    events.publish(
        source="aws.sagemaker",
        detail_type="SageMaker Endpoint State Change",
        detail=detail | ({"FailureReason": failure_reason} if failure_reason else {}),
        resources=[endpoint.arn],
        region=endpoint.place.region,
    )
