-- Requests and failures of each connector, by six hours.
{% from "buckets.jinja" import bucket, begin with context %}
select
    connector_key,
    {{ bucket("log_hour") }} as bucket,
    cast(sum(requests) as bigint) as requests,
    cast(sum(failures) as bigint) as failures
from {{ models }}.connector_health_hourly
where log_hour >= {{ begin() }}
group by 1, 2
