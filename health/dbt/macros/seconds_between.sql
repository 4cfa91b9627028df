{# Seconds from one time to another as a double, to the microsecond; null if one of them is. #}
{% macro seconds_between(start, end) %}{{ return(adapter.dispatch("seconds_between")(start, end)) }}{% endmacro %}

{% macro duckdb__seconds_between(start, end) %}date_diff('microsecond', {{ start }}, {{ end }}) / 1e6{% endmacro %}

{% macro postgres__seconds_between(start, end) %}
cast(extract(epoch from {{ end }} - {{ start }}) as double precision)
{% endmacro %}
