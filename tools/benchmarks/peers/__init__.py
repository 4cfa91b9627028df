"""What the tap is compared with: each peer's own code or configuration, and the exact versions that it needs."""
