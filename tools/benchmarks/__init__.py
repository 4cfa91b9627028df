"""A comparison of the tap with other ways of reading the same logs, on the simulator.

`python -m tools.benchmarks` runs it and writes RESULTS.md.
"""
