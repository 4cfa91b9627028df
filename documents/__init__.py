"""What the documents and `plugin.yaml` take from the code and the measurements: `python -m documents` writes it."""
