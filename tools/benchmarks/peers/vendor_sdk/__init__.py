"""The vendor's SDK, in the loop that its user would write."""
