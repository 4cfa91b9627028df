-- The incidents of the page by their causes.
{% from "buckets.jinja" import begin with context %}
select
    cause,
    count(*) as incidents,
    count(*) filter (where is_open) as open_incidents,
    count(distinct connector_key) as connectors,
    cast(sum(failures) as bigint) as failures,
    max(last_failure_at) as last_failure_at
from {{ models }}.connector_incidents
where is_open or ended_at >= {{ begin() }}
group by cause
order by open_incidents desc, failures desc, cause
