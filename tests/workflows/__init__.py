"""A package, so that its cloud ends with its last test: another one in the same process could not start beside it."""
