"""A hub on this machine, with small models in it: what a stack's sources may name beside buckets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from local.checkpoints import write_checkpoint
from local.hub import Hub
from local.hub.repositories import Repository

MODEL = "acme/small"
LARGE_MODEL = "acme/large"  # whose weights are verified once they are sealed
SAME_SHARDS = "acme/large-again"
SPOILT = "acme/spoilt"  # whose weights have another bit than the hub lists


@contextmanager
def hub() -> Iterator[str]:
    """Give the address of a hub, for as long as the context lasts."""
    with TemporaryDirectory() as folder, Hub() as served:
        sizes = {MODEL: 100_000, LARGE_MODEL: 5_600_000, SAME_SHARDS: 5_600_000, SPOILT: 7_000_000}
        for name, shard_bytes in sizes.items():
            write_checkpoint(Path(folder) / name, shards=1, shard_bytes=shard_bytes, clutter=False)
            served.add(name, Path(folder) / name)
        _spoil(served.repositories[SPOILT])
        yield served.url


def _spoil(repository: Repository) -> None:
    for files in repository.commits.values():
        for name, file in files.items():
            if name.endswith(".safetensors"):
                assert file.sha256  # is told as it was before this
                with Path(str(file.content)).open("r+b") as weights:
                    weights.seek(-1, os.SEEK_END)
                    weights.write(bytes([file.read()[-1] ^ 1]))
