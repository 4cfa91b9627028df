-- A view, so that it tells the truth when nothing has built anything for long.
{{ config(materialized="view") }}

with ages as (
    select
        {{ utc_now() }} as told_at,
        -- Of what was loaded, not of the models: nothing else is as new, and as cheap to ask.
        (
            select max(cast(log_time as timestamp)) from {{ source("tap_connector_logs", "connector_logs") }}
        ) as newest_log_at,
        -- Each run loads the whole list of connectors, but not always a log.
        {{ loaded_at(load_relation(source("tap_connector_logs", "connectors"))) }} as connectors_loaded_at,
        {{ loaded_at(load_relation(source("tap_connector_logs", "connector_logs"))) }} as logs_loaded_at
),

loads as (
    select
        told_at,
        newest_log_at,
        greatest(coalesce(connectors_loaded_at, logs_loaded_at), logs_loaded_at) as last_load_at,
        connectors_loaded_at is not null as each_load_is_seen
    from ages
)

select
    told_at,
    newest_log_at,
    last_load_at,
    each_load_is_seen,
    coalesce(
        newest_log_at < told_at - {{ threshold("stale_after_hours") }} * interval '1 hour'
        or (
            each_load_is_seen
            and last_load_at < told_at - {{ threshold("stale_after_hours_without_load") }} * interval '1 hour'
        ),
        false
    ) as is_stale
from loads
