-- name: dialog_page
-- sla_ms: 20
-- params: 1
-- params: 2
-- params: 42
-- The last messages of a dialog: the widget asks for them whenever it opens.
SELECT id, role, content, tokens, created_at
FROM dialog_messages
WHERE dialog_id = $1
ORDER BY created_at DESC
LIMIT 50;
