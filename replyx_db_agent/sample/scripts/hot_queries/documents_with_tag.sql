-- name: documents_with_tag
-- sla_ms: 15
-- params: 1, '{"tags": ["returns"]}'
-- params: 3, '{"tags": ["доставка"]}'
-- The library of an assistant, filtered by tag.
SELECT id, title, language, size_bytes, updated_at
FROM documents
WHERE assistant_id = $1 AND attributes @> $2::jsonb
ORDER BY updated_at DESC
LIMIT 50;
