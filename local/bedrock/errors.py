"""The errors of the service, as moto sends them: with the status that the service's model gives each name."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class BedrockError(ServiceException):  # type: ignore[misc] # moto's classes have no types
    """An error by name. The class is ours because moto looks up its own by the module they come from."""


def service_error(code: str, message: str) -> BedrockError:
    """Give the exception that boto3 will raise under this name."""
    return BedrockError(code, message)


def invalid(message: str) -> BedrockError:
    """Give a ValidationException."""
    return service_error("ValidationException", message)


def not_found(message: str = "The provided model identifier is invalid.") -> BedrockError:
    """Give a ResourceNotFoundException."""
    return service_error("ResourceNotFoundException", message)


def over_quota(message: str) -> BedrockError:
    """Give a ServiceQuotaExceededException."""
    return service_error("ServiceQuotaExceededException", message)
