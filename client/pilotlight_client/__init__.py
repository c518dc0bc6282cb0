"""A Python client of the Pilotlight API and the `pilotlight` command."""
