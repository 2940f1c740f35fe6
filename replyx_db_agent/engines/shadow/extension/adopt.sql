-- In a clone of another shadow: everything of the role "replyx.old" becomes "replyx.new"'s, and
-- nothing refers to the old one any more (it could not be dropped otherwise). One transaction.
DO $adopt$
DECLARE
    old_role CONSTANT regrole := current_setting('replyx.old')::regrole;
    new_role CONSTANT regrole := current_setting('replyx.new')::regrole;
    old_database CONSTANT text := current_setting('replyx.old_database');
    place record;
    privilege record;
BEGIN
    EXECUTE format('REASSIGN OWNED BY %s TO %s', old_role, new_role);
    -- REASSIGN reaches shared objects too, so it has taken the old database along.
    EXECUTE format('ALTER DATABASE %I OWNER TO %s', old_database, old_role);

    FOR place IN
        SELECT d.*, n.nspname,
               CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
                   WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS'
                   WHEN 'L' THEN 'LARGE OBJECTS' END AS kind
        FROM pg_default_acl AS d LEFT JOIN pg_namespace AS n ON n.oid = defaclnamespace
        WHERE defaclrole = old_role
    LOOP
        IF place.nspname IS NULL AND place.kind IN ('FUNCTIONS', 'TYPES') THEN
            EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s REVOKE ALL ON %s FROM PUBLIC',
                           new_role, place.kind);
        END IF;
        FOR privilege IN SELECT * FROM aclexplode(place.defaclacl) LOOP
            EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %s %s GRANT %s ON %s TO %s %s',
                new_role,
                'IN SCHEMA ' || quote_ident(place.nspname),
                privilege.privilege_type, place.kind,
                CASE privilege.grantee WHEN 0 THEN 'PUBLIC' WHEN old_role THEN new_role::text
                    ELSE privilege.grantee::regrole::text END,
                CASE WHEN privilege.is_grantable AND privilege.grantee NOT IN (0, old_role)
                    THEN 'WITH GRANT OPTION' ELSE '' END);
        END LOOP;
    END LOOP;

    FOR place IN
        SELECT polname, polrelid::regclass AS tab, polroles
        FROM pg_policy WHERE old_role = ANY (polroles)
    LOOP
        EXECUTE format('ALTER POLICY %I ON %s TO %s', place.polname, place.tab, (
            SELECT string_agg(CASE WHEN member = old_role THEN new_role::text
                                   ELSE member::regrole::text END, ', ')
            FROM unnest(place.polroles) AS member));
    END LOOP;

    EXECUTE format('DROP OWNED BY %s', old_role);
END $adopt$;
