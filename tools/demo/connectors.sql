-- How the connectors fare, the worst first. A log counts as a failure if its status is 400 or more, or missing:
-- then the third party did not answer. `$now` is the time to count the age of the newest log to, in UTC.
WITH logs AS (
    SELECT *, coalesce(status >= 400, true) AS is_failure
    FROM tap_connector_logs.connector_logs
)
SELECT
    coalesce(any_value(connectors.name), connector_identifier) AS connector,
    count(*) AS logs,
    count(*) FILTER (WHERE is_failure) / count(*) AS share_of_failures,
    quantile_cont(duration_ms, 0.95) AS p95_duration_ms,
    mode(coalesce(event, 'no event') || ', ' || coalesce(status::VARCHAR, 'no answer'))
        FILTER (WHERE is_failure) AS most_frequent_failure,
    $now::TIMESTAMP - max(log_time) AS age_of_newest_log
FROM logs
LEFT JOIN tap_connector_logs.connectors USING (team_id, connector_identifier)
GROUP BY team_id, connector_identifier
ORDER BY share_of_failures DESC
