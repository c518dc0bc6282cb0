"""IAM: every call is judged by the policies as they were deployed, before anything happens.

The seam judges what comes over HTTP. What the embedded cloud itself does in a role's name (feeding a function from
a queue, reading weights as Bedrock does) asks `may` or `require`.
"""

from local.authorization.callers import ACCOUNT, Account, Caller, Role, Service
from local.authorization.calls import Call
from local.authorization.decisions import Decision, decide
from local.authorization.judge import RefusedError, may, require, watching
from local.authorization.seam import install

__all__ = [
    "ACCOUNT",
    "Account",
    "Call",
    "Caller",
    "Decision",
    "RefusedError",
    "Role",
    "Service",
    "decide",
    "install",
    "may",
    "require",
    "watching",
]
