-- How slow the slowest connectors of the last 24 hours have been, by six hours. Percentiles of hours don't add up to
-- those of six, so this asks the logs.
{% from "buckets.jinja" import bucket, begin with context %}
with slowest as (
    select connector_key
    from {{ models }}.connector_freshness
    where p95_duration_ms_24h is not null
    order by p95_duration_ms_24h desc, connector_key
    limit {{ lines }}
)

select
    connector_key,
    {{ bucket("log_time") }} as bucket,
    percentile_disc(0.95) within group (order by duration_ms) as p95_duration_ms
from {{ models }}.stg_connector_logs
where connector_key in (select connector_key from slowest)
    and log_time >= {{ begin() }}
    and duration_ms is not null
group by 1, 2
order by 1, 2
