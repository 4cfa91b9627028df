"""The API over HTTP: requests, how many and how often, and what the answers say. It knows no protocol, no backlog."""
