-- A view, so that no connector is called working when nothing has built anything for long.
{{ config(materialized="view") }}

-- A connector may be in incidents of several causes: the one that breaks it counts, else the one that began first.
with open_incidents as (
    select
        *,
        cause = 'credentials'
        or (cause <> 'throttled' and share_of_failures >= {{ threshold("broken_share") }}) as breaks
    from {{ ref("connector_incidents") }}
    where is_open
),

incidents as (
    select
        *,
        row_number() over (partition by connector_key order by breaks desc, started_at, incident_number) as place
    from open_incidents
),

all_connectors as (
    select connector_key, team_id, connector_identifier from {{ ref("connector_freshness") }}
    union
    select connector_key, team_id, connector_identifier from {{ ref("stg_connectors") }}
)

select
    all_connectors.connector_key,
    all_connectors.team_id,
    all_connectors.connector_identifier,
    coalesce(names.connector_name, freshness.connector_name) as connector_name,
    case
        when freshness.last_log_at is null then 'unknown'
        when incidents.breaks then 'broken'
        when pipeline.is_stale then 'stale'
        when incidents.connector_key is not null then 'degraded'
        when freshness.logs_24h = 0 then 'quiet'
        when freshness.failures_24h >= {{ threshold("incident_failures") }}
            and freshness.share_of_failures_24h >= {{ threshold("degraded_share") }}
            then 'degraded'
        else 'working'
    end as state,
    incidents.cause,
    incidents.started_at as since,
    incidents.incident_number,
    freshness.last_log_at,
    freshness.last_success_at,
    freshness.failures_in_a_row,
    freshness.share_of_failures_24h,
    freshness.share_of_failures_baseline
from all_connectors
left join {{ ref("connector_freshness") }} as freshness
    on all_connectors.connector_key = freshness.connector_key
left join {{ ref("stg_connectors") }} as names
    on all_connectors.connector_key = names.connector_key
left join incidents
    on all_connectors.connector_key = incidents.connector_key
    and incidents.place = 1
cross join {{ ref("pipeline_freshness") }} as pipeline
