-- name: rag_search
-- sla_ms: 50
-- params: 17, 1
-- params: 2500, 12
-- Retrieval: the chunks of one assistant nearest to an embedding, here that of another chunk.
SELECT c.id, c.document_id, c.content,
       c.embedding <=> (SELECT embedding FROM document_chunks WHERE id = $1) AS distance
FROM document_chunks AS c
JOIN documents AS d ON d.id = c.document_id
WHERE d.assistant_id = $2 AND c.embedding IS NOT NULL
ORDER BY distance
LIMIT 8;
