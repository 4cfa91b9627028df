"""The front for people: the command `connector-logs`, which plans and proves what the tap brings."""
