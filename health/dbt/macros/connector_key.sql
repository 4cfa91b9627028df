{# One text for a connector. The team is a number, so no two connectors share one, whatever their identifiers are. #}
{% macro connector_key() %}cast(team_id as {{ dbt.type_string() }}) || '/' || connector_identifier{% endmacro %}
