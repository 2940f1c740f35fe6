-- Every object of the database as one JSON array of [kind, name, table, attributes].
-- The branches of the outer UNION ALL run in the order written: the first pins the settings that
-- PostgreSQL's deparsing functions depend on, the last puts the caller's values back.
WITH
settings AS MATERIALIZED (
  SELECT pinned.name, pinned.value, current_setting(pinned.name) AS previous
  FROM (VALUES
    ('search_path', 'public'), ('TimeZone', 'UTC'), ('DateStyle', 'ISO, MDY'),
    ('IntervalStyle', 'postgres'), ('extra_float_digits', '1'), ('bytea_output', 'hex'),
    ('quote_all_identifiers', 'off')
  ) AS pinned(name, value)
),
schemas AS MATERIALIZED (
  SELECT n.oid, n.nspname,
    CASE n.nspname WHEN 'public' THEN '' ELSE quote_ident(n.nspname) || '.' END AS prefix
  FROM pg_namespace n
  WHERE n.nspname !~ '^pg_'
    AND n.nspname NOT IN ('information_schema', 'replyx_trace', 'replyx_db_agent')
),
members AS MATERIALIZED (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
),
comments AS MATERIALIZED (
  -- 16384 is FirstNormalObjectId: what initdb made lies below.
  SELECT objoid, classoid, objsubid, description FROM pg_description WHERE objoid >= 16384
),
relations AS MATERIALIZED (
  SELECT c.*, s.prefix || quote_ident(c.relname) AS name, s.prefix
  FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
  WHERE NOT EXISTS (
    SELECT FROM members m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
),
parents AS MATERIALIZED (
  SELECT i.inhrelid, string_agg(p.name, ', ' ORDER BY i.inhseqno) AS names
  FROM pg_inherits i JOIN relations p ON p.oid = i.inhparent
  GROUP BY i.inhrelid
),
owned_sequences AS MATERIALIZED (
  SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum, d.deptype,
    r.name AS table_name, r.name || '.' || quote_ident(a.attname) AS column_name
  FROM pg_depend d
  JOIN relations s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN relations r ON r.oid = d.refobjid
  JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
),
sequences AS MATERIALIZED (
  SELECT r.oid, r.name, r.relpersistence, s.seqtypid,
    concat_ws(' ', 'start', s.seqstart, 'increment', s.seqincrement, 'minimum', s.seqmin,
      'maximum', s.seqmax, 'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END) AS options
  FROM pg_sequence s JOIN relations r ON r.oid = s.seqrelid
),
types AS MATERIALIZED (
  SELECT t.*, s.prefix || quote_ident(t.typname) AS name
  FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace
  WHERE t.typtype IN ('e', 'd', 'c', 'r') AND NOT EXISTS (
    SELECT FROM members m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
),
functions AS MATERIALIZED (
  SELECT p.*, s.prefix || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')'
    AS name
  FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
  WHERE NOT EXISTS (
    SELECT FROM members m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
)
SELECT json_agg(json_build_array(o.kind, o.name, o.table_name, o.attributes))::text
FROM (
  SELECT 'setting', s.name, set_config(s.name, s.value, true), NULL::json FROM settings s

  UNION ALL
  SELECT 'schema', quote_ident(s.nspname), NULL, json_build_object('comment', k.description)
  FROM schemas s
  LEFT JOIN comments k ON k.objoid = s.oid AND k.classoid = 'pg_namespace'::regclass
  WHERE NOT EXISTS (
    SELECT FROM members m WHERE m.classid = 'pg_namespace'::regclass AND m.objid = s.oid)

  UNION ALL
  SELECT 'extension', quote_ident(e.extname), NULL,
    json_build_object('version', e.extversion, 'schema', n.nspname)
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace

  UNION ALL
  SELECT 'enum', t.name, NULL, json_build_object(
    'labels', (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
               FROM pg_enum e WHERE e.enumtypid = t.oid),
    'comment', k.description)
  FROM types t LEFT JOIN comments k ON k.objoid = t.oid AND k.classoid = 'pg_type'::regclass
  WHERE t.typtype = 'e'

  UNION ALL
  SELECT 'domain', t.name, NULL, json_build_object(
    'type', format_type(t.typbasetype, t.typtypmod),
    'null', CASE WHEN t.typnotnull THEN 'forbidden' ELSE 'allowed' END,
    'default', t.typdefault,
    'collation', (SELECT quote_ident(c.collname) FROM pg_collation c, pg_type b
                  WHERE c.oid = t.typcollation AND b.oid = t.typbasetype
                    AND t.typcollation <> b.typcollation),
    'constraints', (SELECT string_agg(quote_ident(c.conname) || ' ' || pg_get_constraintdef(c.oid),
                                      ', ' ORDER BY c.conname)
                    FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'),
    'comment', k.description)
  FROM types t LEFT JOIN comments k ON k.objoid = t.oid AND k.classoid = 'pg_type'::regclass
  WHERE t.typtype = 'd'

  UNION ALL
  SELECT 'composite type', t.name, NULL, json_build_object(
    'attributes', (SELECT string_agg(quote_ident(a.attname) || ' '
                                     || format_type(a.atttypid, a.atttypmod), ', '
                                     ORDER BY a.attnum)
                   FROM pg_attribute a
                   WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
    'comment', k.description)
  FROM types t
  JOIN relations r ON r.oid = t.typrelid AND r.relkind = 'c'
  LEFT JOIN comments k ON k.objoid = t.oid AND k.classoid = 'pg_type'::regclass
  WHERE t.typtype = 'c'

  UNION ALL
  SELECT 'range type', t.name, NULL, json_build_object(
    'type', format_type(g.rngsubtype, NULL),
    'operator class', (SELECT quote_ident(o.opcname) FROM pg_opclass o
                       WHERE o.oid = g.rngsubopc),
    'collation', (SELECT quote_ident(c.collname) FROM pg_collation c, pg_type b
                  WHERE c.oid = g.rngcollation AND b.oid = g.rngsubtype
                    AND g.rngcollation <> b.typcollation),
    'canonical', NULLIF(g.rngcanonical::text, '-'),
    'difference', NULLIF(g.rngsubdiff::text, '-'),
    'multirange', format_type(g.rngmultitypid, NULL),
    'comment', k.description)
  FROM types t
  JOIN pg_range g ON g.rngtypid = t.oid
  LEFT JOIN comments k ON k.objoid = t.oid AND k.classoid = 'pg_type'::regclass

  UNION ALL
  SELECT 'collation', s.prefix || quote_ident(c.collname), NULL, json_build_object(
    'provider', c.collprovider::text, 'lc_collate', c.collcollate, 'lc_ctype', c.collctype,
    'deterministic', CASE WHEN NOT c.collisdeterministic THEN 'no' END,
    'comment', k.description)
  FROM pg_collation c
  JOIN schemas s ON s.oid = c.collnamespace
  LEFT JOIN comments k ON k.objoid = c.oid AND k.classoid = 'pg_collation'::regclass
  WHERE NOT EXISTS (
    SELECT FROM members m WHERE m.classid = 'pg_collation'::regclass AND m.objid = c.oid)

  UNION ALL
  SELECT 'sequence', s.name, o.table_name, json_build_object(
    'type', format_type(s.seqtypid, NULL),
    'options', s.options,
    'owned by', o.column_name,
    'persistence', CASE s.relpersistence WHEN 'u' THEN 'unlogged' END,
    'comment', k.description)
  FROM sequences s
  LEFT JOIN owned_sequences o ON o.sequence = s.oid
  LEFT JOIN comments k
    ON k.objoid = s.oid AND k.classoid = 'pg_class'::regclass AND k.objsubid = 0
  WHERE o.deptype IS DISTINCT FROM 'i'

  UNION ALL
  SELECT CASE r.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END, r.name, NULL,
    json_build_object(
      'persistence', CASE r.relpersistence WHEN 'u' THEN 'unlogged' END,
      'partition key', CASE r.relkind WHEN 'p' THEN pg_get_partkeydef(r.oid) END,
      'partition bound', CASE WHEN r.relispartition THEN pg_get_expr(r.relpartbound, r.oid) END,
      'inherits', p.names,
      'of type', CASE WHEN r.reloftype <> 0 THEN format_type(r.reloftype, NULL) END,
      'options', (SELECT string_agg(option, ', ' ORDER BY option) FROM (
          SELECT unnest(r.reloptions) AS option
          UNION ALL SELECT 'toast.' || unnest(t.reloptions) FROM pg_class t
          WHERE t.oid = r.reltoastrelid AND t.reloptions IS NOT NULL) AS o),
      'access method', (SELECT a.amname FROM pg_am a WHERE a.oid = r.relam AND a.amname <> 'heap'),
      'tablespace', CASE WHEN r.reltablespace <> 0 THEN (
          SELECT s.spcname FROM pg_tablespace s WHERE s.oid = r.reltablespace) END,
      'row security', CASE WHEN r.relforcerowsecurity AND r.relrowsecurity THEN 'forced'
                           WHEN r.relrowsecurity THEN 'on'
                           WHEN r.relforcerowsecurity THEN 'off, forced' END,
      'replica identity', CASE r.relreplident
          WHEN 'f' THEN 'full'
          WHEN 'n' THEN CASE WHEN r.relkind <> 'f' THEN 'nothing' END
          WHEN 'i' THEN (SELECT 'index ' || quote_ident(c.relname)
                         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                         WHERE i.indrelid = r.oid AND i.indisreplident) END,
      'server', CASE r.relkind WHEN 'f' THEN (
          SELECT concat_ws(' ', quote_ident(s.srvname), f.ftoptions::text)
          FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver
          WHERE f.ftrelid = r.oid) END,
      'comment', k.description)
  FROM relations r
  LEFT JOIN parents p ON p.inhrelid = r.oid
  LEFT JOIN comments k
    ON k.objoid = r.oid AND k.classoid = 'pg_class'::regclass AND k.objsubid = 0
  WHERE r.relkind IN ('r', 'p', 'f')

  UNION ALL
  (SELECT 'column', r.name || '.' || quote_ident(a.attname), r.name, json_build_object(
    'type', format_type(a.atttypid, a.atttypmod),
    'null', CASE WHEN NOT a.attnotnull THEN 'allowed'
                 ELSE concat_ws(', ', 'forbidden',
                   CASE WHEN NOT n.convalidated THEN 'not validated' END,
                   CASE WHEN n.connoinherit THEN 'not inherited' END) END,
    'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
    'generated', CASE a.attgenerated
        WHEN 's' THEN 'stored as ' || pg_get_expr(d.adbin, d.adrelid)
        WHEN 'v' THEN 'virtual as ' || pg_get_expr(d.adbin, d.adrelid) END,
    'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END
                || CASE WHEN s.options IS NULL THEN '' ELSE ', ' || s.options END,
    'collation', CASE WHEN a.attcollation <> t.typcollation THEN (
        SELECT CASE WHEN n.nspname IN ('pg_catalog', 'public') THEN ''
                 ELSE quote_ident(n.nspname) || '.' END || quote_ident(c.collname)
        FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
        WHERE c.oid = a.attcollation) END,
    'storage', CASE WHEN a.attstorage <> t.typstorage THEN
        CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external'
                          WHEN 'm' THEN 'main' ELSE 'extended' END END,
    'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
    'statistics', NULLIF(a.attstattarget, -1)::text,
    'options', array_to_string(a.attoptions, ', '),
    'foreign options', array_to_string(a.attfdwoptions, ', '),
    'inherited', CASE WHEN a.attinhcount > 0 AND NOT a.attislocal THEN 'yes' END,
    'comment', k.description)
  FROM relations r
  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef
  LEFT JOIN (
    SELECT conrelid, conkey[1] AS attnum, convalidated, connoinherit FROM pg_constraint
    WHERE contype = 'n' AND conrelid <> 0 AND (connoinherit OR NOT convalidated)
  ) AS n ON n.conrelid = a.attrelid AND n.attnum = a.attnum
  LEFT JOIN owned_sequences o ON o.relation = a.attrelid AND o.attnum = a.attnum
    AND o.deptype = 'i'
  LEFT JOIN sequences s ON s.oid = o.sequence
  LEFT JOIN comments k
    ON k.objoid = r.oid AND k.classoid = 'pg_class'::regclass AND k.objsubid = a.attnum
  WHERE r.relkind IN ('r', 'p', 'f')
  ORDER BY a.attrelid, a.attnum)

  UNION ALL
  SELECT 'constraint', r.name || '.' || quote_ident(c.conname), r.name, json_build_object(
    'definition', regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', ''),
    'valid', CASE WHEN NOT c.convalidated THEN 'no' END,
    'index options', array_to_string(i.reloptions, ', '),
    'clustered', CASE WHEN x.indisclustered THEN 'yes' END,
    'inherited', CASE WHEN c.coninhcount > 0 AND NOT c.conislocal THEN 'yes' END,
    'comment', k.description)
  FROM pg_constraint c
  JOIN relations r ON r.oid = c.conrelid
  LEFT JOIN pg_constraint up ON up.oid = c.conparentid AND c.conparentid <> 0
  LEFT JOIN pg_class i ON i.oid = c.conindid AND c.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_index x ON x.indexrelid = i.oid
  LEFT JOIN comments k ON k.objoid = c.oid AND k.classoid = 'pg_constraint'::regclass
  WHERE c.contype IN ('c', 'f', 'p', 'u', 'x')
    -- A foreign key to a partitioned table has one row more for each partition.
    AND up.conrelid IS DISTINCT FROM c.conrelid

  UNION ALL
  SELECT 'index', i.name, r.name, json_build_object(
    'definition', pg_get_indexdef(i.oid, 0, true),
    'valid', CASE WHEN NOT (x.indisvalid AND x.indisready) THEN 'no' END,
    'statistics', (SELECT string_agg(a.attnum || ' ' || a.attstattarget, ', ' ORDER BY a.attnum)
                   FROM pg_attribute a WHERE x.indexprs IS NOT NULL
                     AND a.attrelid = i.oid AND a.attstattarget >= 0),
    'tablespace', CASE WHEN i.reltablespace <> 0 THEN (
        SELECT s.spcname FROM pg_tablespace s WHERE s.oid = i.reltablespace) END,
    'clustered', CASE WHEN x.indisclustered THEN 'yes' END,
    'inherited', CASE WHEN i.relispartition THEN 'yes' END,
    'comment', k.description)
  FROM pg_index x
  JOIN relations i ON i.oid = x.indexrelid
  JOIN relations r ON r.oid = x.indrelid
  LEFT JOIN comments k
    ON k.objoid = i.oid AND k.classoid = 'pg_class'::regclass AND k.objsubid = 0
  WHERE NOT EXISTS (
    SELECT FROM pg_constraint c
    WHERE c.conindid = i.oid AND c.conrelid = r.oid AND c.contype IN ('p', 'u', 'x'))

  UNION ALL
  SELECT 'statistics', s.prefix || quote_ident(x.stxname), r.name, json_build_object(
    'definition', pg_get_statisticsobjdef(x.oid),
    'target', NULLIF(x.stxstattarget, -1)::text,
    'comment', k.description)
  FROM pg_statistic_ext x
  JOIN schemas s ON s.oid = x.stxnamespace
  JOIN relations r ON r.oid = x.stxrelid
  LEFT JOIN comments k ON k.objoid = x.oid AND k.classoid = 'pg_statistic_ext'::regclass

  UNION ALL
  SELECT CASE r.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, r.name, NULL,
    json_build_object(
      'definition', pg_get_viewdef(r.oid),
      'options', array_to_string(r.reloptions, ', '),
      'defaults', (SELECT string_agg(quote_ident(a.attname) || ' '
                                     || pg_get_expr(d.adbin, d.adrelid), ', ' ORDER BY a.attname)
                   FROM pg_attrdef d JOIN pg_attribute a
                     ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                   WHERE d.adrelid = r.oid),
      'column comments', (SELECT string_agg(quote_ident(a.attname) || ' '
                                            || quote_literal(c.description), ', '
                                            ORDER BY a.attname)
                          FROM comments c JOIN pg_attribute a
                            ON a.attrelid = c.objoid AND a.attnum = c.objsubid
                          WHERE c.objoid = r.oid AND c.classoid = 'pg_class'::regclass
                            AND c.objsubid > 0),
      'comment', k.description)
  FROM relations r
  LEFT JOIN comments k
    ON k.objoid = r.oid AND k.classoid = 'pg_class'::regclass AND k.objsubid = 0
  WHERE r.relkind IN ('v', 'm')

  UNION ALL
  SELECT CASE f.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, f.name, NULL,
    json_build_object(
      'definition', pg_get_functiondef(f.oid),
      'comment', k.description)
  FROM functions f
  LEFT JOIN comments k ON k.objoid = f.oid AND k.classoid = 'pg_proc'::regclass
  WHERE f.prokind <> 'a'

  UNION ALL
  SELECT 'aggregate', f.name, NULL, json_build_object(
    'definition', concat_ws(', ',
      'state ' || format_type(a.aggtranstype, NULL),
      'transition ' || a.aggtransfn::text, 'final ' || NULLIF(a.aggfinalfn::text, '-'),
      'combine ' || NULLIF(a.aggcombinefn::text, '-'), 'initial ' || quote_literal(a.agginitval),
      'parallel ' || f.proparallel::text),
    'comment', k.description)
  FROM functions f
  JOIN pg_aggregate a ON a.aggfnoid = f.oid
  LEFT JOIN comments k ON k.objoid = f.oid AND k.classoid = 'pg_proc'::regclass

  UNION ALL
  SELECT 'trigger', r.name || '.' || quote_ident(t.tgname), r.name, json_build_object(
    'definition', pg_get_triggerdef(t.oid, true),
    'enabled', CASE t.tgenabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always'
               END,
    'comment', k.description)
  FROM pg_trigger t
  JOIN relations r ON r.oid = t.tgrelid
  LEFT JOIN comments k ON k.objoid = t.oid AND k.classoid = 'pg_trigger'::regclass
  -- On the partitions PostgreSQL keeps clones of the parent's trigger.
  WHERE NOT t.tgisinternal AND t.tgparentid = 0

  UNION ALL
  SELECT 'rule', r.name || '.' || quote_ident(w.rulename), r.name, json_build_object(
    'definition', pg_get_ruledef(w.oid, true),
    'enabled', CASE w.ev_enabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always'
               END,
    'comment', k.description)
  FROM pg_rewrite w
  JOIN relations r ON r.oid = w.ev_class
  LEFT JOIN comments k ON k.objoid = w.oid AND k.classoid = 'pg_rewrite'::regclass
  WHERE w.rulename <> '_RETURN'

  UNION ALL
  SELECT 'policy', r.name || '.' || quote_ident(p.polname), r.name, json_build_object(
    'kind', CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
    'command', CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update'
               WHEN 'd' THEN 'delete' ELSE 'all' END,
    'roles', (SELECT string_agg(CASE role WHEN 0 THEN 'public'
                                ELSE quote_ident(pg_get_userbyid(role)) END, ', '
                                ORDER BY pg_get_userbyid(role))
              FROM unnest(p.polroles) AS role),
    'using', pg_get_expr(p.polqual, p.polrelid),
    'with check', pg_get_expr(p.polwithcheck, p.polrelid),
    'comment', k.description)
  FROM pg_policy p
  JOIN relations r ON r.oid = p.polrelid
  LEFT JOIN comments k ON k.objoid = p.oid AND k.classoid = 'pg_policy'::regclass

  UNION ALL
  SELECT 'event trigger', quote_ident(e.evtname), NULL, json_build_object(
    'event', e.evtevent, 'function', e.evtfoid::regprocedure::text,
    'tags', array_to_string(e.evttags, ', '),
    'enabled', CASE e.evtenabled WHEN 'D' THEN 'no' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always'
               END,
    'comment', k.description)
  FROM pg_event_trigger e
  -- The join leaves out ours: their functions live in a schema that is left out.
  JOIN pg_proc f ON f.oid = e.evtfoid
  JOIN schemas s ON s.oid = f.pronamespace
  LEFT JOIN comments k ON k.objoid = e.oid AND k.classoid = 'pg_event_trigger'::regclass
  WHERE NOT EXISTS (
    SELECT FROM members m WHERE m.classid = 'pg_event_trigger'::regclass AND m.objid = e.oid)

  UNION ALL
  SELECT 'publication', quote_ident(p.pubname), NULL, json_build_object(
    'operations', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END,
      CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END,
      CASE WHEN p.pubtruncate THEN 'truncate' END, CASE WHEN p.pubviaroot THEN 'via root' END),
    'tables', CASE WHEN p.puballtables THEN 'all' ELSE (
      SELECT string_agg(concat_ws(' ', r.name,
          '(' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname)
                  FROM pg_attribute a
                  WHERE a.attrelid = l.prrelid AND a.attnum = ANY (l.prattrs::int2[])) || ')',
          'where ' || pg_get_expr(l.prqual, l.prrelid)), ', ' ORDER BY r.name)
      FROM pg_publication_rel l JOIN relations r ON r.oid = l.prrelid
      WHERE l.prpubid = p.oid) END,
    'schemas', (SELECT string_agg(quote_ident(s.nspname), ', ' ORDER BY s.nspname)
                FROM pg_publication_namespace l JOIN schemas s ON s.oid = l.pnnspid
                WHERE l.pnpubid = p.oid),
    'comment', k.description)
  FROM pg_publication p
  LEFT JOIN comments k ON k.objoid = p.oid AND k.classoid = 'pg_publication'::regclass

  UNION ALL
  SELECT 'setting', s.name, set_config(s.name, s.previous, true), NULL FROM settings s
) AS o(kind, name, table_name, attributes)
