"""The catalog of loaders: what each does to the logs that this tap sends, found by running it."""
