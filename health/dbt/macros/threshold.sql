{# A threshold: what the environment says, or else the project. #}
{% macro threshold(name) %}{{ return(env_var("REPORT_" ~ name | upper, var(name) | string)) }}{% endmacro %}
