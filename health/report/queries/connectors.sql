-- How each connector fares, with the incident that it is in, if it is in one.
select
    status.*,
    coalesce(freshness.logs, 0) as logs,
    coalesce(freshness.logs_without_time, 0) as logs_without_time,
    freshness.team_last_log_at,
    coalesce(freshness.logs_24h, 0) as logs_24h,
    coalesce(freshness.failures_24h, 0) as failures_24h,
    coalesce(freshness.throttles_24h, 0) as throttles_24h,
    freshness.p95_duration_ms_24h,
    coalesce(freshness.logs_previous_24h, 0) as logs_previous_24h,
    coalesce(freshness.failures_previous_24h, 0) as failures_previous_24h,
    coalesce(freshness.throttles_previous_24h, 0) as throttles_previous_24h,
    incidents.started_at,
    incidents.ended_at,
    incidents.failures,
    incidents.first_status,
    incidents.first_event,
    incidents.first_request
from {{ models }}.connector_status as status
left join {{ models }}.connector_freshness as freshness
    on status.connector_key = freshness.connector_key
left join {{ models }}.connector_incidents as incidents
    on status.connector_key = incidents.connector_key
    and status.incident_number = incidents.incident_number
