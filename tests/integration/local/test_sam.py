"""How a template becomes CloudFormation, and what is refused on the way."""

from pathlib import Path

import pytest

from local.cloudformation import check
from local.sam import SOURCE_BUCKET, TemplateError, translate

SAMPLE = Path(__file__).with_name("sample") / "template.yaml"
HEAD = 'AWSTemplateFormatVersion: "2010-09-09"\nTransform: AWS::Serverless-2016-10-31\nResources:\n'


@pytest.fixture(autouse=True)
def _region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def written(folder: Path, resources: str) -> Path:
    path = folder / "template.yaml"
    path.write_text(HEAD + resources)
    return path


def test_code_and_layers_are_the_folders_themselves() -> None:
    resources = translate(SAMPLE)["Resources"]

    code = resources["Work"]["Properties"]["Code"]
    layers = [r["Properties"]["Content"] for r in resources.values() if r["Type"] == "AWS::Lambda::LayerVersion"]
    assert code == {"S3Bucket": SOURCE_BUCKET, "S3Key": str(SAMPLE.parent / "functions/work")}
    assert {"S3Bucket": SOURCE_BUCKET, "S3Key": str(SAMPLE.parent / "layers/shared")} in layers


def test_a_state_machine_in_yaml_becomes_its_definition() -> None:
    machine = translate(SAMPLE)["Resources"]["Greet"]["Properties"]

    assert "DoWork" in str(machine["DefinitionString"])
    assert machine["DefinitionSubstitutions"] == {"WorkArn": {"Fn::GetAtt": ["Work", "Arn"]}}


def test_the_sample_is_supported_as_a_whole() -> None:
    check(translate(SAMPLE))


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ("  Net: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}", r"Net: type AWS::EC2::VPC"),
        (
            "  Box: {Type: AWS::S3::Bucket, Properties: {ReplicationConfiguration: {Role: r, Rules: []}}}",
            r"Box: property ReplicationConfiguration of AWS::S3::Bucket",
        ),
        (
            "  Do: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.11, Handler: a.b, CodeUri: gone}}",
            r"Do: the folder .*gone does not exist",
        ),
        ("  Run: {Type: AWS::Serverless::StateMachine, Properties: {DefinitionUri: gone.yaml}}", r"Run: .*gone.yaml"),
        ("  Do: {Type: AWS::Serverless::Function, Properties: {Handler: a.b}}", r"no valid SAM template"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_by_name(tmp_path: Path, resources: str, said: str) -> None:
    template = written(tmp_path, resources)

    with pytest.raises(TemplateError, match=said):
        check(translate(template))


def test_everything_unsupported_is_told_at_once(tmp_path: Path) -> None:
    template = written(tmp_path, "  A: {Type: AWS::EC2::VPC}\n  B: {Type: AWS::RDS::DBCluster}")

    with pytest.raises(TemplateError, match=r"(?s)A: type.*B: type"):
        check(translate(template))
