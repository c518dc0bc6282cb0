"""Note that an object was uploaded, so that its folder is looked at when it rests."""

from pilotlight.contracts import UploadEvent
from pilotlight.runtime import runtime
from pilotlight.task import task


@task(UploadEvent)
def handler(work: UploadEvent) -> None:
    """Set when to look at the folder of a new object."""
    runtime().uploading.note_event(work.detail.key, correlation_id=work.id)
