{# The time in UTC, without a zone as all times here; REPORT_NOW takes its place, for logs of the past. #}
{% macro utc_now() %}
{%- set given = env_var("REPORT_NOW", "") -%}
{%- if given -%}
cast('{{ given }}' as timestamp)
{%- else -%}
{{ return(adapter.dispatch("utc_now")()) }}
{%- endif -%}
{% endmacro %}

{% macro duckdb__utc_now() %}make_timestamp(epoch_us(now())){% endmacro %}

{% macro postgres__utc_now() %}timezone('UTC', now()){% endmacro %}
