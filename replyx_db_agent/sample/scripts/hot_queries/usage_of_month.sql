-- name: usage_of_month
-- sla_ms: 30
-- params: 1, '2025-08-01'
-- params: 5, '2025-07-01'
-- What a user consumed in a month: the page of the current invoice.
SELECT kind, count(*) AS events, sum(quantity) AS quantity, sum(amount) AS amount
FROM usage_events
WHERE user_id = $1
  AND occurred_at >= ($2::date)::timestamp AT TIME ZONE 'UTC'
  AND occurred_at < ($2::date + interval '1 month') AT TIME ZONE 'UTC'
GROUP BY kind
ORDER BY kind;
