-- Requests and failures of all connectors, by six hours.
{% from "buckets.jinja" import bucket, begin with context %}
select
    {{ bucket("log_hour") }} as bucket,
    cast(sum(requests) as bigint) as requests,
    cast(sum(failures) as bigint) as failures,
    cast(sum(auth_errors) as bigint) as auth,
    cast(sum(throttles) as bigint) as throttled,
    cast(sum(client_errors) as bigint) as client_error,
    cast(sum(server_errors) as bigint) as server_error,
    cast(sum(unanswered) as bigint) as no_answer
from {{ models }}.connector_health_hourly
where log_hour >= {{ begin() }}
group by 1
order by 1
