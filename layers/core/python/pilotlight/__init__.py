"""Pilotlight: a control plane for your own LLMs on AWS."""
