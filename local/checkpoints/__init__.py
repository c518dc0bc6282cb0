"""Small but real checkpoints made on the spot, so that nothing has to be downloaded to try or to test."""

from local.checkpoints.writer import Checkpoint, write_checkpoint

__all__ = ["Checkpoint", "write_checkpoint"]
