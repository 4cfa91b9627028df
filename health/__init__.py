"""The health of connectors, as their logs tell it: dbt models and the report of them, which import nothing else."""
