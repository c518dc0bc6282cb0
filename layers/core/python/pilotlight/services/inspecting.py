"""What a reconciliation looks at, one inspector for each kind: how it is listed, judged, and what is done about it.

Listing believes no record. Judging reads the record then and there; it is done once more just before anything is
done, so that whoever came back in between wins. What is done is fenced where the record can be.
"""

from typing import Any, Protocol

from pilotlight.domain import names
from pilotlight.domain.deployment import Change, Deployment, EventKind, Status, change
from pilotlight.domain.errors import PilotlightError, Superseded
from pilotlight.domain.orphans import (
    FoundExecution,
    FoundFolder,
    FoundModel,
    judge_deployment,
    judge_execution,
    judge_folder,
    judge_model,
)
from pilotlight.domain.pricing import ImportRate
from pilotlight.domain.reconciliation import Decision, Finding, Kind, Listing, Scene, finding_of
from pilotlight.domain.values import Money
from pilotlight.ports import Artifacts, Clock, Deployments, Executions, Inventory, ModelImports, Uploads
from pilotlight.services.records import amend

MACHINES = ("deploy", "stage_artifact", "warm", "teardown", "update")
PAGE = 200


class Inspector(Protocol):
    """One kind of thing. Items are whatever its listing gives."""

    kind: Kind

    def list(self, cursor: str | None, /) -> Listing[Any]:
        """Return what there is, or the next part of it. Raises: whatever its service does."""
        ...

    def name_of(self, item: Any, /) -> str:
        """Return what one item is called in findings."""
        ...

    def inspect(self, item: Any, scene: Scene, /) -> Finding | None:
        """Return what is to be said of one item by its record as it is now; None for nothing."""
        ...

    def act(self, item: Any, finding: Finding, scene: Scene, /) -> None:
        """Carry out what was decided. Raises: Superseded where it may no longer be."""
        ...


class InspectingModels:
    """Imported models of this stack, by their tags."""

    kind = Kind.MODEL

    def __init__(self, imports: ModelImports, deployments: Deployments, clock: Clock, rate: ImportRate) -> None:
        self._imports = imports
        self._deployments = deployments
        self._clock = clock
        self._rate = rate

    def list(self, _cursor: str | None) -> Listing[FoundModel]:
        """Return the models that have names like ours; whose they are, their tags will tell."""
        ours = (each for each in self._imports.holders() if each.name.startswith(f"{names.PREFIX}-"))
        found = (FoundModel(arn=each.arn, name=each.name, created_at=each.created_at) for each in ours)
        return Listing(items=tuple(found))

    def name_of(self, item: FoundModel) -> str:
        """Return the ARN of a model."""
        return item.arn

    def inspect(self, item: FoundModel, scene: Scene) -> Finding | None:
        """Judge a model by its tags and the record of the deployment that they name."""
        state = self._imports.model(item.arn)
        found = item.changed(tags=state.tags, units=state.units) if state else item
        owner = found.owner(scene.rules.stack)
        if owner is None:
            return None
        verdict = judge_model(found, self._deployments.find(owner[0]), scene)
        month = Money(usd=round((found.units or 0) * self._rate.usd_per_unit_month, 2))
        return finding_of(
            verdict,
            self.kind,
            self.name_of(item),
            belongs_to=f"{owner[0]}-g{owner[1]}",
            since=found.created_at,
            usd_per_month=month if found.units else None,
        )

    def act(self, item: FoundModel, finding: Finding, _scene: Scene) -> None:
        """Delete an orphan; note a model that its deployment did not know."""
        if finding.decision is Decision.REMOVE:
            self._imports.delete_model(item.arn)
        else:
            self._adopt(item, finding)

    def _adopt(self, item: FoundModel, finding: Finding) -> None:
        now = self._clock.now()
        state = self._imports.model(item.arn)

        def adopted(before: Deployment) -> Change | None:
            if state is None or before.as_user != finding.belongs_to or before.imported is None:
                return None
            if before.status is not Status.FAILED or before.imported.model_arn == state.arn:
                return None
            imported = before.imported.changed(model_arn=state.arn, units=state.units, ended_at=now)
            return change(before, before.changed(imported=imported), EventKind.IMPORT, finding.reason, now)

        amend(self._deployments, (finding.belongs_to or "").rpartition("-g")[0], adopted)


class InspectingExecutions:
    """Running executions of our machines, by the record that their names tell."""

    kind = Kind.EXECUTION

    def __init__(self, executions: Executions, deployments: Deployments, artifacts: Artifacts) -> None:
        self._executions = executions
        self._deployments = deployments
        self._artifacts = artifacts

    def list(self, _cursor: str | None) -> Listing[FoundExecution]:
        """Return what runs; where one machine cannot be listed, what the others run."""
        found: list[FoundExecution] = []
        trouble = None
        for machine in MACHINES:
            try:
                found += self._executions.running(machine)
            except PilotlightError as exc:
                trouble = exc.message
        return Listing(items=tuple(found), trouble=trouble)

    def name_of(self, item: FoundExecution) -> str:
        """Return the machine of an execution and its name."""
        return f"{item.machine}/{item.name}"

    def inspect(self, item: FoundExecution, scene: Scene) -> Finding | None:
        """Judge an execution by the record that it works on."""
        run = names.parse_run(item.name)
        if run is None:
            return None
        staging = item.machine == "stage_artifact"
        record = self._artifacts.find(run.owner) if staging else self._deployments.find(run.owner)
        verdict = judge_execution(item, record, scene)
        return finding_of(verdict, self.kind, self.name_of(item), belongs_to=run.owner, since=item.started_at)

    def act(self, item: FoundExecution, finding: Finding, _scene: Scene) -> None:
        """Stop an execution that works for nobody."""
        self._executions.stop(item.machine, item.name, finding.reason)


class InspectingDeployments:
    """Records of deployments: those that nobody will look at in time, and those whose model has vanished."""

    kind = Kind.DEPLOYMENT

    def __init__(self, deployments: Deployments, imports: ModelImports, clock: Clock) -> None:
        self._deployments = deployments
        self._imports = imports
        self._clock = clock

    def list(self, cursor: str | None) -> Listing[str]:
        """Return the names of all deployments that are not GONE."""
        found: list[str] = []
        while True:
            records, cursor = self._deployments.page(cursor, PAGE)
            found += [record.name for record in records if record.is_live]
            if cursor is None:
                return Listing(items=tuple(found))

    def name_of(self, item: str) -> str:
        """Return the name of a deployment."""
        return item

    def inspect(self, item: str, scene: Scene) -> Finding | None:
        """Judge a record as it is now."""
        record = self._deployments.find(item)
        if record is None:
            return None
        verdict = judge_deployment(record, scene, model_is_there=self._model_is_there(record))
        return finding_of(verdict, self.kind, self.name_of(item), belongs_to=item, since=record.updated_at)

    def act(self, item: str, _finding: Finding, _scene: Scene) -> None:
        """Make a record due: the sweep of the next minute resumes or fails it."""
        self._deployments.put_off(item, self._clock.now())

    def _model_is_there(self, record: Deployment) -> bool:
        arn = record.imported.model_arn if record.imported else None
        return record.status is not Status.SERVING or arn is None or self._imports.model(arn) is not None


class InspectingFolders:
    """Uploaded folders as they lie in the bucket: whatever nobody has looked at is looked at."""

    kind = Kind.UPLOAD

    def __init__(self, inventory: Inventory, uploads: Uploads, clock: Clock) -> None:
        self._inventory = inventory
        self._uploads = uploads
        self._clock = clock

    def list(self, cursor: str | None) -> Listing[FoundFolder]:
        """Return the next folders with their files, as of the moment before they were listed."""
        now = self._clock.now()
        found, following = self._inventory.uploaded_folders(cursor)
        return Listing(items=tuple(each.changed(listed_at=now) for each in found), following=following)

    def name_of(self, item: FoundFolder) -> str:
        """Return the name of a folder."""
        return item.folder

    def inspect(self, item: FoundFolder, scene: Scene) -> Finding | None:
        """Judge a folder by the record of its last look."""
        verdict = judge_folder(item, self._uploads.find(item.folder), scene)
        since = max((file.modified_at for file in item.files if file.modified_at), default=None)
        return finding_of(verdict, self.kind, self.name_of(item), belongs_to=item.folder, since=since)

    def act(self, item: FoundFolder, _finding: Finding, _scene: Scene) -> None:
        """Do what the lost event would have done: the sweep looks, and starts it once it rests."""
        now = self._clock.now()
        self._uploads.note_event(item.folder, now, now)


def require_still(finding: Finding | None, decision: Decision) -> Finding:
    """Return a finding that was made again. Raises: Superseded where it is another one by now."""
    if finding is None or finding.decision is not decision:
        told = finding.reason if finding else "it is in use"
        raise Superseded(f"No longer to {decision}: {told}.")
    return finding
