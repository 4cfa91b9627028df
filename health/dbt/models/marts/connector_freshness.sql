-- The 24 hours end at the newest log of the team, not now: the wall clock would make each connector look quiet while
-- the job that brings the logs is late, and no result could be had twice.
with logs as (
    select
        *,
        max(log_time) over (partition by team_id) as team_last_log_at
    from {{ ref("stg_connector_logs") }}
),

connectors as (
    select
        connector_key,
        team_id,
        connector_identifier,
        count(*) as logs,
        count(*) filter (where log_time is null) as logs_without_time,
        max(log_time) as last_log_at,
        max(log_time) filter (where not is_failure) as last_success_at,
        max(log_time) filter (where is_failure) as last_failure_at,
        max(team_last_log_at) as team_last_log_at,
        count(*) filter (where log_time > team_last_log_at - interval '24 hours') as logs_24h,
        count(*) filter (where is_failure and log_time > team_last_log_at - interval '24 hours') as failures_24h,
        count(*) filter (
            where status_class = 'throttled' and log_time > team_last_log_at - interval '24 hours'
        ) as throttles_24h,
        percentile_disc(0.95) within group (order by duration_ms) filter (
            where log_time > team_last_log_at - interval '24 hours'
        ) as p95_duration_ms_24h
    from logs
    group by connector_key, team_id, connector_identifier
)

select
    connector_key,
    team_id,
    connector_identifier,
    logs,
    logs_without_time,
    last_log_at,
    last_success_at,
    last_failure_at,
    team_last_log_at,
    {{ seconds_between("last_log_at", "team_last_log_at") }} as seconds_behind_team,
    logs_24h,
    failures_24h,
    throttles_24h,
    p95_duration_ms_24h,
    -- Without logs in those hours there is no share: null.
    cast(failures_24h as double precision) / nullif(logs_24h, 0) as share_of_failures_24h
from connectors
