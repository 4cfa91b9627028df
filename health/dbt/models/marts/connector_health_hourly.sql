select
    connector_key,
    team_id,
    connector_identifier,
    connector_name,
    cast(date_trunc('hour', log_time) as timestamp) as log_hour,
    count(*) as requests,
    count(*) filter (where is_failure) as failures,
    count(*) filter (where status_class = 'no_answer') as unanswered,
    count(*) filter (where status_class = 'client_error') as client_errors,
    count(*) filter (where status_class = 'auth') as auth_errors,
    count(*) filter (where status_class = 'throttled') as throttles,
    count(*) filter (where status_class = 'server_error') as server_errors,
    count(*) filter (where is_token_refresh) as token_refreshes,
    count(*) filter (where is_token_refresh and is_failure) as failed_token_refreshes,
    -- Of the kind that picks one of the durations. Interpolated ones would differ between databases in their last
    -- digit.
    percentile_disc(0.50) within group (order by duration_ms) as p50_duration_ms,
    percentile_disc(0.95) within group (order by duration_ms) as p95_duration_ms,
    percentile_disc(0.99) within group (order by duration_ms) as p99_duration_ms
from {{ ref("stg_connector_logs") }}
where log_time is not null
group by 1, 2, 3, 4, 5
