"""The execution role: who may assume it, and what it may do."""

from __future__ import annotations

from moto.iam.exceptions import NotFoundException

from local.authorization import Call, Role, Service, decide, may
from local.authorization.sources import of_resource
from local.jumpstart import is_gated
from local.sagemaker.errors import invalid
from local.sagemaker.places import Place

SERVICE = "sagemaker.amazonaws.com"
_SESSION = "SageMaker"


def check_assumable(role_arn: str, place: Place) -> None:
    """Return if the service may assume a role. Raises: ValidationException."""
    call = Call.of(Service(SERVICE, place.arn("model", "new")), "sts:AssumeRole", role_arn)
    try:
        allowed = decide(call, [], of_resource(call)).allowed
    except NotFoundException:
        allowed = False
    if not allowed:
        raise invalid(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            f"'{SERVICE}' to assume the role."
        )


def may_read(role_arn: str, bucket: str, key: str) -> bool:
    """Say whether a role may read an object."""
    return may(_reader(role_arn, bucket), "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")


def may_list(role_arn: str, bucket: str, prefix: str) -> bool:
    """Say whether a role may list what lies under a prefix."""
    return may(_reader(role_arn, bucket), "s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": prefix})


def _reader(role_arn: str, bucket: str) -> Role | Service:
    """Give who reads a bucket: the role; gated models, whose terms a model has to accept, the service itself."""
    return Service(SERVICE, role_arn) if is_gated(bucket) else Role(role_arn, _SESSION)


def may_write(role_arn: str, bucket: str, key: str) -> bool:
    """Say whether a role may write an object."""
    return may(Role(role_arn, _SESSION), "s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")


def may_publish(role_arn: str, topic_arn: str) -> bool:
    """Say whether a role may publish to a topic."""
    return may(Role(role_arn, _SESSION), "sns:Publish", topic_arn)


def may_log(role_arn: str, place: Place, group: str, stream: str, *, is_new: bool) -> bool:
    """Say whether a role may write a log, and begin its group if that is new: otherwise the log is nowhere."""
    role, arn = Role(role_arn, _SESSION), f"arn:aws:logs:{place.region}:{place.account}:log-group:{group}"
    if is_new and not may(role, "logs:CreateLogGroup", arn):
        return False
    return all(
        may(role, f"logs:{action}", f"{arn}:log-stream:{stream}") for action in ("CreateLogStream", "PutLogEvents")
    )


def may_pull(role_arn: str, place: Place, image: str) -> bool:
    """Say whether a role may pull an image from a private registry of ECR."""
    registry, _, rest = image.partition("/")
    if ".dkr.ecr." not in registry:
        return True
    owner, repository = registry.partition(".")[0], rest.partition("@")[0].partition(":")[0]
    arn = f"arn:aws:ecr:{place.region}:{owner}:repository/{repository}"
    role = Role(role_arn, _SESSION)
    return may(role, "ecr:GetAuthorizationToken", "*") and all(
        may(role, f"ecr:{action}", arn)
        for action in ("BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage")
    )
