"""The front for Python: `read_logs`, on nothing but the core. Nothing else imports it."""
