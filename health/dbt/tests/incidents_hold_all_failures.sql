-- Each failure that has a time is in one incident, and nothing else is.
with failures as (
    select connector_key, sum(failures) as failures
    from {{ ref("connector_health_hourly") }}
    group by connector_key
),

incidents as (
    select connector_key, sum(failures) as failures
    from {{ ref("connector_incidents") }}
    group by connector_key
)

select connector_key, failures.failures, incidents.failures as failures_of_incidents
from failures
full outer join incidents using (connector_key)
where coalesce(failures.failures, 0) <> coalesce(incidents.failures, 0)
