"""The template, the folders, the routes and the examples tell the same story."""

import ast
import importlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.architecture import template_rules
from tests.architecture.template_rules import Template, chalice_routes
from tools import cloudformation
from tools.cloudformation import ROOT

EXPLAINED_STAR = re.compile(r"""^\s*(Resource:|- !)[^#]*\*["']?(, !Ref AWS::NoValue\])?  #""")
GOOD = """
Parameters: {Token: {NoEcho: true}}
Globals:
  Function: {Handler: handler.handler}
Resources:
  ProbeDeployment:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub ${AWS::StackName}-probe-deployment
      CodeUri: functions/probe_deployment/
      LoggingConfig: {LogGroup: !Ref Logs}
      DeadLetterQueue: {Type: SQS, TargetArn: lost}
      Environment: {Variables: {TOKEN: !Ref NameOfTheToken}}
      Policies:
        - Statement:
            # There is nothing to name: the call lists.
            - {Effect: Allow, Action: "bedrock:ListImportedModels", Resource: "*"}
            - Effect: Allow
              Action: bedrock:GetImportedModel
              Resource:
                - !Sub arn:${AWS::Partition}:bedrock:::imported-model/*  # Bedrock draws their ids
                - !Sub arn:${AWS::Partition}:states:::execution:${AWS::StackName}-deploy:*
      Events:
        Told: {Type: EventBridgeRule, Properties: {Pattern: {source: [aws.s3]}}}
        Ticked: {Type: Schedule, Properties: {Schedule: rate(1 minute), RetryPolicy: {MaximumRetryAttempts: 0}}}
        Waiting: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn, FunctionResponseTypes: [ReportBatchItemFailures]}}
  Api:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub ${AWS::StackName}-api
      CodeUri: functions/api/
      Handler: app.app
      LoggingConfig: {LogGroup: !Ref Logs}
      Events:
        Health: {Type: Api, Properties: {Path: /health, Method: get}}
  Logs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 14}}
  Queue: {Type: AWS::SQS::Queue, Properties: {RedrivePolicy: {maxReceiveCount: 3}}}
  Warm:
    Type: AWS::Serverless::StateMachine
    Properties: {Name: !Sub "${AWS::StackName}-warm", DefinitionUri: statemachines/warm.asl.yaml}
"""


@pytest.fixture(scope="module")
def template() -> Template:
    return Template(cloudformation.TEMPLATE.read_text())


def function_folders() -> list[Path]:
    return sorted(path for path in (ROOT / "functions").iterdir() if path.is_dir() and path.name != "__pycache__")


@pytest.mark.parametrize("rule", template_rules.RULES, ids=lambda rule: rule.__name__)
def test_the_template(rule: Callable[[Template], Iterator[str]], template: Template) -> None:
    assert list(rule(template)) == []


@pytest.mark.parametrize(
    ("rule", "found", "put"),
    [
        (template_rules.names_functions_after_their_folders, "-probe-deployment", "-prober"),
        (
            template_rules.names_functions_after_their_folders,
            "functions/probe_deployment/",
            "lambdas/probe_deployment/",
        ),
        (template_rules.names_functions_after_their_folders, "handler.handler", "handler.main"),
        (template_rules.names_functions_after_their_folders, "app.app", "app.handler"),
        (template_rules.names_machines_after_their_files, "-warm", "-warmer"),
        (template_rules.names_machines_after_their_files, "warm.asl.yaml", "warm.json"),
        (template_rules.explains_every_star, "            # There is nothing to name: the call lists.\n", ""),
        (template_rules.explains_every_star, "  # Bedrock draws their ids", ""),
        (template_rules.explains_every_star, "execution:${AWS::StackName}-deploy:*", "execution:*"),
        (template_rules.keeps_secrets_out_of_variables, "!Ref NameOfTheToken", "!Ref Token"),
        (template_rules.keeps_secrets_out_of_variables, "!Ref NameOfTheToken", "!Sub '${Token}'"),
        (template_rules.keeps_secrets_out_of_variables, "!Ref NameOfTheToken", "'{{resolve:secretsmanager:t}}'"),
        (template_rules.keeps_logs_for_a_while, "RetentionInDays: 14", ""),
        (
            template_rules.keeps_logs_for_a_while,
            "      LoggingConfig: {LogGroup: !Ref Logs}\n      DeadLetterQueue",
            "      DeadLetterQueue",
        ),
        (template_rules.has_no_route_twice, "Method: get", "Method: any"),
        (template_rules.has_no_route_twice, "Path: /health", "Path: '/{proxy+}'"),
        (template_rules.has_no_route_twice, "functions/api/", "functions/probe/"),
        (
            template_rules.has_no_route_twice,
            "        Health: {Type: Api, Properties: {Path: /health, Method: get}}\n",
            "        A: {Type: Api, Properties: {Path: /a, Method: get}}\n"
            "        B: {Type: Api, Properties: {Path: /a, Method: GET}}\n",
        ),
        (
            template_rules.catches_what_asynchronous_callers_drop,
            ", FunctionResponseTypes: [ReportBatchItemFailures]",
            "",
        ),
        (
            template_rules.catches_what_asynchronous_callers_drop,
            "      DeadLetterQueue: {Type: SQS, TargetArn: lost}\n",
            "",
        ),
        (template_rules.catches_what_asynchronous_callers_drop, "RedrivePolicy: {maxReceiveCount: 3}", ""),
    ],
)
def test_a_rule_finds_what_breaks_it(rule: Callable[[Template], Iterator[str]], found: str, put: str) -> None:
    assert GOOD.count(found) == 1

    assert list(rule(Template(GOOD.replace(found, put))))


def test_the_reason_of_no_star_may_be_left_out(template: Template) -> None:
    """Of the template itself, and of every one: the rule has to see each of them."""
    lines = template.text.splitlines(keepends=True)
    explained = [number for number, line in enumerate(lines) if EXPLAINED_STAR.search(line)]

    assert len(explained) >= 20
    for number in explained:
        bare = [*lines[:number], lines[number].partition("  #")[0] + "\n", *lines[number + 1 :]]
        assert list(template_rules.explains_every_star(Template("".join(bare)))), f"template.yaml:{number + 1}"


def test_no_rule_minds_what_is_right() -> None:
    assert [finding for rule in template_rules.RULES for finding in rule(Template(GOOD))] == []


def test_every_function_folder_is_deployed_and_every_deployed_folder_exists(template: Template) -> None:
    assert {path.name for path in function_folders()} == set(template.folders.values()) != set()


def test_the_routes_of_the_api_are_the_routes_of_the_template(template: Template) -> None:
    declared = [route for path in (ROOT / "functions/api").rglob("*.py") for route in chalice_routes(path.read_text())]

    assert sorted(declared) == sorted(route for _, route in template.routes)


def test_routes_are_read_with_their_methods_and_must_be_written_out() -> None:
    text = '@app.view("GET", "/a")\ndef f(): ...\n@app.view("PUT", "/a/{name}")\ndef g(): ...'

    assert list(chalice_routes(text)) == [("GET", "/a"), ("PUT", "/a/{name}")]
    with pytest.raises(ValueError, match="written out"):
        list(chalice_routes("@app.view('GET', PREFIX + '/a')\ndef f(): ..."))


def test_every_function_has_an_example_of_what_it_is_given() -> None:
    examples = {path.parent.name for path in (ROOT / "events").glob("*/*.json")}

    assert examples == {path.name for path in function_folders()} != set()


def test_every_example_is_one_that_its_function_accepts() -> None:
    for path in sorted((ROOT / "events").glob("*/*.json")):
        event = json.loads(path.read_text())
        if model := task_model(ROOT / "functions" / path.parent.name / "handler.py"):
            assert model.model_validate(event), path


def test_a_handler_tells_its_model_by_its_decorator(tmp_path: Path) -> None:
    handler = tmp_path / "handler.py"
    handler.write_text(
        "from pilotlight.contracts import DeploymentTask\n"
        "@task(DeploymentTask)\n"
        "def handler(work: DeploymentTask) -> dict[str, str]: ...\n"
    )

    model = task_model(handler)

    assert model is not None
    assert model.__name__ == "DeploymentTask"
    with pytest.raises(ValueError, match="deployment"):
        model.model_validate({})


def task_model(handler: Path) -> type[BaseModel] | None:
    """Return the contract that a handler's decorator names, or None for a handler that takes a service's event."""
    if not handler.exists():
        return None
    tree = ast.parse(handler.read_text())
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "handler"):
        for decorator in function.decorator_list:
            match decorator:
                case ast.Call(args=[ast.Name(id=name), *_]) if name in imported:
                    module, attribute = imported[name]
                    found = getattr(importlib.import_module(module), attribute)
                    return found if isinstance(found, type) and issubclass(found, BaseModel) else None
    return None
