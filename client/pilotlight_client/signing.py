"""AWS Signature Version 4 for a deployed API; a local one takes unsigned requests from this machine."""

# ruff: noqa: PLC0415 (AWS's libraries are imported on first use, so that other commands start fast)

import ipaddress
import os
import re
from collections.abc import Generator
from typing import TYPE_CHECKING

import httpx

from pilotlight_client.errors import NotConfigured

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from botocore.session import Session

SERVICE = "execute-api"
_GATEWAY = re.compile(r"\.execute-api\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?$")
_SIGNED_HEADERS = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class SigV4(httpx.Auth):
    """Signs each request for API Gateway, with the credentials that botocore finds.

    Credentials are looked up once and refreshed by botocore where they expire.
    """

    requires_request_body = True

    def __init__(self, credentials: "Credentials", region: str) -> None:
        self._credentials = credentials
        self._region = region

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the signature. Only host, content type and the x-amz headers are signed: proxies may touch the others."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        signed = AWSRequest(
            method=request.method,
            url=str(request.url),
            data=request.content,
            headers={"content-type": request.headers["content-type"]} if "content-type" in request.headers else {},
        )
        SigV4Auth(self._credentials.get_frozen_credentials(), SERVICE, self._region).add_auth(signed)
        for name in _SIGNED_HEADERS:
            if name in signed.headers:
                request.headers[name] = signed.headers[name]
        yield request


def auth_for(url: httpx.URL, *, profile: str | None = None, session: "Session | None" = None) -> httpx.Auth | None:
    """Return what signs requests to that URL: nothing for this machine, Signature Version 4 for any other.

    Raises: NotConfigured, naming what is missing.
    """
    if is_loopback(url.host):
        return None
    if url.scheme != "https":
        raise NotConfigured(f"{url} is not on this machine and not https: prompts and signatures would travel openly.")

    from botocore.exceptions import BotoCoreError
    from botocore.session import Session as NewSession

    try:
        session = session or NewSession(profile=profile)
        credentials = session.get_credentials()
        region = _region_of(url) or session.get_config_variable("region")
    except BotoCoreError as exc:
        raise NotConfigured(f"The AWS configuration cannot be used to sign for {url.host}: {exc}") from exc
    if credentials is None:
        raise NotConfigured(
            f"{url.host} takes signed requests and no AWS credentials were found: log in, or set AWS_PROFILE."
        )
    if not region:
        raise NotConfigured(f"The region of {url.host} cannot be told from its name: set AWS_REGION.")
    return SigV4(credentials, region)


def _region_of(url: httpx.URL) -> str | None:
    match = _GATEWAY.search(url.host)
    return match["region"] if match else os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
