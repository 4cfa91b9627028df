-- The 24 hours end at the newest log of the team, not now: the wall clock would make each connector look quiet while
-- the job that brings the logs is late, and no result could be had twice.
with logs as (
    select
        *,
        max(log_time) over (partition by team_id) as team_last_log_at,
        max(log_time) filter (where not is_failure) over (partition by connector_key) as last_success_at
    from {{ ref("stg_connector_logs") }}
),

periods as (
    select
        *,
        case
            when log_time > team_last_log_at - interval '24 hours' then 'last'
            when log_time > team_last_log_at - interval '48 hours' then 'previous'
        end as day,
        log_time <= team_last_log_at - interval '24 hours'
        and log_time > team_last_log_at
        - interval '24 hours'
        - {{ threshold("baseline_days") }} * interval '24 hours' as is_baseline
    from logs
),

connectors as (
    select
        connector_key,
        team_id,
        connector_identifier,
        connector_name,
        count(*) as logs,
        count(*) filter (where log_time is null) as logs_without_time,
        max(log_time) as last_log_at,
        max(last_success_at) as last_success_at,
        max(log_time) filter (where is_failure) as last_failure_at,
        max(team_last_log_at) as team_last_log_at,
        -- A success at the instant of a failure is one after it.
        count(*) filter (where is_failure and log_time > coalesce(last_success_at, '-infinity')) as failures_in_a_row,
        count(*) filter (where day = 'last') as logs_24h,
        count(*) filter (where is_failure and day = 'last') as failures_24h,
        count(*) filter (where status_class = 'throttled' and day = 'last') as throttles_24h,
        percentile_disc(0.95) within group (order by duration_ms) filter (where day = 'last') as p95_duration_ms_24h,
        count(*) filter (where day = 'previous') as logs_previous_24h,
        count(*) filter (where is_failure and day = 'previous') as failures_previous_24h,
        count(*) filter (where status_class = 'throttled' and day = 'previous') as throttles_previous_24h,
        count(*) filter (where is_baseline) as logs_baseline,
        count(*) filter (where is_failure and is_baseline) as failures_baseline
    from periods
    group by connector_key, team_id, connector_identifier, connector_name
)

select
    connector_key,
    team_id,
    connector_identifier,
    connector_name,
    logs,
    logs_without_time,
    last_log_at,
    last_success_at,
    last_failure_at,
    team_last_log_at,
    {{ seconds_between("last_log_at", "team_last_log_at") }} as seconds_behind_team,
    failures_in_a_row,
    logs_24h,
    failures_24h,
    throttles_24h,
    p95_duration_ms_24h,
    -- Without logs in those hours there is no share: null.
    cast(failures_24h as double precision) / nullif(logs_24h, 0) as share_of_failures_24h,
    logs_previous_24h,
    failures_previous_24h,
    throttles_previous_24h,
    cast(failures_baseline as double precision) / nullif(logs_baseline, 0) as share_of_failures_baseline
from connectors
