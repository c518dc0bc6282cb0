"""JumpStart's manifest: which models there are in a region, in which versions, and where each one's spec lies.

The manifest is one JSON list for a region, with an entry for every version of every model. An entry's `min_version` is
the oldest SageMaker SDK that can read its spec, which says nothing to us.

Source: aws/sagemaker-python-sdk, sagemaker/core/jumpstart (types, cache, constants, region_config.json), commit
a248126 of 2026-08-21; looked up 2026-11-20.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from pilotlight.domain.errors import SourceNotFound, SourceRefused
from pilotlight.domain.source import Source
from pilotlight.domain.values import Model

MANIFEST_KEY = "models_manifest.json"
NEWEST = "*"
NAMED = 10
LIST_OF_MODELS = "https://docs.aws.amazon.com/sagemaker/latest/dg/jumpstart-foundation-models-latest.html"

_COMMERCIAL = (
    "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 "
    "ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 "
    "eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 "
    "me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2"
)
_APART = (
    "cn-north-1 cn-northwest-1 eu-isoe-west-1 eusc-de-east-1 us-gov-east-1 us-gov-west-1 us-iso-east-1 us-isob-east-1 "
    "us-isof-east-1 us-isof-south-1"
)
REGIONS = frozenset(f"{_COMMERCIAL} {_APART}".split())
"""Where JumpStart has its buckets."""

_DRAFTS = (
    "ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 eu-central-1 "
    "eu-north-1 eu-west-1 eu-west-2 eu-west-3 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2"
)
DRAFT_REGIONS = frozenset(_DRAFTS.split())
"""Where the bucket of draft models lies that are not JumpStart's own."""


class Buckets(Model):
    """The buckets of JumpStart in one region; `gated` is readable only by SageMaker, on behalf of who accepts terms."""

    region: str
    cache: str
    gated: str
    drafts: str | None = None

    @classmethod
    def of(cls, region: str, *, cache: str = "", gated: str = "") -> "Buckets":
        """Return the buckets of a region; those that are given stand for AWS's own.

        Raises: SourceRefused where JumpStart has none.
        """
        if not cache and region not in REGIONS:
            raise SourceRefused(
                f"JumpStart has no models in {region}. Deploy from hf:// or s3://, or a stack in one of "
                f"{', '.join(sorted(REGIONS))}.",
                regions=sorted(REGIONS),
            )
        return cls(
            region=region,
            cache=cache or f"jumpstart-cache-prod-{region}",
            gated=gated or f"jumpstart-private-cache-prod-{region}",
            drafts=f"sagemaker-sd-models-prod-{region}" if region in DRAFT_REGIONS else None,
        )


class ManifestEntry(Model):
    """One version of one model, and the key of its spec in the cache bucket."""

    model_id: str
    version: str
    spec_key: str
    deprecated: bool = False


def choose(manifest: Iterable[Any], source: Source, region: str) -> ManifestEntry:
    """Return the entry of the version that a source names; for `*` the newest by the order of versions.

    One that JumpStart has deprecated is the newest only where all are.
    Raises: SourceNotFound for an unknown model, with near names, and for an unknown version, with those that exist.
    """
    entries = [each for each in manifest if isinstance(each, Mapping)]
    own = _entries_of(source.location, entries)
    if not own:
        raise _unknown_model(source.location, entries, region)
    wanted = source.revision or NEWEST
    fitting = [each for each in own if _fits(each.version, wanted)]
    if not fitting:
        versions = [each.version for each in sorted(own, key=_age, reverse=True)]
        raise SourceNotFound(
            f"JumpStart's model {source.location} has no version {wanted} in {region}. There are "
            f"{_some(versions)}; without a version the newest is taken.",
            versions=versions,
        )
    return max(fitting, key=lambda each: (not each.deprecated, _age(each)))


def _entries_of(model_id: str, entries: Sequence[Mapping[str, Any]]) -> list[ManifestEntry]:
    try:
        return [ManifestEntry.model_validate(each) for each in entries if each.get("model_id") == model_id]
    except ValidationError as exc:
        raise SourceRefused(
            f"JumpStart's manifest tells of {model_id} what cannot be read. Deploy the model from hf:// or s3://."
        ) from exc


def _fits(version: str, wanted: str) -> bool:
    """Say whether a version is the wanted one, or one of those that `2.*` stands for."""
    if wanted in (NEWEST, version):
        return True
    return wanted.endswith(".*") and version.startswith(wanted.removesuffix("*"))


def _age(entry: ManifestEntry) -> tuple[tuple[int, ...], bool]:
    """Return what orders versions: their numbers as numbers, and a preview before what it previews."""
    numbers, _, preview = entry.version.partition("-")
    return tuple(int(each) for each in re.findall(r"\d+", numbers)), not preview


def _unknown_model(model_id: str, entries: Sequence[Mapping[str, Any]], region: str) -> SourceNotFound:
    ids = sorted({str(each.get("model_id", "")) for each in entries})
    near = [each for each in ids if model_id.lower() in each.lower()][:NAMED]
    near += [each for each in get_close_matches(model_id, ids, n=5, cutoff=0.6) if each not in near]
    if near:
        advice = f"Did you mean {_some(near)}?"
    elif len(ids) <= NAMED:
        advice = f"Its catalogue there has {_some(ids) or 'none'}."
    else:
        advice = f"Its catalogue there has {len(ids)}; AWS lists them at {LIST_OF_MODELS}"
    return SourceNotFound(f"JumpStart has no model {model_id} in {region}. {advice}", near=near)


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
