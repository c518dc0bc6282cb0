"""The embedded cloud: AWS on one machine, for trying and for tests. It is never deployed."""
