"""What the services need of the outside world, as Protocols. The adapters implement them; tests have honest fakes.

Every method that changes something is safe to repeat. Errors are the domain's: an adapter translates what its
service says.
"""

from pilotlight.ports.backends import (
    AsyncInferenceBackend,
    Backlog,
    ImportedModelState,
    ImportJobState,
    InferenceBackend,
    ModelImports,
    PromptRenderer,
    Submitted,
    TemplateVetter,
)
from pilotlight.ports.in_flight import InFlight
from pilotlight.ports.inventory import Inventory, UnfinishedUpload
from pilotlight.ports.records import (
    Artifacts,
    CapacityLedger,
    Contents,
    Deployments,
    IdempotencyKeys,
    Invocations,
    Passes,
    Speeds,
    Uploads,
)
from pilotlight.ports.storage import (
    ArtifactBucket,
    InvocationBodies,
    ModelSource,
    StoredBody,
    UploadAddress,
    UploadBucket,
)
from pilotlight.ports.surroundings import (
    Clock,
    Executions,
    InvocationQueue,
    Journal,
    KillSwitchPort,
    Notices,
    Topic,
)
from pilotlight.ports.webhooks import WebhookQueue, WebhookSecret, WebhookSender

__all__ = [
    "ArtifactBucket",
    "Artifacts",
    "AsyncInferenceBackend",
    "Backlog",
    "CapacityLedger",
    "Clock",
    "Contents",
    "Deployments",
    "Executions",
    "IdempotencyKeys",
    "ImportJobState",
    "ImportedModelState",
    "InFlight",
    "InferenceBackend",
    "Inventory",
    "InvocationBodies",
    "InvocationQueue",
    "Invocations",
    "Journal",
    "KillSwitchPort",
    "ModelImports",
    "ModelSource",
    "Notices",
    "Passes",
    "PromptRenderer",
    "Speeds",
    "StoredBody",
    "Submitted",
    "TemplateVetter",
    "Topic",
    "UnfinishedUpload",
    "UploadAddress",
    "UploadBucket",
    "Uploads",
    "WebhookQueue",
    "WebhookSecret",
    "WebhookSender",
]
