-- How each connector fares, with the incident that it is in, if it is in one.
select
    freshness.*,
    incidents.started_at as broken_since,
    incidents.failures as failures_since,
    incidents.first_status,
    incidents.first_status_class,
    incidents.first_event,
    incidents.first_request
from {{ models }}.connector_freshness as freshness
left join {{ models }}.connector_incidents as incidents
    on freshness.connector_key = incidents.connector_key
    and incidents.is_open
