-- Nobody knows the order of logs that share an instant. Failures come first here: then a success at the same instant
-- ends an incident, so no instant splits one in two, and none lasts beyond an instant at which the connector worked.
with ordered as (
    select
        *,
        row_number() over (
            partition by connector_key
            order by log_time, is_failure desc, {{ in_byte_order("id") }}
        ) as position
    from {{ ref("stg_connector_logs") }}
    where log_time is not null
),

-- All failures with as many successes before them are one incident: the success that ends it is the next one.
counted as (
    select
        *,
        count(*) filter (where not is_failure) over (
            partition by connector_key
            order by position
            rows between unbounded preceding and current row
        ) as successes
    from ordered
),

incidents as (
    select
        connector_key,
        successes,
        count(*) as failures,
        min(position) as first_position,
        max(position) as last_position
    from counted
    where is_failure
    group by connector_key, successes
)

select
    incidents.connector_key,
    first_failure.team_id,
    first_failure.connector_identifier,
    row_number() over (
        partition by incidents.connector_key
        order by incidents.first_position
    ) as incident_number,
    first_failure.log_time as started_at,
    last_failure.log_time as last_failure_at,
    next_success.log_time as ended_at,
    next_success.log_time is null as is_open,
    {{ seconds_between("first_failure.log_time", "next_success.log_time") }} as duration_seconds,
    incidents.failures,
    first_failure.status as first_status,
    first_failure.status_class as first_status_class,
    first_failure.event as first_event,
    first_failure.request as first_request,
    first_failure.id as first_log_id,
    last_failure.status as last_status,
    last_failure.status_class as last_status_class
from incidents
inner join ordered as first_failure
    on incidents.connector_key = first_failure.connector_key
    and incidents.first_position = first_failure.position
inner join ordered as last_failure
    on incidents.connector_key = last_failure.connector_key
    and incidents.last_position = last_failure.position
-- What follows the last failure of an incident is a success, or nothing yet.
left join ordered as next_success
    on incidents.connector_key = next_success.connector_key
    and incidents.last_position + 1 = next_success.position
