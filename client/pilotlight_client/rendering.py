"""What a person sees of the API's documents: tables and facts. Whatever others wrote is shown as plain text."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pilotlight_client import endpoint_rendering, wording
from pilotlight_client.views import (
    Check,
    DeploymentView,
    EventView,
    FileProgress,
    InvocationView,
    PreflightView,
    Progress,
    SpendView,
    UploadView,
    Usage,
    Verdict,
    WarmthView,
)

_STYLES = {
    "SERVING": "green",
    "SUCCEEDED": "green",
    "STARTED": "green",
    "WARM": "green",
    "passed": "green",
    "FAILED": "bold red",
    "REFUSED": "bold red",
    "refused": "bold red",
    "warned": "yellow",
    "INCOMPLETE": "yellow",
    "HELD": "yellow",
    "WAKING": "yellow",
    "TEARING_DOWN": "yellow",
    "GONE": "dim",
    "COLD": "cyan",
}
ABOUT_INSTANCES = frozenset({"instance", "size", "context", "tensor parallel"})
"""The checks that the proposal of a refused preflight leaves out of account: it is what would do instead."""
MOST_FILES = 8  # that are told of those under way
MOST_NAMES = 4  # of a list that is in order
_MARKS = {"passed": "✓", "warned": "!", "refused": "✗"}


def plain(text: str, style: str = "") -> Text:
    """Return text of others: no markup, no control characters."""
    return Text(wording.plain(text), style=style)


def status_text(status: str) -> Text:
    """Return a status in its colour."""
    return Text(status, style=_STYLES.get(status, "blue"))


def _files_under_way(progress: Progress) -> Text:
    """Return the files that have begun and are not whole yet, and how many there are of the others."""
    files = progress.get("files") or []
    under_way = [file for file in files if 0 < file["staged_bytes"] < file["total_bytes"]]
    whole = sum(file["staged_bytes"] == file["total_bytes"] for file in files)
    lines = [_file(file) for file in under_way[:MOST_FILES]]
    if len(under_way) > MOST_FILES:
        lines.append(f"and {len(under_way) - MOST_FILES} more")
    return plain("\n".join([f"{whole} of {len(files)} large files are whole", *lines]), "dim")


def _file(file: FileProgress) -> str:
    left = file.get("seconds_left")
    told = "" if left is None else f", about {wording.span(left)} left"
    return f"{file['path']}  {100 * file['staged_bytes'] / file['total_bytes']:.0f} %{told}"


def deployment(view: DeploymentView, now: datetime) -> RenderableType:
    """Return everything about one deployment at a glance."""
    facts = facts_table()
    facts.add_row("name", Text.assemble((view["name"], "bold"), _numbers(view)))
    facts.add_row("status", _status(view, now))
    _add_failure(facts, view)
    if (progress := view.get("progress")) and view["status"] == "STAGING":
        facts.add_row("staged", wording.staged(progress))
        if progress.get("files"):
            facts.add_row("", _files_under_way(progress))
    if waits := view.get("waiting_for"):
        facts.add_row("waits for", plain(waits, "yellow"))
    if step := view.get("next"):
        facts.add_row("next", plain(f"{step['what']}, {wording.due(step['at'], now)}"))
    facts.add_row("source", plain(_source(view)))
    _add_place(facts, view, now)
    facts.add_row("cost so far", wording.money(view["cost_so_far"]))
    _add_hourly(facts, view)
    if spending := view.get("spending"):
        facts.add_row("spent", _spent(spending))
    facts.add_row("lease", _lease(view, now))
    if keep := view.get("artifact"):
        facts.add_row("weights", plain(wording.keep_artifact(keep)))
    facts.add_row("keep warm", plain(wording.keep_warm(view["keep_warm"])))
    if window := view.get("next_window"):
        opens, closes = wording.moment(window.get("opens_at"), now), wording.moment(window.get("closes_at"), now)
        facts.add_row("next window", f"opens {opens}, closes {closes}")
    if view["tags"]:
        facts.add_row("tags", plain(", ".join(f"{key}={value}" for key, value in sorted(view["tags"].items()))))
    if arn := view.get("model_arn"):
        facts.add_row("model", plain(arn))
    facts.add_row("changed", wording.moment(view["updated_at"], now))
    facts.add_row("correlation", plain(view["correlation_id"]))
    return facts


def _add_hourly(facts: Table, view: DeploymentView) -> None:
    hourly, endpoint = view.get("cost_per_hour"), view.get("endpoint")
    if hourly and endpoint:
        facts.add_row("cost per hour", endpoint_rendering.cost_per_hour(endpoint, hourly))
    elif hourly and view["backend"] == "bedrock":
        facts.add_row("cost while warm", wording.money(hourly, "/h"))


def _add_failure(facts: Table, view: DeploymentView) -> None:
    if failure := view.get("failure"):
        during = f" while {failure['during']}" if failure.get("during") else ""
        label, style = ("failure", "red") if view["status"] == "FAILED" else ("had failed", "dim")
        facts.add_row(label, plain(f"{failure['code']}{during}: {failure['reason']}", style))


def _add_place(facts: Table, view: DeploymentView, now: datetime) -> None:
    facts.add_row("runs on", plain(_place(view)))
    if endpoint := view.get("endpoint"):
        endpoint_rendering.endpoint_facts(facts, endpoint, now)
    if proposal := view.get("proposal"):
        facts.add_row("proposed", plain(endpoint_rendering.proposal(proposal)))


def deployments(views: Iterable[DeploymentView], now: datetime) -> RenderableType:
    """Return deployments as a table, or how to make the first one."""
    table = listing("name", "status", "warmth", "source", "runs on", "cost so far", "per hour", "lease")
    for view in views:
        warmth = view.get("warmth")
        endpoint = view.get("endpoint")
        ends = view.get("lease_ends_at")
        table.add_row(
            plain(view["name"], "bold"),
            status_text(view["status"]),
            status_text(warmth["state"]) if warmth else "–",
            plain(_source(view)),
            plain(f"{endpoint_rendering.instances(endpoint)} r{endpoint['revision']}" if endpoint else view["backend"]),
            wording.money(view["cost_so_far"]),
            wording.money(view.get("cost_per_hour"), "/h"),
            wording.moment(ends, now).split(" (")[0] if ends else view["lease"],
        )
    return table if table.row_count else Text("No deployments. Begin one: pilotlight deploy hf://org/model --name demo")


def event(view: EventView) -> Text:
    """Return one line of the timeline."""
    before, after = view.get("before"), view.get("after")
    moved = f"{before or 'new'} → {after}" if after else view["kind"]
    return Text.assemble(
        (wording.time_of_day(view["at"]), "dim"), "  ", (f"{moved:<26}", _STYLES.get(after or "", "blue")), "  "
    ).append_text(plain(view["reason"]))


def preflight(view: PreflightView) -> RenderableType:
    """Return the checks as a table, under a sentence that says what they come to."""
    verdict = view["verdict"]
    table = listing("", "check", "found", "supported", "what to do")
    for check in verdict["checks"]:
        outcome = check["outcome"]
        table.add_row(
            Text(_MARKS.get(outcome, "?"), style=_STYLES.get(outcome, "")),
            plain(check["name"], "bold"),
            plain(check["found"]),
            plain(_supported(check), "dim"),
            plain(check.get("advice") or "", _STYLES.get(outcome, "")),
        )
    said = Text("accepted", style="bold green") if verdict["accepted"] else Text("refused", style="bold red")
    subject = f"{view['source'].split('@')[0]} at {view['revision'][:12]} for {view['backend']} in {view['region']}: "
    return Group(Text.assemble(plain(subject), said), table, *_runs_on(verdict), plain(_staging(view), "dim"))


def _runs_on(verdict: Verdict) -> Iterator[Text]:
    """Yield the instance to run on. What is refused would run on one only where nothing but the instance is wrong."""
    proposal = verdict.get("proposal")
    refused = {check["name"] for check in verdict["checks"] if check["outcome"] == "refused"}
    if not proposal:
        return
    if verdict["accepted"]:
        yield plain(f"Runs on {endpoint_rendering.proposal(proposal)}.")
    elif refused <= ABOUT_INSTANCES:
        yield plain(f"With that put right, it would run on {endpoint_rendering.proposal(proposal)}.")


def uploads(views: Iterable[UploadView], bucket: str, prefix: str, now: datetime) -> RenderableType:
    """Return uploaded folders as a table, or where to upload to."""
    table = listing("folder", "status", "size", "what of it", "changed")
    for view in views:
        table.add_row(
            plain(view["folder"], "bold"),
            status_text(view["status"]),
            wording.size(view["size_bytes"]) if view["size_bytes"] else "–",  # of a folder nobody has looked at yet
            plain(upload_story(view, now)),
            wording.moment(view["updated_at"], now),
        )
    nothing = f"No folder under s3://{bucket}/{prefix}. Upload one: pilotlight upload DIR --name demo"
    return table if table.row_count else plain(nothing)


def upload_story(view: UploadView, now: datetime) -> str:
    """Return in words what became of a folder."""
    match view["status"]:
        case "STARTED":
            reason = view.get("reason")
            named = f"deployment {view['deployment']}" if view.get("deployment") else None
            return ": ".join(part for part in (named, reason) if part)
        case "HELD":
            return view.get("reason") or f"held by {view.get('held_by')}: it starts when that is GONE"
        case "INCOMPLETE":
            missing = ", ".join(view.get("missing") or ())
            return ": ".join(part for part in (view.get("reason"), missing) if part) or "files are missing"
        case "RESTING" if at := view.get("look_at"):
            is_to_come = datetime.fromisoformat(at) > now
            return f"will be looked at {wording.moment(at, now)}" if is_to_come else "is looked at any moment"
        case _:
            return view.get("reason") or "at rest"


def footer(view: InvocationView) -> Text:
    """Return what an answer took: tokens where they were counted, latency, cold or warm, cost."""
    usage: Usage = view.get("usage") or {}
    latency = view.get("latency_ms")
    output = view.get("output")
    stop = output.get("stop_reason") if output else None
    tokens = _tokens(usage)
    parts = [
        *([tokens] if tokens else []),
        f"{latency / 1000:.1f} s" if latency is not None else "– s",
        "cold start" if view["was_cold"] else "warm",
        wording.money(view.get("cost")),
        *([f"stopped by {stop}"] if stop else []),
        view["id"],
    ]
    return plain(" · ".join(parts), "dim")


def _spent(view: SpendView) -> Text:
    ceiling = view["ceiling"]
    told = f"{wording.money(view['spent'])} of ${ceiling['usd']:,.2f} in {view['period']}, {view['percent']:.0f} %"
    if view["percent"] < 80:
        return plain(told)
    return plain(f"{told}; at 100 %: {view['at_ceiling']}", "bold red" if view["percent"] >= 100 else "yellow")


def facts_table() -> Table:
    """Return an empty table of facts, a row each."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    return facts


def listing(*headings: str) -> Table:
    """Return an empty table with these headings."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _numbers(view: DeploymentView) -> str:
    attempt = f", attempt {view['attempt']}" if view["attempt"] > 1 else ""
    return f"  generation {view['generation']}{attempt}"


def _status(view: DeploymentView, now: datetime) -> Text:
    text = status_text(view["status"])
    if warmth := view.get("warmth"):
        text = Text.assemble(text, " · ", status_text(warmth["state"]), _warmth(warmth, now))
    return text


def _warmth(warmth: WarmthView, now: datetime) -> str:
    usual = f", a cold start takes about {wording.span(warmth['cold_start_seconds'])}"
    if warmth["state"] == "WARM" and not warmth.get("warm_until"):
        return ""
    if warmth["state"] == "WARM":
        return f", cold {wording.moment(warmth.get('warm_until'), now)} unless somebody calls"
    return f" as of {wording.moment(warmth['as_of'], now)}{usual}"


def _source(view: DeploymentView) -> str:
    revision = view.get("revision")
    return f"{view['source'].split('@')[0]}@{revision[:12]}" if revision else view["source"]


def _place(view: DeploymentView) -> str:
    units = view.get("units")
    return f"{view['backend']} in {view['region']}" + (f", {units} custom model units per copy" if units else "")


def _lease(view: DeploymentView, now: datetime) -> str:
    ends = view.get("lease_ends_at")
    return f"{view['lease']}, ends {wording.moment(ends, now)}" if ends else view["lease"]


def _staging(view: PreflightView) -> str:
    verdict = view["verdict"]
    staged, skipped = verdict.get("staged") or [], verdict.get("skipped") or []
    total = f"{len(staged)} files to stage, {wording.size(verdict.get('total_bytes', 0))}"
    left_out = "; ".join(f"{file['path']} ({file['reason']})" for file in skipped[:5])
    more = f" and {len(skipped) - 5} more" if len(skipped) > 5 else ""
    return f"{total}. Skipped: {left_out}{more}." if skipped else f"{total}."


def _supported(check: Check) -> str:
    """Return what is supported; of a long list, in which what was found stands, the first few."""
    names = check["supported"].split(", ")
    if check["outcome"] != "passed" or len(names) <= MOST_NAMES or any(" " in name for name in names):
        return check["supported"]
    return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"


def _tokens(usage: Usage) -> str:
    """Return the tokens that were counted: "5 tokens in, 12 out", or nothing of what nobody counted."""
    counts = {"in": usage.get("input_tokens"), "out": usage.get("output_tokens")}
    told = [f"{count:,} {way}" for way, count in counts.items() if count is not None]
    return ", ".join(told).replace(" ", " tokens ", 1)
