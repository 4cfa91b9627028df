{# Text as something to sort by. Databases sort text by their own languages; bytes are the same everywhere. #}
{% macro in_byte_order(text) %}{{ return(adapter.dispatch("in_byte_order")(text)) }}{% endmacro %}

{% macro duckdb__in_byte_order(text) %}{{ text }}{% endmacro %}

{% macro postgres__in_byte_order(text) %}{{ text }} collate "C"{% endmacro %}
