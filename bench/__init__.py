"""What we say of speed, measured: each module here prints a ratio against a named peer of the same run."""
