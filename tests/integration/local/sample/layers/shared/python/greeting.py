"""A module that only the layer brings."""

WORDS = "from the layer"
