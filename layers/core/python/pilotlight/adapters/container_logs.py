"""What containers of an endpoint wrote: the end of its newest log stream."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.domain.endpoint import LOG_LINES_KEPT

GROUPS = "/aws/sagemaker/Endpoints/"  # Source: Amazon SageMaker Developer Guide, "Log groups and streams"


class EndpointLogs:
    """Implements `ports.ContainerLogs`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def last_lines(self, endpoint_name: str) -> Sequence[str]:
        """Return the last lines of an endpoint's newest log stream; none where there is no log."""
        group = f"{GROUPS}{endpoint_name}"
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
