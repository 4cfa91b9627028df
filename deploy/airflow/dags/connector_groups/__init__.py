"""What the DAG `connector_logs` is made of: groups of connectors, their states, and runs of Meltano.

Nothing here knows Airflow, so it is tested without.
"""
