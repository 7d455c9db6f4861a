-- The functions that tables default to, and the checks that make this schema a safe home for the catalogue.

DO $$
BEGIN
    IF current_schema() IS NULL OR current_schema() = 'public' OR starts_with(current_schema(), 'pg_temp') THEN
        RAISE EXCEPTION 'the catalogue needs a schema of its own, not %', coalesce(current_schema(), 'none')
            USING HINT = 'CREATE SCHEMA pycharter, and name it first in the search path '
                         '(yoyo.ini: ...?schema=pycharter,pg_temp).';
    END IF;
    -- The functions below keep this search path for good: without pg_temp at its end, a caller's temporary
    -- table would be found before the catalogue's own.
    IF current_setting('search_path') !~ ',\s*pg_temp$' THEN
        RAISE EXCEPTION 'the search path does not end in pg_temp: %', current_setting('search_path')
            USING HINT = 'Connect with ?schema=' || quote_ident(current_schema()) || ',pg_temp as yoyo.ini does.';
    END IF;
    IF EXISTS (
        SELECT FROM pg_catalog.pg_class
        WHERE relnamespace = current_schema()::regnamespace
          AND relname IN ('data_contracts', 'schemas', 'metadata', 'metadata_record', 'metadata_records',
                          'alembic_version', 'pycharter_schema_version')
    ) THEN
        RAISE EXCEPTION 'schema % already holds tables of an older PyCharter', current_schema()
            USING HINT = format('Keep them under another name first: ALTER SCHEMA %1$I RENAME TO pycharter_old; '
                                'then CREATE SCHEMA %1$I.', current_schema());
    END IF;
END
$$;

CREATE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN encode(
    set_bit(set_bit(
        overlay(
            uuid_send(gen_random_uuid())
            PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6
        ), 52, 1), 53, 1),
    'hex')::uuid;

COMMENT ON FUNCTION uuid_v7() IS
    'A new time-ordered identifier: UUID version 7 (RFC 9562), milliseconds first, then random. '
    'Ordered keys keep index inserts local; random ones let catalogues merge. Core has uuidv7() only from 18 on.';

CREATE FUNCTION version_sort_key(version text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
    WHEN version COLLATE "C" !~ '^[vV]?[0-9]' THEN '0'
    ELSE '1'
        -- The numbers, trailing zeros dropped so that 1 = 1.0.0, each behind its count of digits.
        || (
            SELECT coalesce(string_agg(lpad(length(digits)::text, 3, '0') || digits, '' ORDER BY place), '')
            FROM (
                SELECT ltrim(part, '0') AS digits, place
                FROM string_to_table(
                    regexp_replace(
                        substring(version COLLATE "C" FROM '^[vV]?([0-9]+(?:\.[0-9]+)*)'), '(^0+|\.0+)+$', ''),
                    '.') WITH ORDINALITY AS parts (part, place)
            ) AS numbers
        )
        -- A pre-release ('-') sorts below its release ('.'), and both below any further number ('0').
        || (
            SELECT CASE
                WHEN suffix = '' THEN '.'
                ELSE '-' || (
                    SELECT coalesce(string_agg(
                        CASE WHEN part ~ '^[0-9]+$'
                            THEN '0' || lpad(length(ltrim(part, '0'))::text, 3, '0') || ltrim(part, '0')
                            ELSE '1' || part
                        END || ',', '' ORDER BY place), '')
                    FROM string_to_table(regexp_replace(suffix, '^-', ''), '.') WITH ORDINALITY AS parts (part, place)
                )
            END
            FROM split_part(regexp_replace(version COLLATE "C", '^[vV]?[0-9]+(\.[0-9]+)*', ''), '+', 1) AS suffix
        )
END;

COMMENT ON FUNCTION version_sort_key(text) IS
    'Text that sorts, under COLLATE "C", as the version does by SemVer 2.0.0 precedence: build metadata ignored, '
    'a leading v optional, missing parts 0, numbers of any length. What does not start with a number sorts below '
    'all that does. Equal keys are ordered by the version text.';

CREATE FUNCTION set_updated() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    NEW.updated_at := now();
    NEW.updated_by := session_user;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION set_updated() IS
    'Trigger: says when and by which database user a row was last changed, whoever changes it.';

CREATE FUNCTION refuse_other_tables(table_schema name) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    IF table_schema <> current_schema() THEN
        RAISE EXCEPTION 'a trigger function of the catalogue serves the catalogue''s own tables'
            USING ERRCODE = 'insufficient_privilege', HINT = 'Write a trigger function of your own.';
    END IF;
END
$$;

COMMENT ON FUNCTION refuse_other_tables(name) IS
    'Called first by every trigger function that acts with its owner''s rights: whoever could attach it to a table of '
    'their own could make it run what they like.';

CREATE FUNCTION refuse_data_loss(VARIADIC tables regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    filled regclass;
    has_rows boolean;
BEGIN
    PERFORM refuse_dependents(VARIADIC tables::text[]);
    IF coalesce(current_setting('pycharter_sql.drop_data', true), '') = 'yes' THEN
        RETURN;
    END IF;
    FOREACH filled IN ARRAY tables LOOP
        -- Locked before it is looked at, so that no row can come between the look and the drop.
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', filled);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', filled) INTO has_rows;
        IF has_rows THEN
            RAISE EXCEPTION 'this rollback would destroy the rows of %', filled
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = 'To drop the data, say so: pycharter-sql rollback --drop-data, or '
                             'PGOPTIONS="-c pycharter_sql.drop_data=yes" yoyo rollback.';
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION refuse_data_loss(regclass[]) IS
    'Called first by every rollback that drops tables: refuses while one of them holds rows, unless the setting '
    'pycharter_sql.drop_data is yes; and what refuse_dependents refuses.';

CREATE FUNCTION refuse_dependents(VARIADIC dropped text[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    dependent text;
    stands_on text;
BEGIN
    WITH gone AS (
        SELECT 'pg_class'::regclass AS classid, to_regclass(name)::oid AS objid
        FROM unnest(dropped) AS name WHERE name NOT LIKE '%(%'
        UNION ALL
        SELECT 'pg_proc'::regclass, to_regprocedure(name)::oid
        FROM unnest(dropped) AS name WHERE name LIKE '%(%'
    ),
    dependency AS (
        SELECT d.refclassid, d.refobjid,
            -- A view depends by way of its rule, a table by way of its foreign key.
            CASE WHEN r.oid IS NULL AND k.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass END AS classid,
            coalesce(r.ev_class, k.conrelid, d.objid) AS objid
        FROM gone AS g
        JOIN pg_depend AS d ON d.refclassid = g.classid AND d.refobjid = g.objid
        LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        LEFT JOIN pg_constraint AS k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
        WHERE d.classid IN ('pg_proc'::regclass, 'pg_policy'::regclass) OR r.oid IS NOT NULL OR k.contype = 'f'
    )
    SELECT pg_describe_object(d.classid, d.objid, 0), pg_describe_object(d.refclassid, d.refobjid, 0)
    INTO dependent, stands_on
    FROM dependency AS d
    WHERE NOT EXISTS (SELECT FROM gone AS g WHERE g.classid = d.classid AND g.objid = d.objid)
    ORDER BY 1 LIMIT 1;
    IF dependent IS NOT NULL THEN
        RAISE EXCEPTION '% stands on %, which would have to be dropped', dependent, stands_on
            USING ERRCODE = 'dependent_objects_still_exist',
                  HINT = format('Drop %s first, and create it again afterwards.', dependent);
    END IF;
END
$$;

COMMENT ON FUNCTION refuse_dependents(text[]) IS
    'Called first by a migration or rollback that drops or restates tables or views, with the names of all that it '
    'drops (functions with their argument types): refuses while somebody''s own view, function, policy or foreign key '
    'stands on one.';

-- What `pycharter-sql migrate` has made, so that `pycharter-sql status` can tell what has changed since. It alone
-- writes them: stock yoyo leaves them as they are.
CREATE TABLE migration_files (
    migration_id text COLLATE "C" NOT NULL,
    digest text NOT NULL,
    CONSTRAINT migration_files_pkey PRIMARY KEY (migration_id)
);

COMMENT ON TABLE migration_files IS
    'The files of the migrations that pycharter-sql migrate has applied; those of stock yoyo are missing.';
COMMENT ON COLUMN migration_files.migration_id IS 'The file''s name without .sql.';
COMMENT ON COLUMN migration_files.digest IS 'SHA-256 of the file as it was applied, in hexadecimal digits.';

CREATE TABLE migration_objects (
    object text COLLATE "C" NOT NULL,
    digest text NOT NULL,
    CONSTRAINT migration_objects_pkey PRIMARY KEY (object)
);

COMMENT ON TABLE migration_objects IS
    'Fingerprints of what pycharter-sql migrate has made: tables, views, functions, constraints, indexes, triggers.';
COMMENT ON COLUMN migration_objects.object IS 'Kind and name. PostgreSQL: the major version that wrote them.';
COMMENT ON COLUMN migration_objects.digest IS
    'SHA-256 of the definition and the comment as sql/object_definitions.sql reads them, in hexadecimal digits.';
