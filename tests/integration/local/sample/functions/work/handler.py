"""A function that does what its event says: every way in which a Lambda can end."""

import os
import signal
import time

import boto3
import greeting


class OwnError(Exception):
    """An error that state machines can name."""


def handler(event, context):
    match event.get("do"):
        case "who":
            return who(context)
        case "raise":
            raise OwnError("as was asked")
        case "sleep":
            time.sleep(event["seconds"])
        case "exit":
            os._exit(3)
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "print":
            print(event["text"])  # noqa: T201 - a line for the log
        case "count":
            count(event["key"])
            raise OwnError("after counting")
    return {"echo": event, "pid": os.getpid()}


def who(context):
    return {
        "arn": boto3.client("sts").get_caller_identity()["Arn"],
        "environment": {name: value for name, value in os.environ.items() if not name.endswith("KEY")},
        "layer": greeting.WORDS,
        "function_name": context.function_name,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "pid": os.getpid(),
    }


def count(key):
    boto3.client("dynamodb").update_item(
        TableName=os.environ["TABLE"],
        Key={"pk": {"S": key}, "sk": {"S": "COUNT"}},
        UpdateExpression="ADD attempts :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
