"""The SNS topic that tells people."""

import json
from typing import Any

from pilotlight.adapters.aws_errors import translated


class SnsTopic:
    """Implements `ports.Topic`."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, message: dict[str, Any], *, event: str) -> None:
        """Tell everyone who subscribed; `event` is an attribute to filter by."""
        with translated(f"telling {event}"):
            self._client.publish(
                TopicArn=self._arn,
                Subject=f"Pilotlight: {message.get('deployment', 'the stack')} {event}"[:100],
                Message=json.dumps(message, sort_keys=True),
                MessageAttributes={"event": {"DataType": "String", "StringValue": event}},
            )
