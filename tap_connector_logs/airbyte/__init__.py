"""The Airbyte front: the command `source-connector-logs`, without its packages. Nothing else imports it."""
