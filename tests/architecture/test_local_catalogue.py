"""The models of JumpStart's that the embedded cloud offers can be found, and tried, from the documentation."""

import re
from pathlib import Path

from local.jumpstart.offers import OFFERS

HOSTING = Path(__file__).resolve().parents[2] / "docs" / "hosting.md"


def test_each_model_of_the_local_catalogue_has_a_command_that_deploys_it() -> None:
    told = re.findall(r"^pilotlight deploy jumpstart://(local-[a-z-]+)", HOSTING.read_text(), re.MULTILINE)

    assert set(told) == {offer.model_id for offer in OFFERS}
