"""What pages and `plugin.yaml` take from code and measurements: `python -m tools.reference_pages` writes it."""
