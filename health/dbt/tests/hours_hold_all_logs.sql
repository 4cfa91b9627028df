-- The hours of a connector hold all its logs that have a time.
select freshness.connector_key, freshness.logs, freshness.logs_without_time, sum(hourly.requests) as requests
from {{ ref("connector_freshness") }} as freshness
left join {{ ref("connector_health_hourly") }} as hourly on freshness.connector_key = hourly.connector_key
group by 1, 2, 3
having coalesce(sum(hourly.requests), 0) <> freshness.logs - freshness.logs_without_time
