"""What the services need of the outside world, as Protocols. The adapters implement them; tests have honest fakes.

Every method that changes something is safe to repeat. Errors are the domain's: an adapter translates what its
service says.
"""

from pilotlight.ports.backends import (
    ImportedModelState,
    ImportJobState,
    InferenceBackend,
    ModelImports,
    PromptRenderer,
    TemplateVetter,
)
from pilotlight.ports.inventory import Inventory, UnfinishedUpload
from pilotlight.ports.records import (
    Artifacts,
    CapacityLedger,
    Deployments,
    IdempotencyKeys,
    Invocations,
    Passes,
    Uploads,
)
from pilotlight.ports.storage import (
    ArtifactBucket,
    InvocationBodies,
    ModelSource,
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

__all__ = [
    "ArtifactBucket",
    "Artifacts",
    "CapacityLedger",
    "Clock",
    "Deployments",
    "Executions",
    "IdempotencyKeys",
    "ImportJobState",
    "ImportedModelState",
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
    "TemplateVetter",
    "Topic",
    "UnfinishedUpload",
    "Uploads",
]
