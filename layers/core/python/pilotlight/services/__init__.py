"""What Pilotlight does, told in the domain's words over ports."""
