-- A loader that only appends has a row for each run, so that a connector may have had several names: any will do, as
-- long as it is always the same.
{%- set loaded = load_relation(source("tap_connector_logs", "connectors")) %}
{% if loaded %}
select
    {{ connector_key() }} as connector_key,
    cast(team_id as bigint) as team_id,
    cast(connector_identifier as {{ dbt.type_string() }}) as connector_identifier,
    coalesce(max({{ in_byte_order("name") }}), max(connector_identifier)) as connector_name
from {{ loaded }}
group by 1, 2, 3
{% else %}
select
    cast(null as {{ dbt.type_string() }}) as connector_key,
    cast(null as bigint) as team_id,
    cast(null as {{ dbt.type_string() }}) as connector_identifier,
    cast(null as {{ dbt.type_string() }}) as connector_name
where false
{% endif %}
