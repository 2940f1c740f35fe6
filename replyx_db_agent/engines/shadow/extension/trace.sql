-- The base template: every shadow is a clone of it. Event triggers write down what DDL did.
CREATE SCHEMA replyx_trace;
GRANT USAGE ON SCHEMA replyx_trace TO PUBLIC;

CREATE TABLE replyx_trace.event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event text NOT NULL,
    tag text,
    object_type text,
    schema_name text,
    object_name text,
    object_identity text,
    original boolean,
    reason int,
    query text
);
GRANT SELECT ON replyx_trace.event TO PUBLIC;

CREATE FUNCTION replyx_trace.on_sql_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    -- A table's row type and array type go with it: neither named by the user nor depended on.
    INSERT INTO replyx_trace.event
        (event, tag, object_type, schema_name, object_name, object_identity, original, query)
    SELECT tg_event, tg_tag, object_type, schema_name, object_name, object_identity, original,
           left(current_query(), 10000)
    FROM pg_event_trigger_dropped_objects()
    WHERE NOT is_temporary
      AND object_type NOT LIKE 'toast%'
      AND schema_name IS DISTINCT FROM 'pg_toast'
      AND NOT (object_type = 'type' AND NOT original AND NOT normal);
END $$;

CREATE FUNCTION replyx_trace.on_table_rewrite() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO replyx_trace.event
        (event, tag, object_type, schema_name, object_name, object_identity, reason, query)
    SELECT tg_event, tg_tag, CASE relkind WHEN 'm' THEN 'materialized view' ELSE 'table' END,
           relnamespace::regnamespace::text, relname, c.oid::regclass::text,
           pg_event_trigger_table_rewrite_reason(), left(current_query(), 10000)
    FROM pg_class AS c
    WHERE c.oid = pg_event_trigger_table_rewrite_oid() AND relpersistence <> 't';
END $$;

CREATE FUNCTION replyx_trace.on_ddl_command_end() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO replyx_trace.event
        (event, tag, object_type, schema_name, object_identity, query)
    SELECT tg_event, command_tag, object_type, schema_name, object_identity,
           left(current_query(), 10000)
    FROM pg_event_trigger_ddl_commands()
    WHERE NOT in_extension AND schema_name IS DISTINCT FROM 'pg_temp';
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA replyx_trace FROM PUBLIC;

CREATE EVENT TRIGGER replyx_sql_drop ON sql_drop
    EXECUTE FUNCTION replyx_trace.on_sql_drop();
CREATE EVENT TRIGGER replyx_table_rewrite ON table_rewrite
    EXECUTE FUNCTION replyx_trace.on_table_rewrite();
CREATE EVENT TRIGGER replyx_ddl_command_end ON ddl_command_end
    EXECUTE FUNCTION replyx_trace.on_ddl_command_end();
