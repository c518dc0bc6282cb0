"""Whether the service may encrypt a model with a key of the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.kms.models import kms_backends

from local.bedrock.errors import invalid, service_error

if TYPE_CHECKING:
    from local.bedrock.simulation import Place


def check_key(place: Place, key: str | None) -> None:
    """Return if the key is there, enabled and symmetric, or none is asked for; raise what the service answers."""
    if key is None:
        return
    backend = kms_backends[place.account][place.region]
    found = backend.keys.get(backend.any_id_to_key_id(key))
    if found is None:
        raise service_error("AccessDeniedException", f"The key {key} does not exist or may not be used.")
    if found.key_state != "Enabled":
        raise invalid(f"The key {key} is {found.key_state}.")
    if found.key_spec != "SYMMETRIC_DEFAULT":
        raise invalid(f"The key {key} is not a symmetric key for encryption.")
