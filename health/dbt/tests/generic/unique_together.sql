{% test unique_together(model, columns) %}
{#- Stands in for a test of a package: this project has to work where none can be fetched. -#}
select {{ columns | join(", ") }}, count(*) as occurrences
from {{ model }}
group by {{ columns | join(", ") }}
having count(*) > 1
{% endtest %}
