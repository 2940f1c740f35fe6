-- What a row generator must know, as one JSON array of [kind, description]: tables and types.
-- With an empty search_path PostgreSQL writes every name out; the last branch puts it back.
WITH RECURSIVE
settings AS MATERIALIZED (
  SELECT pinned.name, pinned.value, current_setting(pinned.name) AS previous
  FROM (VALUES
    ('search_path', ''), ('TimeZone', 'UTC'), ('DateStyle', 'ISO, MDY'),
    ('quote_all_identifiers', 'off')
  ) AS pinned(name, value)
),
tables AS MATERIALIZED (
  SELECT c.oid, c.relkind,
    CASE n.nspname WHEN 'public' THEN '' ELSE quote_ident(n.nspname) || '.' END
      || quote_ident(c.relname) AS name,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND n.nspname !~ '^pg_'
    AND n.nspname NOT IN ('information_schema', 'replyx_trace', 'replyx_db_agent')
    AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
used(oid) AS (
  SELECT a.atttypid FROM tables t
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT part.oid
  FROM used u
  JOIN pg_type t ON t.oid = u.oid
  LEFT JOIN pg_range g ON u.oid IN (g.rngtypid, g.rngmultitypid)
  CROSS JOIN LATERAL (VALUES
    (t.typbasetype), (CASE t.typcategory WHEN 'A' THEN t.typelem END), (g.rngsubtype), (g.rngtypid)
  ) AS part(oid)
  WHERE part.oid <> 0
)
SELECT json_agg(json_build_array(o.kind, o.description))::text
FROM (
  SELECT 'setting', to_json(set_config(s.name, s.value, true)) FROM settings s

  UNION ALL
  SELECT 'type', json_build_object(
    'oid', t.oid,
    'name', quote_ident(n.nspname) || '.' || quote_ident(t.typname),
    'schema', quote_ident(n.nspname),
    'word', t.typname,
    'kind', t.typtype,
    'category', t.typcategory,
    'base', NULLIF(t.typbasetype, 0),
    'modifier', t.typtypmod,
    'not_null', t.typnotnull,
    'element', CASE t.typcategory WHEN 'A' THEN t.typelem END,
    'subtype', g.rngsubtype,
    'range', CASE WHEN g.rngmultitypid = t.oid THEN g.rngtypid END,
    'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)
               FROM pg_enum e WHERE e.enumtypid = t.oid),
    'checks', (SELECT json_agg(pg_get_expr(c.conbin, 0) ORDER BY c.conname)
               FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'))
  FROM used u
  JOIN pg_type t ON t.oid = u.oid
  JOIN pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN pg_range g ON t.oid IN (g.rngtypid, g.rngmultitypid)

  UNION ALL
  SELECT 'table', json_build_object(
    'name', t.name,
    'relation', CASE t.relkind WHEN 'r' THEN 'ONLY ' ELSE '' END || t.relation,
    'target', t.relation,
    'columns', (
      SELECT json_agg(json_build_object(
          'name', quote_ident(a.attname), 'type', a.atttypid, 'modifier', a.atttypmod,
          'not_null', a.attnotnull,
          'fixed', a.attidentity = 'a' OR a.attgenerated <> '',
          'own_value', a.attidentity = 'd' OR COALESCE(
            pg_get_expr(d.adbin, d.adrelid) ~ 'nextval\(', false),
          'has_default', a.atthasdef) ORDER BY a.attnum)
      FROM pg_attribute a
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'keys', (
      -- A partial unique index binds some rows only: ON CONFLICT sees to those.
      SELECT json_agg(k.columns ORDER BY k.indisprimary DESC, k.indexrelid) FROM (
        SELECT x.indisprimary, x.indexrelid, (
            SELECT json_agg(DISTINCT quote_ident(a.attname))
            FROM pg_depend d JOIN pg_attribute a
              ON a.attrelid = x.indrelid AND a.attnum = d.refobjsubid
            WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = x.indrelid
              AND (d.objid = x.indexrelid AND d.classid = 'pg_class'::regclass
                   OR d.classid = 'pg_constraint'::regclass AND d.objid IN (
                     SELECT c.oid FROM pg_constraint c
                     WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u')))
              AND d.refobjsubid > 0
              AND NOT d.refobjsubid = ANY (x.indkey[x.indnkeyatts:]::int2[])) AS columns
        FROM pg_index x
        WHERE x.indrelid = t.oid AND x.indisunique AND x.indpred IS NULL) AS k),
    'foreign_keys', (
      SELECT json_agg(json_build_object(
          'parent', COALESCE(p.name, c.confrelid::regclass::text),
          'parent_relation', c.confrelid::regclass::text,
          'columns', (SELECT json_agg(quote_ident(a.attname) ORDER BY k.position)
                      FROM unnest(c.conkey) WITH ORDINALITY AS k(attnum, position)
                      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
          'parent_columns', (SELECT json_agg(quote_ident(a.attname) ORDER BY k.position)
                      FROM unnest(c.confkey) WITH ORDINALITY AS k(attnum, position)
                      JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum))
        ORDER BY cardinality(c.conkey) DESC, c.conname)
      FROM pg_constraint c LEFT JOIN tables p ON p.oid = c.confrelid
      WHERE c.conrelid = t.oid AND c.contype = 'f' AND c.conparentid = 0),
    'checks', (
      SELECT json_agg(json_build_object(
          'text', pg_get_expr(c.conbin, c.conrelid),
          'columns', (SELECT json_agg(quote_ident(a.attname)) FROM pg_attribute a
                      WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)))
        ORDER BY c.conname)
      FROM pg_constraint c WHERE c.conrelid = t.oid AND c.contype = 'c'),
    'partitions', (
      SELECT json_agg(json_build_object(
          'strategy', k.partstrat,
          'columns', (SELECT json_agg(quote_ident(a.attname) ORDER BY c.position)
                      FROM unnest(k.partattrs::int2[]) WITH ORDINALITY AS c(attnum, position)
                      LEFT JOIN pg_attribute a
                        ON a.attrelid = k.partrelid AND a.attnum = c.attnum),
          'bounds', (SELECT json_agg(pg_get_expr(r.relpartbound, r.oid) ORDER BY r.relname)
                     FROM pg_inherits i JOIN pg_class r ON r.oid = i.inhrelid
                     WHERE i.inhparent = k.partrelid)) ORDER BY f.level, k.partrelid)
      FROM pg_partition_tree(t.oid) f JOIN pg_partitioned_table k ON k.partrelid = f.relid
      WHERE t.relkind = 'p'))
  FROM tables t

  UNION ALL
  SELECT 'setting', to_json(set_config(s.name, s.previous, true)) FROM settings s
) AS o(kind, description)
