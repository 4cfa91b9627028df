{# When the newest row of a table was loaded, in UTC: null where the loader doesn't tell, or where there is no table. #}
{% macro loaded_at(relation) %}
{%- set columns = adapter.get_columns_in_relation(relation) if relation else [] -%}
{%- for column in columns if column.name == "_sdc_batched_at" -%}
(
    select max(
        {%- if "timestamp" in column.dtype | lower and ("with time zone" in column.dtype | lower or "tz" in column.dtype | lower) %} _sdc_batched_at at time zone 'UTC'
        {%- else %} cast(_sdc_batched_at as timestamp)
        {%- endif %})
    from {{ relation }}
)
{%- else -%}
cast(null as timestamp)
{%- endfor -%}
{% endmacro %}
