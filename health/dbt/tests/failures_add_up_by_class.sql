-- Each failure of an hour is of one class.
select *
from {{ ref("connector_health_hourly") }}
where failures <> unanswered + client_errors + auth_errors + throttles + server_errors
    or failures > requests
    or throttles > failures
    or failed_token_refreshes > token_refreshes
