"""What containers of an endpoint wrote, or of its component: the end of the newest log stream."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.domain.endpoint import LOG_LINES_KEPT

# Source: Amazon SageMaker Developer Guide, "Log groups and streams that Amazon SageMaker AI sends to CloudWatch Logs"
GROUPS = "/aws/sagemaker/Endpoints/"
GROUPS_OF_COMPONENTS = "/aws/sagemaker/InferenceComponents/"


class EndpointLogs:
    """Implements `ports.ContainerLogs`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def last_lines(self, endpoint_name: str, component: str | None) -> Sequence[str]:
        """Return the last lines of the newest log stream of an endpoint, or of its component; none without a log."""
        group = f"{GROUPS_OF_COMPONENTS}{component}" if component else f"{GROUPS}{endpoint_name}"
        with translated(f"reading the log of endpoint {endpoint_name}"):
            try:
                streams = self._client.describe_log_streams(
                    logGroupName=group, orderBy="LastEventTime", descending=True, limit=1
                )["logStreams"]
                if not streams:
                    return ()
                events = self._client.get_log_events(
                    logGroupName=group, logStreamName=streams[0]["logStreamName"], limit=LOG_LINES_KEPT
                )["events"]
            except ClientError as exc:
                if code_of(exc) == "ResourceNotFoundException":
                    return ()
                raise
        return [str(event["message"]) for event in events]
