-- Each failure is in one incident at most.
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
from incidents
left join failures using (connector_key)
where incidents.failures > coalesce(failures.failures, 0)
