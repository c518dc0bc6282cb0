"""Ask an asynchronous endpoint with boto3 alone, as any program that knows SageMaker may.

    python examples/boto3_async.py ENDPOINT "What keeps a model warm?" [--input-bucket BUCKET]

ENDPOINT is what `pilotlight status NAME` shows; it stays the same through updates. A cold one takes the request, too,
and starts an instance because of it: that is when waiting takes minutes.
"""

import argparse
import json
import sys
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ONCE = Config(retries={"total_max_attempts": 1})  # a repeated invocation is generated, and billed, twice
NOT_YET = {"NoSuchKey", "404", "AccessDenied", "403"}  # who may not list a bucket is denied what is not there


def main() -> int:
    """Return 0 once the answer is printed, 1 where there is a failure instead, 2 where the time is over."""
    parser = argparse.ArgumentParser(description="Ask an asynchronous endpoint of SageMaker's.")
    parser.add_argument("endpoint")
    parser.add_argument("prompt")
    parser.add_argument("--input-bucket", help="a bucket that the endpoint's role may read; else the input goes along")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds")
    parser.add_argument("--poll", type=float, default=2.0, help="seconds")
    wanted = parser.parse_args()

    s3: Any = boto3.client("s3")
    describe(wanted.endpoint)
    sent = send(s3, wanted.endpoint, wanted.prompt, wanted.input_bucket)
    ends = time.monotonic() + wanted.timeout
    while time.monotonic() < ends:
        if (answer := read(s3, sent["OutputLocation"])) is not None:
            print(json.loads(answer)["generated_text"])
            return 0
        if (failure := read(s3, sent.get("FailureLocation"))) is not None:
            print(failure.decode(errors="replace"), file=sys.stderr)
            return 1
        time.sleep(wanted.poll)
    print(f"No answer yet. It will lie at {sent['OutputLocation']}", file=sys.stderr)
    return 2


def describe(endpoint: str) -> None:
    """Tell whether somebody is there to answer."""
    sagemaker: Any = boto3.client("sagemaker")
    told = sagemaker.describe_endpoint(EndpointName=endpoint)
    instances = sum(variant.get("CurrentInstanceCount", 0) for variant in told["ProductionVariants"])
    cold = "" if instances else ": it is cold, and starts one for this request"
    print(f"{endpoint} is {told['EndpointStatus']} with {instances} instances{cold}", file=sys.stderr)


def send(s3: Any, endpoint: str, prompt: str, bucket: str | None) -> dict[str, Any]:
    """Return where the answer, or the failure, will lie."""
    body = json.dumps({"inputs": prompt, "parameters": {"max_new_tokens": 64}}).encode()
    identity = uuid.uuid4().hex
    where: dict[str, Any] = {"Body": body}
    if bucket:
        key = f"inputs/{identity}.json"
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
        where = {"InputLocation": f"s3://{bucket}/{key}"}
    runtime: Any = boto3.client("sagemaker-runtime", config=ONCE)
    sent: dict[str, Any] = runtime.invoke_endpoint_async(
        EndpointName=endpoint,
        ContentType="application/json",
        Accept="application/json",
        InferenceId=identity,
        RequestTTLSeconds=3600,
        InvocationTimeoutSeconds=900,
        **where,
    )
    return sent


def read(s3: Any, location: str | None) -> bytes | None:
    """Return what lies there, or None while nothing does."""
    if location is None:
        return None
    parts = urlsplit(location)
    try:
        return bytes(s3.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))["Body"].read())
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] in NOT_YET:
            return None
        raise


if __name__ == "__main__":
    sys.exit(main())
