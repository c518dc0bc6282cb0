"""What a person sees of the stack itself: who answers, the kill switch, and what nobody owns."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from pilotlight_client import wording
from pilotlight_client.rendering import facts_table, listing, plain, status_text
from pilotlight_client.views import ArtifactView, HealthView, KillSwitchView, OrphanPage, OrphanView

NARROWEST_TABLE = 140  # columns of a terminal that artifacts need to stand in a row each


def artifacts(items: Sequence[ArtifactView], now: datetime) -> RenderableType:
    """Return artifacts as a table, or where the terminal is too narrow one under another; or how to come by one."""
    return _Artifacts(items, now) if items else plain("No weights are kept. pilotlight deploy brings some.")


class _Artifacts:
    """Artifacts in the form that fits the width. An id is never broken, so that it can be copied."""

    def __init__(self, items: Sequence[ArtifactView], now: datetime) -> None:
        self._items = items
        self._now = now

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Give what fits the width."""
        if options.max_width >= NARROWEST_TABLE:
            yield self._table()
        else:
            yield from self._one_under_another()

    def _table(self) -> Table:
        table = listing("artifact", *_facts(self._items[0], self._now))
        table.columns[0].no_wrap = True
        for each in self._items:
            table.add_row(each["id"], *_facts(each, self._now).values())
        return table

    def _one_under_another(self) -> Iterator[RenderableType]:
        for each in self._items:
            yield Text(each["id"], style="bold", no_wrap=True, overflow="ignore")
            facts = facts_table()
            for name, told in _facts(each, self._now).items():
                facts.add_row(f"  {name}", told)
            yield facts


def _facts(artifact: ArtifactView, now: datetime) -> dict[str, Text]:
    users = artifact["users"]
    return {
        "source": plain(f"{artifact['source']}@{artifact['revision'][:12]}"),
        "status": status_text(artifact["status"]),
        "size": Text(wording.size(artifact["total_bytes"])),
        "used by": plain(", ".join(users) or "nobody"),
        "last used": Text("now" if users else wording.moment(artifact.get("last_used_at"), now)),
        "kept": plain(_kept(artifact, now)),
        "cost": Text(wording.money(artifact["cost_per_month"], "/month")),
        "since": Text(wording.moment(artifact["created_at"], now)),
    }


def orphans(view: OrphanPage, now: datetime) -> RenderableType:
    """Return what a reconciliation found as a table, or that it found nothing."""
    table = listing("kind", "what", "decision", "why", "cost", "since")
    for found in view["items"]:
        told = _decided(found)
        why = ": ".join(part for part in (found["reason"], found.get("trouble")) if part)
        table.add_row(
            found["kind"],
            plain(found["resource"]),
            told,
            plain(why),
            _cost(found),
            wording.moment(found.get("since"), now),
        )
    return table if table.row_count else plain("Nothing: all that there is has its owner.")


def _kept(artifact: ArtifactView, now: datetime) -> str:
    """Return how long an artifact is kept: until when, where nobody uses it and it goes by itself."""
    if artifact["status"] == "DELETING":
        return "no longer: it is being deleted"
    until = artifact.get("kept_until")
    if not until:
        return wording.keep_artifact(artifact.get("keep", ""))
    if datetime.fromisoformat(until) > now:
        return f"until {wording.moment(until, now)}"
    return "no longer: due to go with the next reconciliation"


def _cost(found: OrphanView) -> str:
    """Return what it costs for as long as it is there, as far as that is known: by the hour, by the month."""
    amounts = ((found.get("usd_per_hour"), "/h"), (found.get("usd_per_month"), "/month"))
    return ", ".join(wording.money(amount, per) for amount, per in amounts if amount) or "–"


def _decided(found: OrphanView) -> str:
    """Return what a reconciliation decided, and whether it has done it: of `look` and `leave` nothing is to be done."""
    match found["decision"]:
        case "look":
            return "look: yours to decide"
        case "leave":
            return "left alone for now"
        case decision if found["done"]:
            return f"{decision}: done"
        case decision:
            return f"{decision}: still to do"


def health(view: HealthView, url: str, now: datetime) -> RenderableType:
    """Return who answers at the URL."""
    facts = facts_table()
    facts.add_row("api", plain(f"{url} · {view['status']} · version {view['version']}"))
    facts.add_row("stack", plain(f"{view['stack']} in {view['region']}"))
    facts.add_row("uploads go to", plain(f"s3://{view['upload_bucket']}/uploads/<name>/"))
    if endpoint := view.get("s3_endpoint"):
        facts.add_row("S3 is at", plain(endpoint))
    if view.get("simulated"):
        facts.add_row("cloud", "simulated on this machine: nothing here costs money")
    switch = view.get("kill_switch")
    if switch and (switch["on"] or not switch["readable"]):
        facts.add_row("kill switch", kill_switch(switch, now))
    return facts


def kill_switch(view: KillSwitchView, now: datetime) -> Text:
    """Return what the kill switch does in a sentence."""
    if not view["readable"]:
        why = view.get("reason") or "nobody knows why"
        return plain(f"The kill switch cannot be read ({why}): nothing new begins.", "bold red")
    if not view["on"]:
        return plain(f"The kill switch is off{_turned(view, now)}.", "green")
    return plain(f"The kill switch is on{_turned(view, now)}. Nothing is created, woken or kept warm.", "bold red")


def _turned(view: KillSwitchView, now: datetime) -> str:
    """Return since when the switch stands as it does, who turned it and why, as far as that is known."""
    since = f" {wording.moment(view.get('since'), now)}" if view.get("since") else ""
    by = f" by {view['by']}" if view.get("by") else ""
    turned = f", turned{since}{by}" if since or by else ""
    return turned + (f": {view['reason']}" if view.get("reason") else "")
