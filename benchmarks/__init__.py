"""A comparison of the tap with other ways of reading the same logs, on the simulator.

`python -m benchmarks` runs it and writes RESULTS.md.
"""
