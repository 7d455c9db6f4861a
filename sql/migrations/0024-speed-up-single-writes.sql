-- depends: 0023-speed-up-single-loads
-- A load of one contract is made of what its statements cost to start, and of the plans they touch. A report is put
-- together only for those who read it, and what is needless where a contract is new is left out.

CREATE OR REPLACE FUNCTION version_sort_key(version text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    numbers text COLLATE "C" := substring(version COLLATE "C" FROM '^[vV]?([0-9]+(?:\.[0-9]+)*)');
    suffix text COLLATE "C";
    part text COLLATE "C";
    digits text COLLATE "C";
    key text COLLATE "C" := '1';
BEGIN
    IF numbers IS NULL THEN
        RETURN '0';
    END IF;
    -- The numbers, trailing zeros dropped so that 1 = 1.0.0, each behind its count of digits.
    FOREACH part IN ARRAY string_to_array(regexp_replace(numbers, '(^0+|\.0+)+$', ''), '.') LOOP
        digits := ltrim(part, '0');
        key := key || lpad(length(digits)::text, 3, '0') || digits;
    END LOOP;
    -- A pre-release ('-') sorts below its release ('.'), and both below any further number ('0').
    suffix := split_part(regexp_replace(version COLLATE "C", '^[vV]?[0-9]+(\.[0-9]+)*', ''), '+', 1);
    IF suffix = '' THEN
        RETURN key || '.';
    END IF;
    key := key || '-';
    FOREACH part IN ARRAY string_to_array(regexp_replace(suffix, '^-', ''), '.') LOOP
        digits := ltrim(part, '0');
        key := key || CASE
            WHEN part ~ '^[0-9]+$' THEN '0' || lpad(length(digits)::text, 3, '0') || digits
            ELSE '1' || part
        END || ',';
    END LOOP;
    RETURN key;
END
$$;

CREATE OR REPLACE FUNCTION mentioned_entities(documents jsonb[], kinds text[])
RETURNS TABLE (kind text, name text, attributes jsonb)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    item_kinds text[];
    items jsonb[];
BEGIN
    SELECT array_agg(m.of_kind), array_agg(m.item) INTO item_kinds, items
    FROM (
        SELECT list.of_kind, item
        FROM (SELECT unnest(documents) AS document) AS d
        CROSS JOIN (VALUES
            ('system', '{pulls_from}'::text[], true), ('system', '{pushes_to}', true),
            ('system', '{system_sources}', true), ('business owner', '{business_owners}', true),
            ('team', '{team_access,read}', true), ('team', '{team_access,write}', true),
            ('data feed', '{dependencies}', true), ('domain', '{domains}', true),
            -- What entity documents list.
            ('system', '{systems}', false), ('business owner', '{business_owners}', false),
            ('team', '{teams}', false), ('data feed', '{data_feeds}', false)
        ) AS list (of_kind, path, of_contract),
            list_items(document #> list.path) AS item
        WHERE list.of_kind = ANY (kinds) AND (list.of_contract OR NOT document ? 'name')
        UNION
        SELECT one.of_kind, document -> one.key
        FROM (SELECT unnest(documents) AS document) AS d
        CROSS JOIN (VALUES ('data feed', 'data_feed'), ('domain', 'domain')) AS one (of_kind, key)
        WHERE one.of_kind = ANY (kinds) AND jsonb_typeof(document -> one.key) IN ('string', 'object')
    ) AS m;
    -- Mostly nothing is said of them but their names.
    IF NOT EXISTS (
        SELECT FROM unnest(items) AS i (item)
        WHERE CASE jsonb_typeof(i.item) WHEN 'object'
            THEN i.item - '{name,role,dependency_type}'::text[] <> '{}' END
    ) THEN
        RETURN QUERY
        SELECT DISTINCT i.of_kind, item_name(i.item), '{}'::jsonb
        FROM unnest(item_kinds, items) AS i (of_kind, item);
        RETURN;
    END IF;
    RETURN QUERY
    WITH RECURSIVE domain_item AS (
        SELECT i.item FROM unnest(item_kinds, items) AS i (of_kind, item) WHERE i.of_kind = 'domain'
        UNION
        SELECT d.item -> 'parent_domain' FROM domain_item AS d
        WHERE jsonb_typeof(d.item -> 'parent_domain') IN ('string', 'object')
    ),
    mention AS (
        SELECT i.of_kind, i.item FROM unnest(item_kinds, items) AS i (of_kind, item) WHERE i.of_kind <> 'domain'
        UNION ALL
        SELECT 'domain', CASE
            WHEN jsonb_typeof(d.item -> 'parent_domain') = 'object'
                THEN d.item || jsonb_build_object('parent_domain', item_name(d.item -> 'parent_domain'))
            ELSE d.item
        END
        FROM domain_item AS d
    )
    SELECT e.of_kind, e.name, CASE
        WHEN e.said > 1 AND e.said > (SELECT count(*) FROM jsonb_object_keys(e.attributes))
            THEN refuse_contradiction(e.of_kind, e.name)
        ELSE coalesce(e.attributes, '{}')
    END
    FROM (
        SELECT a.of_kind, a.name, count(a.key) AS said,
            jsonb_object_agg(a.key, a.value) FILTER (WHERE a.key IS NOT NULL) AS attributes
        FROM (
            SELECT DISTINCT m.of_kind, item_name(m.item) AS name, attribute.key, attribute.value
            FROM mention AS m
            -- An empty attribute says nothing: it never replaces what a person has written into the database.
            LEFT JOIN LATERAL jsonb_each(CASE jsonb_typeof(m.item) WHEN 'object' THEN m.item END)
                AS attribute (key, value)
                ON attribute.key NOT IN ('name', 'role', 'dependency_type')
                    AND attribute.value NOT IN ('null', '""')
        ) AS a
        GROUP BY a.of_kind, a.name
    ) AS e;
END
$$;

CREATE OR REPLACE FUNCTION seal_links() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    contract data_contracts;
    changed uuid[];
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    IF TG_OP = 'INSERT' THEN
        -- Mostly the contract is as new as its links: it is not published, and nothing is known of it.
        IF NOT EXISTS (
            SELECT FROM data_contracts AS c WHERE c.id IN (SELECT a.data_contract_id FROM after AS a) AND (
                c.created_at <> now()
                OR EXISTS (SELECT FROM document_digests AS g WHERE g.data_contract_id = c.id))
        ) THEN
            RETURN NULL;
        END IF;
    END IF;
    -- Locked, so that no other transaction can publish the contract before this one has ended. One that this
    -- transaction has made itself needs no lock, and bulk loads are made of those.
    IF TG_OP <> 'DELETE' THEN
        FOR contract IN
            SELECT c.* FROM data_contracts AS c
            WHERE c.id IN (SELECT a.data_contract_id FROM after AS a) AND c.created_at <> now()
            ORDER BY c.id FOR NO KEY UPDATE
        LOOP
            PERFORM refuse_sealed(contract);
            changed := changed || contract.id;
        END LOOP;
        DELETE FROM document_digests WHERE data_contract_id IN (SELECT a.data_contract_id FROM after AS a);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        FOR contract IN
            SELECT c.* FROM data_contracts AS c
            WHERE c.id IN (SELECT b.data_contract_id FROM before AS b) AND c.created_at <> now()
            ORDER BY c.id FOR NO KEY UPDATE
        LOOP
            PERFORM refuse_sealed(contract);
            changed := changed || contract.id;
        END LOOP;
        DELETE FROM document_digests WHERE data_contract_id IN (SELECT b.data_contract_id FROM before AS b);
    END IF;
    IF changed IS NOT NULL THEN
        UPDATE data_contracts SET revision = pg_current_xact_id()::text::bigint
        WHERE id = ANY (changed) AND revision <> pg_current_xact_id()::text::bigint;
    END IF;
    RETURN NULL;
END
$$;

SELECT refuse_dependents('load_documents(jsonb[], boolean, boolean, bytea[], uuid[], jsonb[])');
-- Made anew below: it has a further parameter.
-- squawk-ignore ban-drop-function
DROP FUNCTION load_documents(jsonb[], boolean, boolean, bytea[], uuid[], jsonb[]);

CREATE FUNCTION load_documents(
    documents jsonb[], shape_checked boolean DEFAULT false, overwrite boolean DEFAULT false,
    digests bytea[] DEFAULT '{}', known uuid[] DEFAULT '{}', mentions jsonb[] DEFAULT '{}',
    with_report boolean DEFAULT true
) RETURNS jsonb
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = 'force_generic_plan'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    -- Of each document, in the same order; null where its contract is new.
    stored jsonb[];
    changes jsonb[];
    refused jsonb;
    added jsonb[];
    changed_only jsonb[];
    -- Null: all documents, as they came. A variable of its own for them would be a copy of them.
    accepted jsonb[];
    written jsonb[];
    naming jsonb[];
    entities jsonb;
    tables jsonb;
    counts jsonb;
    -- What the caller's setting is put back to. The owner of a function may not attach it as a SET clause.
    overwriting text := coalesce(current_setting('pycharter_sql.overwrite', true), '');
BEGIN
    -- All who write take turns, so that two at once end as if one came after the other.
    PERFORM wait_for_turn();
    PERFORM set_config('pycharter_sql.overwrite', CASE WHEN overwrite THEN 'yes' ELSE 'no' END, true);
    SELECT c.stored, c.changes, c.refused INTO stored, changes, refused
    FROM compare_documents(documents, shape_checked, overwrite) AS c;

    IF refused = '[]' AND NOT EXISTS (
        SELECT FROM (SELECT unnest(documents) AS document, unnest(changes) AS changed) AS d
        WHERE changed IS NOT NULL OR NOT document ? 'data_feed'
    ) THEN
        -- A first load, mostly: every document is written as it came.
        counts := jsonb_build_object(
            'inserted', coalesce(cardinality(documents), 0), 'updated', 0, 'unchanged', 0, 'refused', 0);
    ELSE
        -- A new contract that names no feed serves the one of its own name. Of an existing one only what differs is
        -- written.
        SELECT coalesce(array_agg(document ORDER BY place), '{}'),
            array_agg(document ORDER BY place) FILTER (WHERE changed IS NULL),
            array_agg((
                SELECT jsonb_object_agg(key, value) FROM jsonb_each(document)
                WHERE key IN ('name', 'version') OR changed ? key) ORDER BY place) FILTER (WHERE changed <> '[]'),
            jsonb_build_object(
                'inserted', count(*) FILTER (WHERE changed IS NULL),
                'updated', count(*) FILTER (WHERE changed <> '[]'),
                'unchanged', count(*) FILTER (WHERE changed = '[]'),
                'refused', cardinality(documents) - count(*))
        INTO accepted, added, changed_only, counts
        FROM (
            SELECT place, changed, CASE
                WHEN changed IS NULL AND NOT document ? 'data_feed'
                    THEN document || jsonb_build_object('data_feed', document -> 'name')
                ELSE document
            END AS document
            FROM (
                SELECT unnest(documents) AS document, unnest(changes) AS changed,
                    generate_subscripts(documents, 1) AS place
            ) AS numbered
            WHERE refused = '[]' OR place - 1 NOT IN (
                SELECT (refusal -> 'document')::integer FROM jsonb_array_elements(refused) AS refusal)
        ) AS d;
        written := coalesce(added || changed_only, '{}');
    END IF;

    naming := CASE WHEN mentions = '{}' THEN accepted ELSE coalesce(accepted, documents) || mentions END;
    IF with_report THEN
        SELECT jsonb_object_agg(t.table_name, t.outcomes) INTO entities
        FROM (
            SELECT table_name, jsonb_build_object(
                'inserted', coalesce(jsonb_agg(e.entity) FILTER (WHERE e.outcome = 'inserted'), '[]'),
                'updated', coalesce(jsonb_agg(e.entity) FILTER (WHERE e.outcome = 'updated'), '[]'),
                'unchanged', coalesce(jsonb_agg(e.entity) FILTER (WHERE e.outcome = 'unchanged'), '[]')) AS outcomes
            FROM unnest('{systems,business_owners,teams,domains,data_feeds}'::text[]) AS k (table_name)
            LEFT JOIN (
                SELECT * FROM load_entities(coalesce(naming, documents))
                UNION ALL
                SELECT * FROM load_data_feeds(coalesce(naming, documents))
            ) AS e USING (table_name)
            GROUP BY table_name
        ) AS t;
        SELECT jsonb_object_agg(t.table_name, to_jsonb(t) - 'table_name') INTO tables
        FROM (
            SELECT s.table_name, sum(s.inserted) AS inserted, sum(s.updated) AS updated, sum(s.deleted) AS deleted,
                sum(s.unchanged) AS unchanged
            FROM (
                SELECT r.*, 0 AS unchanged FROM revise_relations(changed_only) AS r WHERE changed_only IS NOT NULL
                UNION ALL
                SELECT c.*, 0 FROM load_contracts(coalesce(written, documents)) AS c
                UNION ALL
                SELECT r.*, 0 FROM load_relations(coalesce(written, documents)) AS r
                UNION ALL
                SELECT e.table_name, jsonb_array_length(e.outcomes -> 'inserted'),
                    jsonb_array_length(e.outcomes -> 'updated'), 0, jsonb_array_length(e.outcomes -> 'unchanged')
                FROM jsonb_each(entities) AS e (table_name, outcomes)
            ) AS s
            GROUP BY s.table_name
        ) AS t;
        -- What was there before, and is as it was. In a first load nothing was.
        IF cardinality(known) > 0 OR EXISTS (SELECT FROM unnest(stored) AS was WHERE was IS NOT NULL) THEN
            SELECT tables || jsonb_object_agg(r.table_name, t.counts || jsonb_build_object('unchanged',
                r.rows - (t.counts -> 'inserted')::bigint - (t.counts -> 'updated')::bigint))
            INTO tables
            FROM contract_rows(known || ARRAY(
                SELECT c.id FROM (SELECT unnest(coalesce(accepted, documents)) AS document) AS d
                JOIN data_contracts AS c ON c.name = document ->> 'name' AND c.version = document ->> 'version'
            )) AS r
            JOIN jsonb_each(tables) AS t (table_name, counts) USING (table_name);
        END IF;
    ELSE
        PERFORM FROM load_entities(coalesce(naming, documents));
        PERFORM FROM load_data_feeds(coalesce(naming, documents));
        PERFORM FROM revise_relations(changed_only) WHERE changed_only IS NOT NULL;
        PERFORM FROM load_contracts(coalesce(written, documents));
        PERFORM FROM load_relations(coalesce(written, documents));
    END IF;
    counts := counts || jsonb_build_object(
        'unchanged', (counts -> 'unchanged')::bigint + coalesce(cardinality(known), 0));

    IF digests <> '{}' THEN
        INSERT INTO document_digests (data_contract_id, digest)
        SELECT c.id, d.digest
        FROM (
            SELECT unnest(documents) AS document, unnest(digests) AS digest, generate_subscripts(documents, 1) AS place
        ) AS d
        JOIN data_contracts AS c ON c.name = document ->> 'name' AND c.version = document ->> 'version'
        WHERE d.digest IS NOT NULL AND NOT refused @> jsonb_build_array(jsonb_build_object('document', d.place - 1))
        ON CONFLICT ON CONSTRAINT document_digests_pkey DO UPDATE SET digest = excluded.digest;
    END IF;
    PERFORM set_config('pycharter_sql.overwrite', overwriting, true);
    RETURN jsonb_build_object('documents', counts, 'tables', tables, 'entities', entities, 'refusals', refused);
END
$$;

COMMENT ON FUNCTION load_documents(jsonb[], boolean, boolean, bytea[], uuid[], jsonb[], boolean) IS
    'Loads contract documents, one a contract version, in the four steps of the Migration Path, and reports: '
    'documents and rows of each table inserted, updated, unchanged (and rows deleted), the names of the entities that '
    'were, and refusals, each with the place of its document in the array. A refused document is left out; the '
    'caller decides whether to roll back. '
    'shape_checked: the caller has held the documents to contract-document.schema.json already. overwrite: published '
    'versions may change. digests: of each document, for known_contracts. known: contract versions that '
    'known_contracts found, to be counted as unchanged. mentions: documents of which only the entities count, such '
    'as those of the known ones. with_report: false leaves rows and entities out of the report.';

CREATE OR REPLACE FUNCTION register_contract(document jsonb) RETURNS uuid
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    refusal jsonb := load_documents(ARRAY[document], with_report => false) #> '{refusals,0}';
BEGIN
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION '%', refusal ->> 'reason'
            USING DETAIL = format(
                      'At %s of the contract document.', coalesce(nullif(refusal ->> 'pointer', ''), 'the top')),
                  HINT = refusal ->> 'remedy',
                  CONSTRAINT = coalesce(refusal ->> 'constraint', '');
    END IF;
    RETURN (
        SELECT c.id FROM data_contracts AS c
        WHERE c.name = document ->> 'name' AND c.version = document ->> 'version');
END
$$;

SELECT apply_access();
