"""Bodies that lie in buckets: where they may be uploaded, and which of others' may be named."""

from fnmatch import fnmatchcase

from ulid import ULID

from pilotlight.contracts import InputUpload, InputView
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.invocation_request import InputRequest
from pilotlight.domain.values import Backend
from pilotlight.ports import Deployments, InvocationBodies


class Inputs:
    """Gives places for inputs, and judges those that callers name."""

    def __init__(self, deployments: Deployments, bodies: InvocationBodies, source_buckets: str) -> None:
        """Take the pattern of buckets that the stack may read: a name, in which * stands for anything, or nothing."""
        self._deployments = deployments
        self._bodies = bodies
        self._source_buckets = source_buckets

    def place(self, name: str, request: InputRequest) -> InputView:
        """Return where an input for a deployment may be uploaded.

        Raises: NotServing; InvalidInput for a backend that reads no inputs.
        """
        deployment = self._deployments.get(name).require_serving()
        if deployment.backend is not Backend.SAGEMAKER_ASYNC:
            raise InvalidInput(
                f"{deployment.backend} reads no inputs from a bucket: send what is asked in the call, or deploy with "
                f"the backend {Backend.SAGEMAKER_ASYNC}.",
                field="backend",
                rule=f"{Backend.SAGEMAKER_ASYNC}",
            )
        address = self._bodies.upload_address(str(ULID()).lower(), request)
        return InputView(
            input=address.location,
            upload=InputUpload(url=address.url, headers=address.headers),
            expires_at=address.expires_at,
        )

    def require_readable(self, location: str | None) -> None:
        """Refuse an input that SageMaker's role could not read, or that is somebody else's. Raises: InvalidInput.

        In our own bucket only what was uploaded as an input may be named: its other objects are others' requests and
        answers, and weights. It must be there: an instance would be started for nothing. Into others' we do not look.
        """
        if location is None:
            return
        if self._bodies.is_input(location):
            self._require_uploaded(location)
            return
        bucket = location.removeprefix("s3://").partition("/")[0]
        is_ours = location.startswith(f"s3://{self._bodies.bucket}/")
        if self._source_buckets and not is_ours and fnmatchcase(bucket, self._source_buckets):
            return
        allowed = f"buckets named {self._source_buckets}" if self._source_buckets else "no bucket of yours"
        raise InvalidInput(
            f"The input may not be read from {bucket}: the stack's parameter SourceBuckets lets {allowed} be read. "
            "Upload it to the address that POST /deployments/{name}/inputs gives, or name the bucket in SourceBuckets.",
            field="input",
            rule="a bucket that SourceBuckets names, or an uploaded input",
        )

    def _require_uploaded(self, location: str) -> None:
        if self._bodies.stored(location) is None:
            raise InvalidInput(
                f"There is no input at {location}: it was never uploaded there, or more than seven days ago. Upload it "
                "to the address that POST /deployments/{name}/inputs gives, and name that then.",
                field="input",
                rule="an uploaded input",
            )
