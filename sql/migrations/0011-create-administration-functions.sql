-- depends: 0010-create-cleanup-functions
-- Who may read and write the catalogue, and a schema that is renamed. No role is created here, and nothing is granted
-- to PUBLIC: who has no USAGE on the schema can do nothing in it.

CREATE TABLE granted_access (
    role_name text COLLATE "C" NOT NULL,
    access text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    CONSTRAINT granted_access_pkey PRIMARY KEY (role_name),
    CONSTRAINT granted_access_access_check CHECK (access IN ('reader', 'writer'))
);

COMMENT ON TABLE granted_access IS
    'What grant_access has granted. A later migration grants it again, on what it has made anew; so does a restore.';
COMMENT ON COLUMN granted_access.role_name IS 'A role of this server.';
COMMENT ON COLUMN granted_access.access IS 'reader or writer.';
COMMENT ON COLUMN granted_access.created_at IS 'When it was granted: the start of that transaction.';
COMMENT ON COLUMN granted_access.created_by IS 'Who granted it: the database user.';

CREATE FUNCTION check_grant(role_name text) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    owner oid := (SELECT nspowner FROM pg_catalog.pg_namespace WHERE nspname = current_schema());
BEGIN
    -- GRANT by somebody else would only warn, and grant nothing.
    IF NOT pg_has_role(owner, 'USAGE') THEN
        RAISE EXCEPTION 'only the owner of schema "%" may grant access to it', current_schema()
            USING ERRCODE = 'insufficient_privilege', HINT = 'Call it as the role that migrates.';
    END IF;
    IF pg_has_role(to_regrole(quote_ident(role_name)), owner, 'USAGE') THEN
        RAISE EXCEPTION 'role "%" has all rights of the owner of schema "%"', role_name, current_schema()
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It needs nothing, and what it has by its membership cannot be taken from it here.';
    END IF;
    -- One after the other: two GRANTs on one table at once fail.
    LOCK TABLE granted_access IN SHARE ROW EXCLUSIVE MODE;
END
$$;

COMMENT ON FUNCTION check_grant(text) IS
    'Raises where the caller may not grant, or the role (null: none) must not be granted anything.';

CREATE FUNCTION own_relations(rows_of_the_catalogue boolean) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN (
        SELECT string_agg(quote_ident(c.relname), ', ')
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        -- Somebody else's table in this schema is not ours to grant.
        WHERE n.nspname = current_schema() AND c.relowner = n.nspowner AND c.relkind IN ('r', 'v')
            AND (NOT rows_of_the_catalogue OR c.relkind = 'r' AND c.relname !~ '^(_?yoyo_|migration_)'
                AND c.relname <> 'granted_access'));
END
$$;

COMMENT ON FUNCTION own_relations(boolean) IS
    'The tables and views of the schema''s owner, as a list for GRANT; or those that hold the catalogue''s rows.';

CREATE FUNCTION apply_access() RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    granted granted_access;
    systems_columns text := (
        SELECT string_agg(quote_ident(attname), ', ') FROM pg_catalog.pg_attribute
        WHERE attrelid = 'systems'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'connection_info');
BEGIN
    PERFORM check_grant(NULL);
    -- A catalogue restored elsewhere may name roles that are not there.
    FOR granted IN SELECT g.* FROM granted_access AS g WHERE to_regrole(quote_ident(role_name)) IS NOT NULL LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), granted.role_name);
        EXECUTE format('GRANT SELECT ON %s TO %I', own_relations(false), granted.role_name);
        -- Of use where PUBLIC was denied it: views, defaults and checks call functions with the caller's rights.
        EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %I TO %I', current_schema(), granted.role_name);
        IF granted.access = 'writer' THEN
            EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s TO %I', own_relations(true), granted.role_name);
        ELSE
            EXECUTE format('REVOKE SELECT ON systems FROM %I', granted.role_name);
            EXECUTE format('GRANT SELECT (%s) ON systems TO %I', systems_columns, granted.role_name);
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION apply_access() IS
    'Grants again, on everything there is now, what grant_access has granted. Every later migration that makes '
    'something ends with it, and so does a restore without privileges.';

CREATE FUNCTION revoke_access(role_name text) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM check_grant(role_name);
    IF to_regrole(quote_ident(role_name)) IS NULL THEN
        RAISE WARNING 'there is no role "%"; one that was renamed is revoked by its new name', role_name;
    ELSE
        EXECUTE format('REVOKE ALL ON %s FROM %I', own_relations(false), role_name);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM %I', current_schema(), role_name);
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', current_schema(), role_name);
    END IF;
    DELETE FROM granted_access AS g WHERE g.role_name = revoke_access.role_name;
END
$$;

COMMENT ON FUNCTION revoke_access(text) IS
    'Takes from a role whatever it was granted in this schema, by grant_access or by hand. A role that was granted '
    'something can be dropped only after it.';

CREATE FUNCTION grant_access(reader text DEFAULT NULL, writer text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    role_name text;
BEGIN
    IF num_nonnulls(reader, writer) = 0 OR reader = writer THEN
        RAISE EXCEPTION 'grant_access names a reader, a writer, or one of each'
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'SELECT grant_access(reader => ''analysts'', writer => ''pipelines'').';
    END IF;
    FOREACH role_name IN ARRAY array_remove(ARRAY[reader, writer], NULL) LOOP
        IF to_regrole(quote_ident(role_name)) IS NULL THEN
            RAISE EXCEPTION 'there is no role "%"', role_name
                USING ERRCODE = 'undefined_object', HINT = format('CREATE ROLE %I, and call it again.', role_name);
        END IF;
        -- A writer that becomes a reader writes no longer.
        PERFORM revoke_access(role_name);
    END LOOP;
    INSERT INTO granted_access (role_name, access)
    SELECT g.role_name, g.access
    FROM (VALUES (reader, 'reader'), (writer, 'writer')) AS g (role_name, access)
    WHERE g.role_name IS NOT NULL;
    PERFORM apply_access();
END
$$;

COMMENT ON FUNCTION grant_access(text, text) IS
    'Gives existing roles what they need. reader: every table and view but systems.connection_info. writer: that '
    'column too, and the rows of the catalogue, by the load functions or by hand; no DDL. Granted anew by every later '
    'migration; what was granted by hand before is replaced.';

CREATE FUNCTION bind_functions(catalogue text) RETURNS void
LANGUAGE plpgsql
SET search_path TO pg_catalog, pg_temp
AS $$
DECLARE
    own regprocedure;
BEGIN
    IF to_regclass(quote_ident(catalogue) || '.data_contracts') IS NULL THEN
        RAISE EXCEPTION 'schema "%" holds no catalogue', catalogue
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Name the schema that this function is in.';
    END IF;
    FOR own IN
        SELECT p.oid FROM pg_proc AS p
        -- All but this one, which must not look into the catalogue that it was made in.
        WHERE p.pronamespace = quote_ident(catalogue)::regnamespace
            AND EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%pg\_temp')
            AND p.proname <> 'bind_functions'
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path TO %I, pg_temp', own, catalogue);
    END LOOP;
END
$$;

COMMENT ON FUNCTION bind_functions(text) IS
    'After ALTER SCHEMA ... RENAME TO new_name: SELECT new_name.bind_functions(''new_name''). Functions keep the name '
    'of the schema that they were made in; this makes them look into the one that they are in.';
