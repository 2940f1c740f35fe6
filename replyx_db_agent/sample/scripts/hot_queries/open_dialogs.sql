-- name: open_dialogs
-- sla_ms: 15
-- params: 1
-- params: 7
-- The inbox of a user: dialogs that still need somebody, newest first.
SELECT id, public_id, subject, channel, status, last_message_at
FROM dialogs
WHERE user_id = $1 AND status <> 'closed'
ORDER BY last_message_at DESC
LIMIT 20;
