-- The incidents of the page, those to tell of before the others, the newest first, each with the number of all of them.
-- A failure now and then is no news, unless the next success took long to come.
{% from "buckets.jinja" import begin with context %}
with recent as (
    select
        *,
        is_open or failures >= {{ many_failures }} or duration_seconds >= {{ long_seconds }} as is_told
    from {{ models }}.connector_incidents
    where is_open or ended_at >= {{ begin() }}
)

select
    *,
    count(*) filter (where is_told) over () as told,
    count(*) over () as recent
from recent
order by is_told desc, started_at desc, connector_key
limit {{ incidents }}
