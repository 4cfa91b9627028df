-- The incidents of the page, the newest first, each with the number of all of them.
{% from "buckets.jinja" import begin with context %}
select
    *,
    count(*) over () as recent
from {{ models }}.connector_incidents
where is_open or ended_at >= {{ begin() }}
order by started_at desc, connector_key, incident_number
limit {{ incidents }}
