"""What a person sees of instances: an endpoint and its update, revisions, proposals, and where an invocation is."""

from collections.abc import Iterable
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from pilotlight_client import wording
from pilotlight_client.endpoint_views import EndpointView, ProposalView, RevisionView
from pilotlight_client.views import InvocationView, Money

PHASES = {
    "queued": "waits for its turn",
    "instance-starting": "an instance starts",
    "loading": "the model is loaded",
    "running": "the model works on it",
    "done": "is done",
    "failed": "failed",
    "expired": "expired",
}
"""What a phase of an invocation means for whoever waits."""


def endpoint(view: EndpointView) -> str:
    """Return an endpoint in one line: "pilotlight-demo-g1 · InService · 1 × ml.g5.2xlarge, 0 to 2 · revision 3"."""
    count = f"{instances(view)}, {view['min']} to {view['max']}"
    status = f"{view['status']}: the next call makes it" if view["status"] == "Parked" else view["status"]
    return " · ".join([view["name"], status, count, f"revision {view['revision']}"])


def instances(view: EndpointView) -> str:
    """Return how many instances there are of those that are wanted: "1 × ml.g5.2xlarge", "0 of 1 × ml.g5.2xlarge"."""
    there, wanted = view["instances"], view["desired"]
    count = str(there) if there == wanted else f"{there} of {wanted}"
    return f"{count} × {view['instance_type']}"


def replacement(view: EndpointView) -> str | None:
    """Return which instances an update replaces by which, and at what prices; None where that is not told.

    "1 × ml.g5.xlarge at $1.41 an hour each → 1 × ml.g5.12xlarge at $7.09 an hour each".
    """
    update = view.get("update")
    new = update.get("instance_type") if update else None
    if not update or not new:
        return None
    old_count, new_count = max(view["instances"], view["desired"]), update.get("instances", 0)
    old = _priced(old_count, view["instance_type"], view["usd_per_instance_hour"])
    return f"{old} → {_priced(new_count, new, update.get('usd_per_instance_hour', 0.0))}"


def _priced(count: int, instance_type: str, usd_per_hour: float) -> str:
    return f"{count} × {instance_type} at ${usd_per_hour:,.2f} an hour each"


def cost_per_hour(view: EndpointView, hourly: Money) -> str:
    """Return what an hour costs as things are, and what each instance adds: at zero and with several they differ."""
    if view["instances"] == view["desired"] == 1:
        return wording.money(hourly, "/h")
    of_each = wording.money({"usd": view["usd_per_instance_hour"], "basis": hourly["basis"]}, "/h per instance")
    now, _, _ = wording.money(hourly, "/h now").partition(" (")
    return f"{now}{'' if hourly['usd'] else ' (at zero)'}, {of_each}"


def endpoint_facts(facts: Table, view: EndpointView, now: datetime) -> None:
    """Add what is known of an endpoint to the facts of its deployment."""
    facts.add_row("endpoint", _plain(endpoint(view)))
    if update := view.get("update"):
        since = wording.moment(update["started_at"], now)
        told = f"from revision {update['previous']} to {update['revision']} ({update['strategy']}), begun {since}"
        facts.add_row("update", _plain(told, "yellow"))
        if replaced := replacement(view):
            facts.add_row("", _plain(replaced, "yellow"))
    if failed := view.get("failed_update"):
        told = f"to revision {failed['revision']}, {wording.moment(failed['at'], now)}: {failed['reason']}"
        facts.add_row("update failed", _plain(told, "red"))
    if failure := view.get("failure"):
        facts.add_row("it failed", _plain("\n".join([failure["reason"], *(failure.get("log_lines") or [])]), "red"))


def proposal(view: ProposalView) -> str:
    """Return a proposed instance, its price and its reason: "ml.g5.xlarge, $1.41 an hour, because it is …"."""
    degree = view["tensor_parallel_degree"]
    split = f" with tensor parallel {degree}" if degree > 1 else ""
    price = f"${view['usd_per_hour']:,.2f} an hour{'' if view['price_confirmed'] else ' at most, as far as is known'}"
    why = f", because {view['why']}" if view.get("why") else ""
    return f"{view['instance_type']}{split}, {price}{why}"


def revisions(views: Iterable[RevisionView], current: int | None, now: datetime) -> RenderableType:
    """Return revisions as a table, the one in service marked."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("revision", "status", "instance", "image", "why", "made"):
        table.add_column(heading, overflow="fold")
    for view in views:
        mark = " ←" if view["number"] == current else ""
        table.add_row(
            _plain(f"{view['number']}{mark}", "bold"),
            _plain(view["status"]),
            _plain(view["instance_type"]),
            _plain(view["image"].rpartition("/")[2] or "–"),
            _plain(view["reason"] or "–"),
            wording.moment(view["created_at"], now),
        )
    return table if table.row_count else Text("No revisions: only models on instances have them.")


def progress(view: InvocationView) -> str:
    """Return where an invocation is: "QUEUED – an instance starts, about 4 min left (measured)"."""
    phase = view.get("phase")
    story = view.get("waiting_for") or (PHASES.get(phase, phase) if phase else "a cold model is loaded first")
    estimate = view.get("estimate")
    left = f", about {wording.span(estimate['seconds_left'])} left ({estimate['basis']})" if estimate else ""
    return f"{view['status']} – {story}{left} …"


def _plain(text: str, style: str = "") -> Text:
    return Text(wording.plain(text), style=style)
