"""The code keeps to the layers that docs/architecture.md draws."""

from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import pytest

from tests.architecture import code_rules
from tests.architecture.code_rules import Module

CORE = "layers/core/python/pilotlight"


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return code_rules.modules()


@pytest.mark.parametrize("rule", code_rules.RULES, ids=lambda rule: rule.__name__)
def test_every_module(rule: Callable[[Module], Iterator[str]], modules: list[Module]) -> None:
    findings = [finding for module in modules for finding in rule(module)]

    assert findings == []


def test_the_rules_see_all_of_our_packages(modules: list[Module]) -> None:
    seen = {module.name.partition(".")[0] for module in modules}

    assert seen == {"pilotlight", "functions", "local", "pilotlight_client", "tools"}


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (code_rules.imports_only_what_it_may, f"{CORE}/domain/lease.py", "import boto3"),
        (code_rules.imports_only_what_it_may, f"{CORE}/domain/lease.py", "from pilotlight.ports import Clock"),
        (code_rules.imports_only_what_it_may, f"{CORE}/domain/lease.py", "from ..services import warming"),
        (code_rules.imports_only_what_it_may, f"{CORE}/contracts.py", "from pilotlight.services import warming"),
        (code_rules.imports_only_what_it_may, f"{CORE}/services/warming.py", "from pilotlight.adapters import hub"),
        (code_rules.imports_only_what_it_may, f"{CORE}/services/warming.py", "def f():\n    import botocore.config"),
        (code_rules.imports_only_what_it_may, f"{CORE}/services/warming.py", "from pilotlight.runtime import runtime"),
        (code_rules.imports_only_what_it_may, f"{CORE}/adapters/hub.py", "from pilotlight.services import staging"),
        (code_rules.imports_only_what_it_may, f"{CORE}/adapters/hub.py", "import requests"),
        (code_rules.imports_only_what_it_may, f"{CORE}/runtime.py", "import local.clock"),
        (code_rules.imports_only_what_it_may, "functions/probe/handler.py", "import boto3"),
        (code_rules.imports_only_what_it_may, "functions/probe/handler.py", "from pilotlight.adapters import hub"),
        (code_rules.imports_only_what_it_may, "functions/probe/handler.py", "import pilotlight_client"),
        (code_rules.imports_only_what_it_may, "functions/probe/handler.py", "from chalice import Chalice"),
        (code_rules.imports_nothing_forbidden, "local/cloud.py", "from pilotlight.domain import lease"),
        (code_rules.imports_nothing_forbidden, "client/pilotlight_client/api.py", "from pilotlight import contracts"),
        (code_rules.imports_nothing_forbidden, "client/pilotlight_client/api.py", "import local"),
        (code_rules.functions_do_not_import_one_another, "functions/a/handler.py", "from functions.b import handler"),
        (code_rules.names_client_errors_only_in_adapters, f"{CORE}/services/a.py", "try: f()\nexcept ClientError: g()"),
        (code_rules.names_client_errors_only_in_adapters, f"{CORE}/runtime.py", "x = botocore.exceptions.ClientError"),
        (code_rules.reads_the_environment_only_in_settings, f"{CORE}/adapters/hub.py", "import os\nos.environ['A']"),
        (code_rules.reads_the_environment_only_in_settings, "functions/a/handler.py", "from os import environ"),
        (code_rules.reads_the_environment_only_in_settings, f"{CORE}/services/a.py", "import os\nos.getenv('A')"),
        (code_rules.catches_everything_only_at_the_edge, f"{CORE}/services/a.py", "try: f()\nexcept Exception: g()"),
        (code_rules.catches_everything_only_at_the_edge, f"{CORE}/runtime.py", "try: f()\nexcept: g()"),
        (
            code_rules.catches_everything_only_at_the_edge,
            "functions/a/handler.py",
            "try: f()\nexcept (KeyError, Exception): g()",
        ),
        (code_rules.has_a_name_that_says_something, f"{CORE}/services/utils.py", ""),
        (code_rules.has_a_name_that_says_something, "local/helpers/__init__.py", ""),
        (code_rules.is_short, "functions/a/handler.py", "x = 1\n" * 46),
        (code_rules.is_short, f"{CORE}/services/a.py", "x = 1\n" * 451),
    ],
)
def test_a_rule_finds_what_breaks_it(rule: Callable[[Module], Iterator[str]], path: str, text: str) -> None:
    assert list(rule(Module(PurePosixPath(path), text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            f"{CORE}/domain/lease.py",
            "import re\nfrom pydantic import Field\nfrom pilotlight.domain import values",
        ),
        (f"{CORE}/services/warming.py", "from pilotlight.domain import warmth\nfrom pilotlight.ports import Clock"),
        (f"{CORE}/adapters/hub.py", "from botocore.exceptions import ClientError\nfrom mypy_boto3_s3 import S3Client"),
        (f"{CORE}/wiring.py", "import boto3\nfrom pilotlight.adapters.hub import Hub"),
        (f"{CORE}/runtime.py", "import os\nfrom pilotlight.services.warming import Warming\nos.environ['A']"),
        (f"{CORE}/http.py", "from chalice import Chalice\ntry: f()\nexcept Exception: g()"),
        ("functions/probe/handler.py", "from pilotlight.runtime import runtime\nfrom pilotlight.task import task"),
        ("local/demo.py", "import pilotlight_client"),
    ],
)
def test_no_rule_minds_what_is_right(path: str, text: str) -> None:
    module = Module(PurePosixPath(path), text)

    assert [finding for rule in code_rules.RULES for finding in rule(module)] == []
