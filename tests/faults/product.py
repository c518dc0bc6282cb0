"""The product as every part of the proof takes it: the template in moto, handlers, and the API as it is called."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config

from local.cloudformation import deploy
from local.identity import REGION
from local.sam import translate

ROOT = Path(__file__).parents[2]
STACK = "pilotlight"
NO_HUB = "http://127.0.0.1:9"
QUIET = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
}


def deployed(client: Any, **parameters: str) -> Any:
    """Deploy the template, and give what was made of it; `client` gives clients by service."""
    given = {"PartMib": "5", "CopyStreams": "1", "HubEndpoint": NO_HUB, **parameters}
    translated = translate(ROOT / "template.yaml", given)
    return deploy(translated, stack_name=STACK, parameters=given, client=client)


def client_of(service: str, session: Any = None) -> Any:
    """Give a client that asks once and no more: of the account, or of whomever a session is for."""
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    whose: Any = session or boto3.session.Session()
    return whose.client(service, region_name=REGION, config=config)


def loaded(path: Path) -> ModuleType:
    """Give a function's module, loaded anew: a sandbox of its own."""
    name = f"faults_{path.parent.name}_{uuid4().hex}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def api_event(
    method: str,
    resource: str,
    body: Any = None,
    *,
    key: str | None = None,
    wait: int = 0,
    path: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Give a request as the gateway hands it to the API's function."""
    event: dict[str, Any] = example("api/create-deployment")
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    headers |= {"Prefer": f"wait={wait}"} if wait else {}
    taken = resource.format(**(path or {}))
    event |= {"resource": resource, "path": taken, "httpMethod": method, "headers": headers}
    event |= {"pathParameters": path or None, "body": json.dumps(body) if body is not None else None}
    event["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    event["requestContext"] |= {"resourcePath": resource, "httpMethod": method, "path": "/v1" + taken}
    return event


def example(case: str) -> Any:
    """Give an event as an example of the contracts has it."""
    return json.loads(_text(case))


@cache
def _text(case: str) -> str:
    return (ROOT / f"events/{case}.json").read_text()
