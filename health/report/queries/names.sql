-- What the owners of the connectors call them. A loader that only appends has a row for each run.
select
    cast(team_id as bigint) as team_id,
    connector_identifier,
    max(name) as name
from {{ logs }}.connectors
group by 1, 2
