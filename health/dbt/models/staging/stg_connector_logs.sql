-- A loader that only appends may bring a log twice, after a kill. They are alike, or nearly: the order is there to make
-- the choice a certain one.
with numbered as (
    select
        cast(team_id as bigint) as team_id,
        cast(connector_identifier as {{ dbt.type_string() }}) as connector_identifier,
        cast(id as {{ dbt.type_string() }}) as id,
        cast(log_time as timestamp) as log_time,
        cast(status as integer) as status,
        cast(event as {{ dbt.type_string() }}) as event,
        cast(request as {{ dbt.type_string() }}) as request,
        cast(duration_ms as bigint) as duration_ms,
        cast(request_id as {{ dbt.type_string() }}) as request_id,
        row_number() over (
            partition by team_id, connector_identifier, id
            order by
                log_time asc nulls last,
                status asc nulls last,
                duration_ms asc nulls last,
                {{ in_byte_order("event") }} asc nulls last,
                {{ in_byte_order("request") }} asc nulls last,
                {{ in_byte_order("request_id") }} asc nulls last
        ) as occurrence
    from {{ source("tap_connector_logs", "connector_logs") }}
),

classified as (
    select
        *,
        case
            when status is null then 'no_answer'
            when status < 400 then 'success'
            when status in (401, 403) then 'auth'
            when status = 429 then 'throttled'
            when status < 500 then 'client_error'
            else 'server_error'
        end as status_class
    from numbered
    where occurrence = 1
)

select
    {{ connector_key("classified") }} as connector_key,
    classified.team_id,
    classified.connector_identifier,
    coalesce(connectors.connector_name, classified.connector_identifier) as connector_name,
    id,
    log_time,
    status,
    status_class,
    status_class <> 'success' as is_failure,
    event,
    coalesce(event = 'auth.token.refresh', false) as is_token_refresh,
    request,
    duration_ms,
    request_id
from classified
left join {{ ref("stg_connectors") }} as connectors
    on classified.team_id = connectors.team_id
    and classified.connector_identifier = connectors.connector_identifier
