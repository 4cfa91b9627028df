-- Nobody knows the order of logs that share an instant. Failures come first here: then a success at the same instant
-- is one after them, so no instant splits an incident in two.
with ordered as materialized (
    select
        *,
        case
            when status_class = 'auth' then 'credentials'
            when status_class = 'throttled' then 'throttled'
            when status_class = 'client_error' then 'refused'
            when status_class in ('server_error', 'no_answer') then 'unavailable'
        end as cause,
        row_number() over in_order as position,
        count(*) filter (where not is_failure) over (in_order rows unbounded preceding) as successes
    from {{ ref("stg_connector_logs") }}
    where log_time is not null
    window in_order as (partition by connector_key order by log_time, is_failure desc, {{ in_byte_order("id") }})
),

successes as (
    select connector_key, successes as number, log_time
    from ordered
    where not is_failure
),

failures as (
    select
        *,
        lag(successes) over (partition by connector_key, cause order by position) as successes_before
    from ordered
    where is_failure
),

-- A failure begins a chain if there were enough successes since the failure before it, of the same cause.
numbered as materialized (
    select
        failures.*,
        sum(
            case
                when failures.successes - failures.successes_before >= {{ threshold("recovered_after_successes") }}
                    or newest.log_time - first_since.log_time
                    >= {{ threshold("recovered_after_minutes") }} * interval '1 minute'
                    then 1
                else 0
            end
        ) over (
            partition by failures.connector_key, failures.cause
            order by failures.position
            rows unbounded preceding
        ) as chain
    from failures
    left join successes as first_since
        on failures.connector_key = first_since.connector_key
        and failures.successes_before + 1 = first_since.number
    left join successes as newest
        on failures.connector_key = newest.connector_key
        and failures.successes = newest.number
),

chains as (
    select
        connector_key,
        cause,
        count(*) as failures,
        min(position) as first_position,
        max(position) as last_position,
        -- Only what follows the last chain of a cause is not known to have ended it.
        chain = max(chain) over (partition by connector_key, cause) as is_last
    from numbered
    group by connector_key, cause, chain
),

newest_successes as (
    select connector_key, max(number) as number, max(log_time) as log_time
    from successes
    group by connector_key
),

incidents as (
    select
        chains.connector_key,
        first_failure.team_id,
        first_failure.connector_identifier,
        first_failure.connector_name,
        chains.cause,
        first_failure.log_time as started_at,
        last_failure.log_time as last_failure_at,
        case
            when not chains.is_last
                or newest.number - last_failure.successes >= {{ threshold("recovered_after_successes") }}
                or newest.log_time - next_success.log_time
                >= {{ threshold("recovered_after_minutes") }} * interval '1 minute'
                then next_success.log_time
        end as ended_at,
        chains.failures,
        chains.last_position - chains.first_position + 1 as requests,
        cast(
            chains.last_position - chains.first_position + 1 - (last_failure.successes - first_failure.successes)
            as double precision
        ) / (chains.last_position - chains.first_position + 1) as share_of_failures,
        first_failure.status as first_status,
        first_failure.status_class as first_status_class,
        first_failure.event as first_event,
        first_failure.request as first_request,
        first_failure.id as first_log_id,
        last_failure.status as last_status,
        last_failure.status_class as last_status_class,
        last_failure.request_id as last_request_id,
        chains.first_position
    from chains
    inner join ordered as first_failure
        on chains.connector_key = first_failure.connector_key
        and chains.first_position = first_failure.position
    inner join ordered as last_failure
        on chains.connector_key = last_failure.connector_key
        and chains.last_position = last_failure.position
    left join successes as next_success
        on chains.connector_key = next_success.connector_key
        and last_failure.successes + 1 = next_success.number
    left join newest_successes as newest
        on chains.connector_key = newest.connector_key
    where chains.failures >= {{ threshold("incident_failures") }}
)

select
    connector_key,
    team_id,
    connector_identifier,
    connector_name,
    row_number() over (partition by connector_key order by first_position) as incident_number,
    cause,
    started_at,
    last_failure_at,
    ended_at,
    ended_at is null as is_open,
    {{ seconds_between("started_at", "ended_at") }} as duration_seconds,
    failures,
    requests,
    share_of_failures,
    first_status,
    first_status_class,
    first_event,
    first_request,
    first_log_id,
    last_status,
    last_status_class,
    last_request_id
from incidents
where share_of_failures >= {{ threshold("incident_share") }}
