"""What the pages say can be found where they say it."""

import re
from pathlib import Path

from tools.cloudformation import ROOT


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are linked as: lower case, hyphens for spaces, and no other punctuation."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_make_command_that_the_pages_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]

    named = {command for page in pages for command in re.findall(r"(?:`|^)make ([a-z][a-z-]*)", page.read_text(), re.M)}

    assert named <= targets


def test_every_link_between_our_pages_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]

    broken = [
        f"{page.relative_to(ROOT)} → {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / link).exists()
    ]

    assert broken == []


def test_every_link_to_a_heading_finds_it() -> None:
    pages = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]

    lost = [
        f"{page.relative_to(ROOT)} → {link}#{anchor}"
        for page in pages
        for link, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", page.read_text())
        if anchor not in anchors((page.parent / link) if link else page)
    ]

    assert lost == []


def test_every_decision_is_in_the_list_and_every_number_that_is_not_there_is_told() -> None:
    folder = ROOT / "docs/decisions"
    numbers = [int(path.name[:4]) for path in folder.glob("[0-9]*.md")]
    index = (folder / "README.md").read_text()

    linked = re.findall(r"^- \[(\d{4})\]\((\1-[a-z0-9-]+\.md)\) \S", index, re.M)
    told = {int(number) for number in re.findall(r"\b\d{4}\b", index.partition("\n- ")[0])}

    assert [name for _, name in linked] == sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert told == set(range(1, max(numbers) + 1)) - set(numbers)


def test_the_architecture_page_names_every_state_machine() -> None:
    page = (ROOT / "docs/architecture.md").read_text()

    missing = [path.name for path in (ROOT / "statemachines").iterdir() if path.name.split(".")[0] not in page]

    assert missing == []
