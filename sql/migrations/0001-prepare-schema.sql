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

CREATE FUNCTION refuse_data_loss(VARIADIC tables regclass[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    filled regclass;
    has_rows boolean;
BEGIN
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
    'pycharter_sql.drop_data is yes.';
