"""dlt's source for REST APIs, loading into files of JSON lines."""
