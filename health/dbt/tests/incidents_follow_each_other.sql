-- An incident begins when the one before has ended: only the last of a connector can be open.
with incidents as (
    select
        *,
        lag(ended_at) over (partition by connector_key order by incident_number) as previous_ended_at
    from {{ ref("connector_incidents") }}
)

select *
from incidents
where (incident_number > 1 and (previous_ended_at is null or previous_ended_at > started_at))
    or started_at > last_failure_at
    or last_failure_at > ended_at
