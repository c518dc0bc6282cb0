"""The role that an import job reads weights with: who may assume it, and what it may read."""

from __future__ import annotations

from moto.iam.exceptions import NotFoundException

from local.authorization import Call, Role, Service, decide, may
from local.authorization.sources import of_resource
from local.bedrock.simulation import Place
from local.bedrock.staged import Staged, UnimportableError

SERVICE = "bedrock.amazonaws.com"


def is_assumable(role_arn: str, place: Place) -> bool:
    """Say whether the role exists and lets Bedrock assume it for an import job."""
    call = Call.of(Service(SERVICE, place.arn("model-import-job")), "sts:AssumeRole", role_arn)
    try:
        return decide(call, [], of_resource(call)).allowed
    except NotFoundException:
        return False


def check_reading(role_arn: str, staged: Staged) -> None:
    """Return if the role may list and read a checkpoint. Raises: UnimportableError."""
    role = Role(role_arn, "bedrock")
    bucket, _, prefix = staged.s3_uri.removeprefix("s3://").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    listed = may(role, "s3:ListBucket", arn, {"s3:prefix": prefix})
    if not listed or not all(may(role, "s3:GetObject", f"{arn}/{key.name}") for key in staged.objects.values()):
        raise UnimportableError(f"Unable to access {staged.s3_uri}: the role {role_arn} may not read it.")
