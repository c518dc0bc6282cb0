"""What it costs to keep weights in S3."""

from pilotlight.domain.values import Basis, Money

BYTES_PER_GIB = 1024**3
# The first 50 TB of S3 Standard. Source: aws.amazon.com/s3/pricing, us-east-1 and us-west-2, 2026-11; elsewhere some
# cents more for each dollar.
USD_PER_GIB_MONTH = 0.023


def kept_for_a_month(size_bytes: int) -> Money:
    """Return what so many bytes cost by the month."""
    return Money(usd=round(size_bytes / BYTES_PER_GIB * USD_PER_GIB_MONTH, 6), basis=Basis.ESTIMATED)
