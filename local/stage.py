"""What `up` and `demo` stand on: the cloud with this repository's template, and a hub with a small real model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.cloud import Cloud

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"
MODEL = "local/small-llama"
PUBLIC_HUB = "https://huggingface.co"
PUBLIC_MODELSCOPE = "https://modelscope.cn"
TOKENS = ("HF_TOKEN", "MODELSCOPE_API_TOKEN")
PART_MIB = "5"  # S3's smallest: so that a small model, too, is copied in parts
# Lambdas start at the wall's pace: of a clock that runs faster, a busy machine takes many minutes for each.
PATIENCE = {"WAKE_MAX_SECONDS": "7200"}


def start_hub(closing: ExitStack, folder: Path | None = None) -> str:
    """Give the address of a hub of our own that holds one small model, made on the spot."""
    from local.checkpoints import write_checkpoint  # noqa: PLC0415 - only with a hub of our own
    from local.hub import Hub  # noqa: PLC0415 - likewise

    home = folder or Path(closing.enter_context(TemporaryDirectory(prefix="pilotlight-hub-")))
    model = write_checkpoint(home / "small-llama")
    hub = closing.enter_context(Hub())
    hub.add(MODEL, model)
    return hub.url


def hub_address() -> str:
    """Give the hub that `HF_ENDPOINT` names, or the public one."""
    return os.environ.get("HF_ENDPOINT") or PUBLIC_HUB


def start_cloud(
    closing: ExitStack,
    *,
    hub: str,
    speed: float,
    port: int | None,
    template: Path = TEMPLATE,
    parameters: Mapping[str, str] | None = None,
    prewarm: bool = True,
) -> Cloud:
    """Start the stack on that hub; tokens for gated models come from `HF_TOKEN` and `MODELSCOPE_API_TOKEN`.

    A hub of our own answers as ModelScope, too, unless `MODELSCOPE_ENDPOINT` names another one.
    Raises: PortTakenError.
    """
    from local.cloud import Cloud  # noqa: PLC0415 - brings moto along
    from local.jumpstart import stock  # noqa: PLC0415 - likewise

    tokens = {name: os.environ[name] for name in TOKENS if os.environ.get(name)}
    ours = hub if hub.startswith("http://127.0.0.1:") else PUBLIC_MODELSCOPE
    modelscope = os.environ.get("MODELSCOPE_ENDPOINT") or ours
    cloud = closing.enter_context(
        Cloud(
            template,
            speed=speed,
            api_port=port,
            parameters={
                "HubEndpoint": hub,
                "ModelScopeEndpoint": modelscope,
                "PartMib": PART_MIB,
                **(parameters or {}),
            },
            environment={**tokens, **(PATIENCE if speed > 1 else {})},
            prewarm=prewarm,
        )
    )
    stock(cloud.client("s3"), Path(closing.enter_context(TemporaryDirectory(prefix="pilotlight-jumpstart-"))))
    return cloud
