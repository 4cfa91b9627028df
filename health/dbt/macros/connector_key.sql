{# One text for a connector. The team is a number, so no two connectors share one, whatever their identifiers are. #}
{% macro connector_key(relation=none) %}
{%- set prefix = relation ~ "." if relation else "" -%}
cast({{ prefix }}team_id as {{ dbt.type_string() }}) || '/' || {{ prefix }}connector_identifier
{%- endmacro %}
