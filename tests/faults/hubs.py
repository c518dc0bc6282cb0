"""A hub on this machine, with a small model in it: what a stack's sources may name beside buckets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from local.checkpoints import write_checkpoint
from local.hub import Hub

MODEL = "acme/small"


@contextmanager
def hub() -> Iterator[str]:
    """Give the address of a hub, for as long as the context lasts."""
    with TemporaryDirectory() as folder, Hub() as served:
        write_checkpoint(Path(folder), shards=1, shard_bytes=100_000, clutter=False)
        served.add(MODEL, Path(folder))
        yield served.url
