"""What Pilotlight knows and decides, without touching anything: the standard library and pydantic alone."""
