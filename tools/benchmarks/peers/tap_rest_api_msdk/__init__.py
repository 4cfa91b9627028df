"""A tap for any REST API, told by its settings what this one is like."""
