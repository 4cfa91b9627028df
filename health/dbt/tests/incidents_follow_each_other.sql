-- An incident begins when the one before of its cause has ended: only the last of a cause can be open.
with incidents as (
    select
        *,
        lag(ended_at) over of_cause as previous_ended_at,
        lag(incident_number) over of_cause as previous_number
    from {{ ref("connector_incidents") }}
    window of_cause as (partition by connector_key, cause order by incident_number)
)

select *
from incidents
where (previous_number is not null and (previous_ended_at is null or previous_ended_at > started_at))
    or started_at > last_failure_at
    or last_failure_at > ended_at
    or failures > requests * share_of_failures + 0.001
