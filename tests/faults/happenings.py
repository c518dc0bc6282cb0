"""What users, strangers and misfortune do to a stack, one function each: occasions are made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pilotlight.domain import names

from local.identity import ACCOUNT_ID, REGION
from tests.faults.product import STACK
from tests.faults.stack import SOURCE_BUCKET, Stack
from tests.faults.workflows import DONOR, NAME, PROMPT, Visit, deploy, held_by_another, insist, tear_down, wanted

OWN_ROLE = "pilotlight-import-own"
Act = Callable[[Stack], object]


def machine_arn(machine: str) -> str:
    """Give a state machine's ARN."""
    return f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:{STACK}-{machine}"


def deploys(size: str = "small", **fields: Any) -> Act:
    return lambda stack: deploy(stack, Visit(), size, **fields)


def removed(stack: Stack) -> None:
    tear_down(stack, Visit())


def asked(method: str, resource: str, body: Any = None, **more: Any) -> Act:
    """Ask the API about the deployment, and let come what comes."""

    def ask(stack: Stack) -> None:
        stack.ask(method, resource, body, name=NAME, **more)
        stack.settle()

    return ask


warmed = asked("POST", "/deployments/{name}/warm-up")
invoked = asked("POST", "/deployments/{name}/invocations", PROMPT)
held = asked("POST", "/deployments/{name}/invocations", PROMPT, wait=25)


def spent(stack: Stack) -> None:
    """Let more be spent in this month than the ceiling."""
    month = stack.clock.now().strftime("%Y-%m")
    item = {"pk": {"S": f"DEPLOYMENT#{NAME}"}, "sk": {"S": f"SPENT#{month}"}, "usd": {"N": "100000"}}
    stack.client("dynamodb").put_item(TableName=stack.outputs["TableName"], Item=item)


def forgotten(bucket: str, prefix: str) -> Act:
    """Let objects be deleted that somebody is about to read."""

    def forget(stack: Stack) -> None:
        s3, name = stack.client("s3"), getattr(stack, bucket, bucket)
        for each in s3.list_objects_v2(Bucket=name, Prefix=prefix).get("Contents", ()):
            s3.delete_object(Bucket=name, Key=each["Key"])

    return forget


expired = forgotten("artifact_bucket", "invocations/")


def in_turn(*acts: Act) -> Act:
    """Do one thing after another."""
    return lambda stack: [act(stack) for act in acts]


def uploads(marked: bool = True) -> Act:
    """Upload the small checkpoint."""

    def upload(stack: Stack) -> None:
        s3 = stack.client("s3")
        for each in s3.list_objects_v2(Bucket=SOURCE_BUCKET, Prefix="models/small/")["Contents"]:
            body = s3.get_object(Bucket=SOURCE_BUCKET, Key=each["Key"])["Body"].read()
            s3.put_object(
                Bucket=stack.upload_bucket, Key=each["Key"].replace("models/small", f"uploads/{NAME}"), Body=body
            )
        if marked:
            s3.put_object(Bucket=stack.upload_bucket, Key=f"uploads/{NAME}/_COMPLETE", Body=b"")
        stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED"))

    return upload


def told_late_of_a_mark(stack: Stack) -> None:
    """Let word of a mark come again once a newer file lies in its folder, and the folder has rested."""
    uploads()(stack)
    stack.clock.sleep(1)  # S3 tells whole seconds
    s3 = stack.client("s3")
    key = f"uploads/{NAME}/config.json"
    body = s3.get_object(Bucket=stack.upload_bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=stack.upload_bucket, Key=key, Body=body + b" ")
    swept(stack)
    swept(stack)
    detail = {"bucket": {"name": stack.upload_bucket}, "object": {"key": f"uploads/{NAME}/_COMPLETE"}}
    stack.lambdas.send("note_upload", {"id": "late", "detail": detail})
    stack.clock.sleep(60)


def judged(stack: Stack) -> None:
    """Have sources of every kind judged by the API alone."""
    uploads()(stack)
    for source in (
        "hf://acme/small",
        f"s3://{SOURCE_BUCKET}/models/small/",
        f"s3://{stack.upload_bucket}/uploads/{NAME}/",
    ):
        insist(stack, Visit(), "POST", "/preflight", {"source": source})


def looked_over(stack: Stack) -> None:
    """Read every list that the API gives."""
    for resource in ("/deployments", "/uploads", "/orphans", "/deployments/{name}/events", "/deployments/{name}"):
        stack.ask("GET", resource, name=NAME)


def placed(stack: Stack) -> None:
    """Begin to upload a folder at signed addresses, and go on with it."""
    large = {"path": "model.safetensors", "size_bytes": 10**9}
    for _ in range(2):
        insist(stack, Visit(), "POST", "/uploads", {"name": NAME, "files": [large]})
    part = {"size_bytes": 10**6, "checksum_crc32": "AAAAAA=="}
    stack.ask("POST", "/uploads/{name}/addresses", {"path": "config.json", "parts": [part]}, name=NAME)


def with_an_own_role(stack: Stack) -> None:
    """Import with a role that the user made after ours."""
    iam = stack.client("iam")
    ours = iam.get_role(RoleName=stack.resources["ImportRole"])["Role"]
    made = iam.create_role(RoleName=OWN_ROLE, AssumeRolePolicyDocument=json.dumps(ours["AssumeRolePolicyDocument"]))
    for name in iam.list_role_policies(RoleName=ours["RoleName"])["PolicyNames"]:
        document = json.dumps(iam.get_role_policy(RoleName=ours["RoleName"], PolicyName=name)["PolicyDocument"])
        iam.put_role_policy(RoleName=OWN_ROLE, PolicyName=name, PolicyDocument=document)
    deploy(stack, Visit(), "small", import_role_arn=made["Role"]["Arn"])
    for name in iam.list_role_policies(RoleName=OWN_ROLE)["PolicyNames"]:
        iam.delete_role_policy(RoleName=OWN_ROLE, PolicyName=name)
    iam.delete_role(RoleName=OWN_ROLE)


def swept(stack: Stack) -> None:
    """Let the sweep look at what is due within some minutes."""
    for _ in range(3):
        stack.clock.sleep(60)
        stack.sweep()


def given_up(stack: Stack) -> None:
    """Let a queued invocation be a dead letter before anybody answered it."""
    stack.bedrock.knobs.never_ready = True
    told = stack.ask("POST", "/deployments/{name}/invocations", PROMPT, name=NAME).body
    letter = json.dumps({"invocation_id": told["id"], "correlation_id": told.get("correlation_id")})
    stack.client("sqs").send_message(QueueUrl=stack.resources["DeadInvocations"], MessageBody=letter)
    stack.clock.sleep(60)


def unanswered(stack: Stack) -> None:
    """Ask for an answer whose body has expired."""
    told = stack.ask("POST", "/deployments/{name}/invocations", PROMPT, name=NAME).body
    stack.settle()
    expired(stack)
    stack.ask("GET", "/invocations/{invocation_id}", invocation_id=told["id"])


def lost_events(stack: Stack) -> None:
    """Send functions what they cannot take."""
    for function in ("note_upload", "fail_execution", "note_endpoint", "note_result"):
        stack.lambdas.send(function, {})
    stack.clock.sleep(600)


def stops_executions(machine: str) -> Act:
    """Let somebody stop what a machine runs."""

    def stop(stack: Stack) -> None:
        states = stack.client("stepfunctions")
        for each in states.list_executions(stateMachineArn=machine_arn(machine), statusFilter="RUNNING")["executions"]:
            states.stop_execution(executionArn=each["executionArn"])

    return stop


def gone(stack: Stack) -> str:
    """Begin with a deployment that is gone, and give the artifact that went with it."""
    deploy(stack, Visit(), "large")
    (artifact,) = (id_ for id_, each in stack.records("ARTIFACT").items() if f"{NAME}-g1" in str(each["users"]))
    tear_down(stack, Visit())
    return artifact


def stray_executions(stack: Stack) -> None:
    """Begin with executions for what is gone; nothing ever moves them."""
    artifact, now = gone(stack), stack.clock.now()
    runs = {
        "deploy": names.run_name(NAME, 1, 1, now),
        "warm": names.wake_name(NAME, 1, "01m7xjagxm6yf0jp19hg6gaf1n", now),
        "teardown": names.teardown_name(NAME, 1, 1, now),
        "update": names.update_name(NAME, 1, 1, now),
        "stage-artifact": names.staging_name(artifact, 1, now),
    }
    task = json.dumps({"deployment": NAME, "generation": 1, "attempt": 9, "correlation_id": "stray"})
    for machine, name in runs.items():
        stack.client("stepfunctions").start_execution(stateMachineArn=machine_arn(machine), name=name, input=task)
    stack.agenda.clear()


def half_erased(stack: Stack) -> None:
    """Begin with an artifact of which an erasure left the record, and a body that nobody asked for."""
    artifact = gone(stack)
    table, key = stack.outputs["TableName"], {"pk": {"S": f"ARTIFACT#{artifact}"}, "sk": {"S": "META"}}
    stack.client("dynamodb").put_item(TableName=table, Item={**key, "sk": {"S": "SPAN#0001#000001"}})
    stack.client("dynamodb").update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET #status = :deleting",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":deleting": {"S": "DELETING"}},
    )
    s3, name = stack.client("s3"), stack.artifact_bucket
    s3.put_object(Bucket=name, Key=f"artifacts/{artifact}/weights/late.json", Body=b"{}")
    s3.put_object(Bucket=name, Key="invocations/01m7xjagxm6yf0jp19hg6gaf1n/request.json", Body=b"{}")


def reconciled(stack: Stack) -> None:
    """Let the reconciliation find what is old by then."""
    stack.clock.sleep(30 * 86_400)
    stack.reconcile(passes=4)


def nobody_goes_on(stack: Stack) -> None:
    """Let an execution stand still until the sweep asks for it."""
    stack.agenda.clear()
    stack.clock.sleep(86_400)
    stack.sweep()


def uploads_end(stack: Stack) -> None:
    """Let somebody abort every upload that has begun."""
    s3, name = stack.client("s3"), stack.artifact_bucket
    for each in s3.list_multipart_uploads(Bucket=name).get("Uploads", ()):
        s3.abort_multipart_upload(Bucket=name, Key=each["Key"], UploadId=each["UploadId"])


def older_upload(stack: Stack) -> None:
    """Let an upload be under way that a version of ours began which asked for another checksum."""
    s3, artifact = stack.client("s3"), stack.deployment(NAME)["artifact_id"]
    for each in s3.list_objects_v2(Bucket=SOURCE_BUCKET, Prefix="models/large/")["Contents"]:
        key = f"artifacts/{artifact}/weights/{each['Key'].rpartition('/')[2]}"
        if key.endswith(".safetensors"):
            s3.create_multipart_upload(Bucket=stack.artifact_bucket, Key=key, ChecksumAlgorithm="CRC32")


def donor_gone(stack: Stack) -> None:
    """Begin where the table tells of an artifact that has been deleted with its deployment."""
    held_by_another(stack)
    insist(stack, Visit(), "DELETE", "/deployments/{name}", name=DONOR)
    stack.settle(lambda: stack.status(DONOR) == "GONE")


def donor_was_another(stack: Stack) -> None:
    """Let the plan expect another checksum of what is copied than it has: as if its donor had been damaged."""
    s3, artifact = stack.client("s3"), stack.deployment(NAME)["artifact_id"]
    where = {"Bucket": stack.artifact_bucket, "Key": f"artifacts/{artifact}/attempts/1/plan.json"}
    plan = json.loads(s3.get_object(**where)["Body"].read())
    for file in plan["files"]:
        if file["stored"]:
            file["stored"]["checksum_crc64nvme"] = "AAAAAAAAAAA="
    s3.put_object(**where, Body=json.dumps(plan).encode())


def of_a_hub(stack: Stack) -> None:
    """Deploy a model of the hub."""
    body = {**wanted("small"), "source": "hf://acme/small"}
    insist(stack, Visit(), "POST", "/deployments", body)
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED"))


def hinder(stack: Stack) -> None:
    stack.bedrock.knobs.never_ready = True
