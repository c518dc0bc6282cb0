"""The API's refusals in the command's words: what to type, where the API says what to send."""

from pilotlight_client.errors import ApiError, PilotlightError


def spoken(error: PilotlightError) -> str:
    """Return an error as a sentence for whoever typed a command."""
    if isinstance(error, ApiError) and error.document.get("field") == "accept_eula":
        return _about_terms(error.document.get("eula") or [])
    return str(error)


def _about_terms(addresses: list[str]) -> str:
    read = " && ".join(f"aws s3 cp {address} -" for address in addresses)
    where = f"Read them: {read}" if read else "Read them in the model's page of JumpStart"
    return (
        f"This model may be used by those who accept its licence terms. {where}\n"
        "If you accept them, add --accept-eula to the same command."
    )
