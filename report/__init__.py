"""The health report: the models of `examples/dbt`, built and turned into one HTML file."""
