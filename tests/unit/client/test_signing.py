import socket

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.session import Session
from pilotlight_client import Pilotlight
from pilotlight_client.errors import NotConfigured
from pilotlight_client.signing import auth_for, is_loopback

GATEWAY = "https://abc123.execute-api.eu-central-1.amazonaws.com/Prod"


@pytest.fixture
def session() -> Session:
    made = Session()
    made.set_credentials("AKIDEXAMPLE", "wJalrXUtnFEMI", "a-session-token")
    return made


@pytest.fixture
def seen() -> list[httpx.Request]:
    return []


@pytest.fixture
def client(session, seen):
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"items": [], "id": "i1", "name": "demo", "status": "SUCCEEDED"})

    return Pilotlight(GATEWAY, session=session, transport=httpx.MockTransport(answer))


def authorization_by_botocore(request: httpx.Request, region: str) -> str:
    """Sign what went over the wire again, with the date of the request, and return the header."""
    headers = {"content-type": request.headers["content-type"]} if "content-type" in request.headers else {}
    again = AWSRequest(method=request.method, url=str(request.url), data=request.content, headers=headers)
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI", "a-session-token"), "execute-api", region)
    again.context["timestamp"] = request.headers["X-Amz-Date"]
    signer._modify_request_before_signing(again)
    del again.headers["X-Amz-Date"]
    again.headers["X-Amz-Date"] = request.headers["X-Amz-Date"]
    signature = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    signer._inject_signature_to_request(again, signature)
    return again.headers["Authorization"]


def test_a_request_to_a_gateway_carries_the_signature_that_botocore_computes(client, seen):
    client.deploy("hf://org/model", name="demo", tags={"größe": "8B"})

    request = seen[0]
    assert str(request.url) == f"{GATEWAY}/deployments"
    assert request.headers["X-Amz-Security-Token"] == "a-session-token"
    assert request.headers["Authorization"] == authorization_by_botocore(request, "eu-central-1")
    assert "eu-central-1/execute-api/aws4_request" in request.headers["Authorization"]


def test_a_query_is_signed_as_it_is_sent(client, seen):
    client.deployments(cursor="a b/c+d=", limit=5)

    request = seen[0]
    assert request.url.query == b"cursor=a%20b%2Fc%2Bd%3D&limit=5"
    assert request.headers["Authorization"] == authorization_by_botocore(request, "eu-central-1")


def test_only_what_no_proxy_touches_is_signed(client, seen):
    client.invoke("demo", "Hi", wait_seconds=0)

    signed = seen[0].headers["Authorization"].split("SignedHeaders=")[1].split(",")[0]
    assert signed == "content-type;host;x-amz-date;x-amz-security-token"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_this_machine_takes_unsigned_requests(host):
    assert is_loopback(host)
    assert auth_for(httpx.URL(scheme="http", host=host)) is None


@pytest.mark.parametrize("host", ["localhost.example.com", "10.0.0.1", "127.0.0.1.nip.io", socket.gethostname() + "."])
def test_no_other_host_passes_for_this_machine(host):
    assert not is_loopback(host)


def test_prompts_never_travel_openly_to_another_machine(session):
    with pytest.raises(NotConfigured, match="not https"):
        auth_for(httpx.URL("http://pilotlight.example.com"), session=session)


def test_missing_credentials_are_named(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(NotConfigured, match="no AWS credentials were found"):
        auth_for(httpx.URL(GATEWAY))


def test_a_name_of_one_s_own_takes_its_region_from_the_environment(monkeypatch, session, seen):
    monkeypatch.setenv("AWS_REGION", "ap-east-1")
    transport = httpx.MockTransport(lambda request: seen.append(request) or httpx.Response(200, json={}))

    Pilotlight("https://llm.example.com", session=session, transport=transport).health()

    assert "ap-east-1/execute-api" in seen[0].headers["Authorization"]


def test_a_region_that_nobody_names_is_asked_for(monkeypatch, session, tmp_path):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with pytest.raises(NotConfigured, match="set AWS_REGION"):
        auth_for(httpx.URL("https://llm.example.com"), session=session)


def test_a_profile_that_does_not_exist_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with pytest.raises(NotConfigured, match="nobody"):
        auth_for(httpx.URL(GATEWAY), profile="nobody")
