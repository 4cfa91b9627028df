"""Singer tap for the execution logs of Supermetrics Codeless Connectors."""
