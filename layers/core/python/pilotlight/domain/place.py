"""Where a backend does its work for us, and under which key it keeps what it makes."""

from pilotlight.domain.values import Model


class Place(Model):
    """The key and the network that whatever makes a model or an endpoint passes on; empty is the service's own."""

    kms_key_arn: str | None = None
    subnet_ids: list[str] = []
    security_group_ids: list[str] = []
