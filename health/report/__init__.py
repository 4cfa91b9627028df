"""The health report: the models of `health/dbt`, built and turned into one HTML file."""
