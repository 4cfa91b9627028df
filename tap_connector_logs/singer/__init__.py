"""The Singer front: the command `tap-connector-logs`, on the SDK. Nothing else imports it."""
