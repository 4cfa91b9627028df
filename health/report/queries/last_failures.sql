-- The newest failures that have a request_id, of each connector that is in an incident.
with numbered as (
    select
        connector_key,
        request_id,
        row_number() over (partition by connector_key order by log_time desc, id desc) as place
    from {{ models }}.stg_connector_logs
    where is_failure
        and log_time is not null
        and request_id is not null
        and connector_key in (select connector_key from {{ models }}.connector_incidents where is_open)
)

select connector_key, request_id
from numbered
where place <= {{ failures }}
order by connector_key, place
