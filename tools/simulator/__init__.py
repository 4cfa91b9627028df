"""A stand-in for the two endpoints of the Supermetrics API that list connectors and their logs.

It is a real server on a loopback port, over a history that a seed determines, and it can be told to behave in
every way that the API's documentation leaves open. Tests, the demo and the benchmarks read from it.
"""
