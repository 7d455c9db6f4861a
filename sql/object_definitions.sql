-- Every object in the schema at the head of the search path, its definition and its comment: what `migrate` takes
-- fingerprints of, and `status` compares. Equal under every name of the schema; not on every major version.
WITH definition AS (
    SELECT 'pg_class'::regclass AS classid, c.oid AS objid,
        CASE WHEN c.relkind IN ('v', 'm') THEN 'view ' ELSE 'table ' END || c.relname AS object,
        concat_ws(
            E'\n', c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
            c.relowner = n.nspowner,
            -- How it is stored and vacuumed is the DBA's business.
            ARRAY(SELECT o FROM unnest(c.reloptions) AS o WHERE o !~ '^(autovacuum_|toast|fillfactor)'),
            ARRAY(SELECT i.inhrelid::regclass FROM pg_inherits AS i WHERE i.inhparent = c.oid ORDER BY 1),
            CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
            (
                SELECT string_agg(concat_ws(
                    ' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull,
                    a.attgenerated, a.attidentity, pg_get_expr(d.adbin, d.adrelid),
                    col_description(a.attrelid, a.attnum)), E'\n' ORDER BY a.attnum)
                FROM pg_attribute AS a
                LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            )) AS text
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND c.relname NOT IN ('_yoyo_log', '_yoyo_migration', '_yoyo_version', 'yoyo_lock')
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, p.oid::regprocedure::text,
        concat_ws(E'\n', p.proowner = n.nspowner, p.prolang, p.proleakproof, p.prorettype::regtype,
            p.provolatile, p.proisstrict, p.prosecdef, p.proparallel, p.procost,
            ARRAY(
                SELECT replace(setting, 'search_path=' || quote_ident(current_schema()) || ', pg_temp', 'own path')
                FROM unnest(p.proconfig) AS setting),
            p.prosrc, pg_get_function_sqlbody(p.oid), pg_get_function_arguments(p.oid),
            pg_get_function_result(p.oid))
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = current_schema()
    UNION ALL
    SELECT 'pg_constraint'::regclass, k.oid, format('constraint %s on %s', k.conname, k.conrelid::regclass),
        pg_get_constraintdef(k.oid)
    FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
    WHERE k.connamespace = current_schema()::regnamespace AND k.contype IN ('c', 'f', 'p', 'u', 'x')
        AND c.relname !~ '^_?yoyo_'
    UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid, format('index %s', x.relname),
        -- Names the table with its schema, whatever the search path.
        concat_ws(E'\n', replace(
            pg_get_indexdef(i.indexrelid), ' ON ' || quote_ident(current_schema()) || '.', ' ON '), i.indisvalid)
    FROM pg_index AS i
    JOIN pg_class AS x ON x.oid = i.indexrelid
    JOIN pg_class AS c ON c.oid = i.indrelid
    WHERE x.relnamespace = current_schema()::regnamespace AND c.relname !~ '^_?yoyo_' AND NOT EXISTS (
        SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT 'pg_trigger'::regclass, t.oid, format('trigger %s on %s', t.tgname, t.tgrelid::regclass),
        concat_ws(E'\n', pg_get_triggerdef(t.oid, true), t.tgenabled)
    FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
    UNION ALL
    SELECT 'pg_rewrite'::regclass, r.oid, format('rule %s on %s', r.rulename, r.ev_class::regclass),
        concat_ws(E'\n', pg_get_ruledef(r.oid, true), r.ev_enabled)
    FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
    WHERE c.relnamespace = current_schema()::regnamespace AND r.rulename <> '_RETURN'
    UNION ALL
    SELECT 'pg_policy'::regclass, p.oid, format('policy %s on %s', p.polname, p.polrelid::regclass),
        concat_ws(E'\n', p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, p.polrelid),
            pg_get_expr(p.polwithcheck, p.polrelid))
    FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
    WHERE c.relnamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, format('type %s', t.typname), t.typtype::text
    FROM pg_type AS t
    WHERE t.typnamespace = current_schema()::regnamespace AND t.typtype IN ('d', 'e', 'r')
)
SELECT object, encode(sha256(convert_to(concat_ws(
    -- A dump and restore gives this name to constants that have none.
    E'\n', replace(text, ' AS text', ''), obj_description(objid, classid::text::name)), 'UTF8')), 'hex') AS digest
FROM definition
UNION ALL
-- Majors differ in how they write definitions.
SELECT 'PostgreSQL', current_setting('server_version_num')::integer / 10000 || ''
