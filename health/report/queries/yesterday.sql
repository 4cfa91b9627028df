-- The incidents that began and that ended in the 24 hours up to the newest log.
with newest as (
    select max(team_last_log_at) - interval '24 hours' as yesterday
    from {{ models }}.connector_freshness
)

select
    count(*) filter (where started_at > yesterday) as began,
    count(*) filter (where ended_at > yesterday) as ended
from {{ models }}.connector_incidents
cross join newest
