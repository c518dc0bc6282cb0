"""A simulation of SageMaker JumpStart's catalogue: two buckets of S3 with a manifest, specs, weights and terms.

Nothing of the real catalogue is in it. The documents have the real ones' form, the models are made on the spot.
"""

from local.jumpstart.offers import ARCHIVED, GATED, OPEN
from local.jumpstart.stocking import Stock, cache_bucket, gated_bucket, is_gated, stock

__all__ = ["ARCHIVED", "GATED", "OPEN", "Stock", "cache_bucket", "gated_bucket", "is_gated", "stock"]
