"""The API's refusals in the command's words: what to type, where the API says what to send."""

from pilotlight_client.errors import ApiError, PilotlightError

ANY_KEYS = "AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local"  # a simulated cloud takes any, and gets no real ones


def spoken(error: PilotlightError, s3_endpoint: str | None = None) -> str:
    """Return an error as a sentence for whoever typed a command; `s3_endpoint` is where S3 is, if not at AWS."""
    if isinstance(error, ApiError) and is_about_terms(error):
        return _about_terms(error.document.get("eula") or [], s3_endpoint)
    return str(error)


def is_about_terms(error: PilotlightError) -> bool:
    """Say whether a request was refused because nobody accepted the terms of a model."""
    return isinstance(error, ApiError) and error.document.get("field") == "accept_eula"


def _about_terms(addresses: list[str], s3_endpoint: str | None) -> str:
    aws = f"{ANY_KEYS} aws --endpoint-url {s3_endpoint}" if s3_endpoint else "aws"
    read = " && ".join(f"{aws} s3 cp {address} -" for address in addresses)
    where = f"Read them: {read}" if read else "Read them in the model's page of JumpStart"
    return (
        f"This model may be used by those who accept its licence terms. {where}\n"
        "If you accept them, add --accept-eula to the same command."
    )
