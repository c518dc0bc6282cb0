"""Honest fakes of `pilotlight.ports`: they refuse what the real services refuse, and tests look at what is left."""

from tests.fakes.bedrock import FakeBackend, FakeImports, FakeRenderer
from tests.fakes.calls import FakeAsyncBackend, FakeBacklog, FakeInFlight, FakeWebhookSender
from tests.fakes.hosting import (
    FakeAutoscaling,
    FakeEndpoints,
    FakeJumpStart,
    FakeLogs,
    FakeRevisions,
    FakeTokens,
)
from tests.fakes.machinery import (
    FakeExecutions,
    FakeJournal,
    FakeNotices,
    FakeQueue,
    FakeSwitch,
    FakeTopic,
    ManualClock,
)
from tests.fakes.records import (
    FakeArtifacts,
    FakeCapacity,
    FakeContents,
    FakeDeployments,
    FakeInvocations,
    FakeKeys,
    FakePasses,
    FakeSpeeds,
    FakeUploads,
)
from tests.fakes.storage import FakeBodies, FakeBucket, FakeInventory, FakeSource
from tests.fakes.upload_bucket import FakeUploadBucket

__all__ = [
    "FakeArtifacts",
    "FakeAsyncBackend",
    "FakeAutoscaling",
    "FakeBackend",
    "FakeBacklog",
    "FakeBodies",
    "FakeBucket",
    "FakeCapacity",
    "FakeContents",
    "FakeDeployments",
    "FakeEndpoints",
    "FakeExecutions",
    "FakeImports",
    "FakeInFlight",
    "FakeInventory",
    "FakeInvocations",
    "FakeJournal",
    "FakeJumpStart",
    "FakeKeys",
    "FakeLogs",
    "FakeNotices",
    "FakePasses",
    "FakeQueue",
    "FakeRenderer",
    "FakeRevisions",
    "FakeSource",
    "FakeSpeeds",
    "FakeSwitch",
    "FakeTokens",
    "FakeTopic",
    "FakeUploadBucket",
    "FakeUploads",
    "FakeWebhookSender",
    "ManualClock",
]
