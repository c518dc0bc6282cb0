"""How fast, how large and how strict the simulated service is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Settings:
    """Times are simulated seconds. Tests and the demo set the fields of `simulation().settings`.

    Sources: 10 min for an import of 8 B parameters and 15 to 30 min for 70 B, 96 s for a cold start of 8 B, as
    measured by others; idle and billing windows from the Bedrock user guide, "Calculate the cost of running a
    custom model"; the quotas from the service's quota page.
    """

    import_floor_seconds: float = 600.0
    import_overhead_seconds: float = 440.0
    import_bytes_per_second: float = 100e6
    verdict_seconds: float = 60.0  # after which a checkpoint that cannot be imported fails its job

    cold_start_seconds: float = 96.0
    idle_seconds: float = 300.0
    window_seconds: float = 300.0
    bills_idle_window: bool = False  # sources differ on whether the window after the last call is billed

    first_token_seconds: float = 0.4
    tokens_per_second: float = 60.0
    answer_tokens: int = 60

    imported_models: int = 3  # L-45B04988
    import_jobs: int = 1  # L-5F098EFA

    # Seen in the field for a job's name; the service also declares ConflictException for this call.
    name_in_use_error: str = "ValidationException"

    def import_seconds(self, size_bytes: int) -> float:
        """Give how long an import of so many bytes takes: 600 s for 16 GB, half an hour for 141 GB."""
        copying = self.import_overhead_seconds + size_bytes / self.import_bytes_per_second
        return max(self.import_floor_seconds, copying)
