"""A tap as the SDK's template leads to it: what the SDK gives, and nothing tuned."""
