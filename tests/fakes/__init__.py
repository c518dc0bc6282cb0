"""Honest fakes of `pilotlight.ports`: they refuse what the real services refuse, and tests look at what is left."""

from tests.fakes.bedrock import FakeBackend, FakeImports, FakeRenderer
from tests.fakes.calls import FakeAsyncBackend, FakeBacklog, FakeInFlight, FakeWebhookSender
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
    FakeDeployments,
    FakeInvocations,
    FakeKeys,
    FakePasses,
    FakeUploads,
)
from tests.fakes.storage import FakeBodies, FakeBucket, FakeInventory, FakeSource

__all__ = [
    "FakeArtifacts",
    "FakeAsyncBackend",
    "FakeBackend",
    "FakeBacklog",
    "FakeBodies",
    "FakeBucket",
    "FakeCapacity",
    "FakeDeployments",
    "FakeExecutions",
    "FakeImports",
    "FakeInFlight",
    "FakeInventory",
    "FakeInvocations",
    "FakeJournal",
    "FakeKeys",
    "FakeNotices",
    "FakePasses",
    "FakeQueue",
    "FakeRenderer",
    "FakeSource",
    "FakeSwitch",
    "FakeTopic",
    "FakeUploads",
    "FakeWebhookSender",
    "ManualClock",
]
