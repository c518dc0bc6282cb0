"""Preflight: looks into a checkpoint's files and asks whether the backend would take the model."""

from collections.abc import Iterator

from pilotlight.domain import bedrock_support, names
from pilotlight.domain.chat_templates import MOST_TEMPLATES, objection, too_many
from pilotlight.domain.checkpoint import Checkpoint, CheckpointPlan, read_checkpoint
from pilotlight.domain.checkpoint_files import to_read
from pilotlight.domain.errors import PreflightRefused
from pilotlight.domain.file_names import mistakable
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.preflight import Places, Verdict, judge
from pilotlight.domain.problems import Problem
from pilotlight.domain.source import Listing, Source
from pilotlight.domain.values import Backend, Model
from pilotlight.ports import ModelImports, ModelSource, Speeds, TemplateVetter
from pilotlight.services.checkpoint_reader import CheckpointReader


class Inspection(Model):
    """What was found at a source, what would be staged of it, and the verdict on it."""

    listing: Listing
    plan: CheckpointPlan
    verdict: Verdict


class Preflight:
    """Judges models before any byte of weights moves."""

    def __init__(
        self, source: ModelSource, templates: TemplateVetter, imports: ModelImports, region: str, speeds: Speeds
    ) -> None:
        self._source = source
        self._templates = templates
        self._reader = CheckpointReader(source)
        self._imports = imports
        self._region = region
        self._speeds = speeds

    def judge(
        self, source: Source, backend: Backend, hosting: Hosting | None = None, *, own_model_name: str | None = None
    ) -> tuple[Listing, Verdict]:
        """Return the files of the source at a pinned revision, and the verdict on them.

        Raises: SourceRefused and its leaves, Throttled, Unavailable, AccessDenied.
        """
        inspection = self.inspect(source, backend, hosting, own_model_name=own_model_name)
        return inspection.listing, inspection.verdict

    def require(
        self, source: Source, backend: Backend, hosting: Hosting | None = None, *, own_model_name: str | None = None
    ) -> Inspection:
        """Return the inspection of a model that the backend takes.

        Raises: PreflightRefused with every refusal, and whatever `judge` raises.
        """
        inspection = self.inspect(source, backend, hosting, own_model_name=own_model_name)
        refusals = inspection.verdict.refusals
        if refusals:
            reasons = " ".join(f"({number}) {check}" for number, check in enumerate(refusals, start=1))
            raise PreflightRefused(
                f"{backend} in {self._region} would not take {inspection.listing.source}: {reasons}",
                refusals=[check.dump() for check in refusals],
            )
        return inspection

    def inspect(
        self, source: Source, backend: Backend, hosting: Hosting | None = None, *, own_model_name: str | None = None
    ) -> Inspection:
        """Return what was found, whatever the verdict.

        `hosting` is what the user wants of an endpoint, `own_model_name` a model of Bedrock's that already has its
        place.
        """
        listing, checkpoint = self.read(source)
        verdict = judge(
            checkpoint,
            backend,
            region=self._region,
            places=self._places() if backend is Backend.BEDROCK else None,
            own_model_name=own_model_name,
            hosting=hosting,
            measurements=self._speeds.of(names.artifact_id(listing.source)) if backend.is_endpoint else (),
        )
        return Inspection(listing=listing, plan=checkpoint.plan, verdict=verdict)

    def read(self, source: Source) -> tuple[Listing, Checkpoint]:
        """Return the files of the source at a pinned revision, and what they say; no backend is asked.

        Every file that would be staged has been looked into: the weights by their headers alone, chat templates as
        the programs that they are.
        """
        listing = self._source.resolve(source)
        contents = {path: self._reader.read(listing, path, limit) for path, limit in to_read(listing).items()}
        checkpoint = read_checkpoint(listing, contents)
        found = (*mistakable(listing, checkpoint.plan.paths), *self._reader.content_problems(listing))
        checkpoint = self._reader.with_weights(listing, checkpoint.changed(problems=(*checkpoint.problems, *found)))
        found = tuple(self._template_problems(checkpoint))
        return listing, checkpoint.changed(problems=(*checkpoint.problems, *found))

    def _template_problems(self, checkpoint: Checkpoint) -> Iterator[Problem]:
        yield from too_many(checkpoint.templates)
        templates, facts = checkpoint.templates[:MOST_TEMPLATES], checkpoint.facts
        found = self._templates.objections(
            [template.text for template in templates],
            bos_token=facts.bos_token or "",
            eos_token=facts.eos_token or "",
        )
        for template, why in zip(templates, found, strict=True):
            if why is not None:
                yield objection(template.where, why)

    def _places(self) -> Places | None:
        """Return who holds the places, or None in a region that has no model import to ask."""
        if self._region not in bedrock_support.REGIONS:
            return None
        return Places(quota=self._imports.model_quota(), holders=tuple(self._imports.holders()))
