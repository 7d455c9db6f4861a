-- The functions as 0008-create-load-functions made them.

CREATE OR REPLACE FUNCTION mentioned_entities(documents jsonb[], kinds text[])
RETURNS TABLE (kind text, name text, attributes jsonb)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE domain_item AS (
        (
            SELECT document -> 'domain' AS item FROM (SELECT unnest(documents) AS document) AS d
            WHERE 'domain' = ANY (kinds) AND jsonb_typeof(document -> 'domain') IN ('string', 'object')
            UNION
            SELECT item FROM (SELECT unnest(documents) AS document) AS d, list_items(document -> 'domains') AS item
            WHERE 'domain' = ANY (kinds)
        )
        UNION
        SELECT item -> 'parent_domain' FROM domain_item
        WHERE jsonb_typeof(item -> 'parent_domain') IN ('string', 'object')
    ),
    mention AS (
        SELECT DISTINCT m.kind, m.item
        FROM (SELECT unnest(documents) AS document) AS d
        CROSS JOIN LATERAL (
            SELECT 'system' AS kind, item FROM list_items(document -> 'pulls_from') AS item
            WHERE 'system' = ANY (kinds)
            UNION ALL
            SELECT 'system', item FROM list_items(document -> 'pushes_to') AS item
            WHERE 'system' = ANY (kinds)
            UNION ALL
            SELECT 'system', item FROM list_items(document -> 'system_sources') AS item
            WHERE 'system' = ANY (kinds)
            UNION ALL
            SELECT 'business owner', item FROM list_items(document -> 'business_owners') AS item
            WHERE 'business owner' = ANY (kinds)
            UNION ALL
            SELECT 'team', item FROM list_items(document #> '{team_access,read}') AS item
            WHERE 'team' = ANY (kinds)
            UNION ALL
            SELECT 'team', item FROM list_items(document #> '{team_access,write}') AS item
            WHERE 'team' = ANY (kinds)
            UNION ALL
            SELECT 'data feed', item FROM list_items(document -> 'dependencies') AS item
            WHERE 'data feed' = ANY (kinds)
            UNION ALL
            SELECT 'data feed', document -> 'data_feed' WHERE 'data feed' = ANY (kinds) AND document ? 'data_feed'
            UNION ALL
            SELECT kind, item
            FROM (VALUES
                ('system', 'systems'), ('business owner', 'business_owners'), ('team', 'teams'),
                ('data feed', 'data_feeds')
            ) AS list (kind, key), list_items(document -> key) AS item
            WHERE kind = ANY (kinds) AND NOT document ? 'name'
        ) AS m
        UNION ALL
        SELECT 'domain', CASE
            WHEN jsonb_typeof(item -> 'parent_domain') = 'object'
                THEN item || jsonb_build_object('parent_domain', item_name(item -> 'parent_domain'))
            ELSE item
        END
        FROM domain_item
    )
    SELECT e.kind, e.name, CASE
        WHEN e.said > 1 AND e.said > (SELECT count(*) FROM jsonb_object_keys(e.attributes))
            THEN refuse_contradiction(e.kind, e.name)
        ELSE coalesce(e.attributes, '{}')
    END
    FROM (
        SELECT a.kind, a.name, count(a.key) AS said,
            jsonb_object_agg(a.key, a.value) FILTER (WHERE a.key IS NOT NULL) AS attributes
        FROM (
            SELECT DISTINCT m.kind, item_name(m.item) AS name, attribute.key, attribute.value
            FROM mention AS m
            -- An empty attribute says nothing: it never replaces what a person has written into the database.
            LEFT JOIN LATERAL jsonb_each(CASE jsonb_typeof(m.item) WHEN 'object' THEN m.item END)
                AS attribute (key, value)
                ON key NOT IN ('name', 'role', 'dependency_type') AND value NOT IN ('null', '""')
        ) AS a
        GROUP BY a.kind, a.name
    ) AS e;
END;

CREATE OR REPLACE FUNCTION compare_documents(
    documents jsonb[], shape_checked boolean, overwrite boolean,
    OUT stored jsonb[], OUT changes jsonb[], OUT refused jsonb
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    SELECT array_agg(d.was ORDER BY place),
        array_agg(CASE WHEN d.was IS NOT NULL THEN changed_keys(d.was, document) END ORDER BY place)
    INTO stored, changes
    FROM (
        SELECT place, document, (
            SELECT c.document FROM contract_documents AS c
            WHERE c.name = numbered.document ->> 'name' AND c.version = numbered.document ->> 'version') AS was
        FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS numbered
        OFFSET 0 -- so that each stored document is made once
    ) AS d;

    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'document', r.place - 1, 'pointer', r.pointer, 'reason', r.reason, 'remedy', r.remedy)
        ORDER BY r.place, r.pointer), '[]')
    INTO refused FROM refusals(documents, stored, changes, shape_checked, overwrite) AS r;
END
$$;

CREATE OR REPLACE FUNCTION load_contracts(documents jsonb[])
RETURNS TABLE (table_name text, inserted bigint, updated bigint, deleted bigint)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    -- Of each document, in the same order: its contract and its components, present or to be. What is new takes the
    -- id of its contract: one identifier a contract version.
    existing boolean[];
    any_existing boolean;
    contract_ids uuid[];
    schema_ids uuid[];
    coercion_ids uuid[];
    validation_ids uuid[];
    governance_ids uuid[];
    metadata_ids uuid[];
    ownership_ids text[]; -- null where there is none yet
    resource_ids text[];
    cleared jsonb;
BEGIN
    SELECT
        array_agg(c.id IS NOT NULL ORDER BY place),
        array_agg(d.id ORDER BY place),
        array_agg(coalesce(c.schema_id, d.id) ORDER BY place),
        array_agg(coalesce(c.coercion_rules_id, d.id) ORDER BY place),
        array_agg(coalesce(c.validation_rules_id, d.id) ORDER BY place),
        array_agg(coalesce(c.governance_rules_id, d.id) ORDER BY place),
        array_agg(coalesce(c.metadata_id, d.id) ORDER BY place),
        array_agg(c.ownership_id ORDER BY place),
        array_agg(coalesce(
            document #>> '{ownership,resource_id}', c.ownership_id,
            -- The id keeps apart what a version that holds the separator could confuse, or a contract renamed.
            (document ->> 'name') || '@' || (document ->> 'version') || CASE
                WHEN document ->> 'version' LIKE '%@%' OR EXISTS (
                    SELECT FROM ownership AS o
                    WHERE o.resource_id = (document ->> 'name') || '@' || (document ->> 'version'))
                    THEN '#' || d.id
                ELSE ''
            END) ORDER BY place),
        jsonb_build_object(
            'coercion_rules', count(c.coercion_rules_id) FILTER (
                WHERE jsonb_typeof(document -> 'coercion_rules') = 'null'),
            'validation_rules', count(c.validation_rules_id) FILTER (
                WHERE jsonb_typeof(document -> 'validation_rules') = 'null'),
            'governance_rules', count(c.governance_rules_id) FILTER (
                WHERE jsonb_typeof(document -> 'governance_rules') = 'null'),
            'metadata_record', count(c.metadata_id) FILTER (WHERE jsonb_typeof(document -> 'metadata') = 'null'),
            'ownership', count(c.ownership_id) FILTER (WHERE jsonb_typeof(document -> 'ownership') = 'null'))
    INTO existing, contract_ids, schema_ids, coercion_ids, validation_ids, governance_ids, metadata_ids,
        ownership_ids, resource_ids, cleared
    FROM (
        SELECT document, place, coalesce(
            (SELECT c.id FROM data_contracts AS c
             WHERE c.name = document ->> 'name' AND c.version = document ->> 'version'), uuid_v7()) AS id
        FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS numbered
    ) AS d
    LEFT JOIN data_contracts AS c ON c.id = d.id;

    any_existing := true = ANY (existing);
    updated := 0;
    IF any_existing THEN
        UPDATE schemas AS s SET version = document #>> '{schema,version}', schema_data = document -> 'schema'
        FROM (SELECT unnest(documents) AS document, unnest(schema_ids) AS id, unnest(existing) AS existed) AS d
        WHERE existed AND document ? 'schema' AND s.id = d.id;
        GET DIAGNOSTICS updated = ROW_COUNT;
    END IF;
    INSERT INTO schemas (id, name, version, schema_data)
    SELECT d.id, document ->> 'name', document #>> '{schema,version}', document -> 'schema'
    FROM (SELECT unnest(documents) AS document, unnest(schema_ids) AS id, unnest(existing) AS existed) AS d
    WHERE NOT existed;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'schemas';
    deleted := 0;
    RETURN NEXT;

    updated := 0;
    IF any_existing THEN
        UPDATE coercion_rules AS r SET
            version = CASE WHEN document -> 'coercion_rules' ? 'version'
                THEN document #>> '{coercion_rules,version}' ELSE r.version END,
            rules = document #> '{coercion_rules,rules}'
        FROM (SELECT unnest(documents) AS document, unnest(coercion_ids) AS id, unnest(existing) AS existed) AS d
        WHERE existed AND jsonb_typeof(document -> 'coercion_rules') = 'object' AND r.id = d.id;
        GET DIAGNOSTICS updated = ROW_COUNT;
    END IF;
    INSERT INTO coercion_rules (id, schema_id, version, rules)
    SELECT d.id, schema_id, document #>> '{coercion_rules,version}', document #> '{coercion_rules,rules}'
    FROM (
        SELECT unnest(documents) AS document, unnest(coercion_ids) AS id, unnest(schema_ids) AS schema_id,
            unnest(existing) AS existed
    ) AS d
    WHERE jsonb_typeof(document -> 'coercion_rules') = 'object'
        AND (NOT existed OR NOT EXISTS (SELECT FROM coercion_rules AS r WHERE r.id = d.id));
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'coercion_rules';
    deleted := (cleared ->> 'coercion_rules')::bigint;
    RETURN NEXT;

    updated := 0;
    IF any_existing THEN
        UPDATE validation_rules AS r SET
            version = CASE WHEN document -> 'validation_rules' ? 'version'
                THEN document #>> '{validation_rules,version}' ELSE r.version END,
            rules = document #> '{validation_rules,rules}'
        FROM (SELECT unnest(documents) AS document, unnest(validation_ids) AS id, unnest(existing) AS existed) AS d
        WHERE existed AND jsonb_typeof(document -> 'validation_rules') = 'object' AND r.id = d.id;
        GET DIAGNOSTICS updated = ROW_COUNT;
    END IF;
    INSERT INTO validation_rules (id, schema_id, version, rules)
    SELECT d.id, schema_id, document #>> '{validation_rules,version}', document #> '{validation_rules,rules}'
    FROM (
        SELECT unnest(documents) AS document, unnest(validation_ids) AS id, unnest(schema_ids) AS schema_id,
            unnest(existing) AS existed
    ) AS d
    WHERE jsonb_typeof(document -> 'validation_rules') = 'object'
        AND (NOT existed OR NOT EXISTS (SELECT FROM validation_rules AS r WHERE r.id = d.id));
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'validation_rules';
    deleted := (cleared ->> 'validation_rules')::bigint;
    RETURN NEXT;

    updated := 0;
    IF any_existing THEN
        UPDATE governance_rules AS r SET rule_definition = document -> 'governance_rules'
        FROM (SELECT unnest(documents) AS document, unnest(governance_ids) AS id, unnest(existing) AS existed) AS d
        WHERE existed AND jsonb_typeof(document -> 'governance_rules') = 'object' AND r.id = d.id;
        GET DIAGNOSTICS updated = ROW_COUNT;
    END IF;
    INSERT INTO governance_rules (id, name, rule_definition)
    SELECT d.id, document ->> 'name', document -> 'governance_rules'
    FROM (SELECT unnest(documents) AS document, unnest(governance_ids) AS id, unnest(existing) AS existed) AS d
    WHERE jsonb_typeof(document -> 'governance_rules') = 'object'
        AND (NOT existed OR NOT EXISTS (SELECT FROM governance_rules AS r WHERE r.id = d.id));
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'governance_rules';
    deleted := (cleared ->> 'governance_rules')::bigint;
    RETURN NEXT;

    updated := 0;
    IF any_existing THEN
        UPDATE metadata_record AS r SET metadata_data = document -> 'metadata'
        FROM (SELECT unnest(documents) AS document, unnest(metadata_ids) AS id, unnest(existing) AS existed) AS d
        WHERE existed AND jsonb_typeof(document -> 'metadata') = 'object' AND r.id = d.id;
        GET DIAGNOSTICS updated = ROW_COUNT;
    END IF;
    INSERT INTO metadata_record (id, resource_id, metadata_data)
    SELECT d.id, (document ->> 'name') || '@' || (document ->> 'version'), document -> 'metadata'
    FROM (SELECT unnest(documents) AS document, unnest(metadata_ids) AS id, unnest(existing) AS existed) AS d
    WHERE jsonb_typeof(document -> 'metadata') = 'object'
        AND (NOT existed OR NOT EXISTS (SELECT FROM metadata_record AS r WHERE r.id = d.id));
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'metadata_record';
    deleted := (cleared ->> 'metadata_record')::bigint;
    RETURN NEXT;

    updated := 0;
    IF any_existing THEN
        UPDATE ownership AS r SET
            resource_id = d.resource_id,
            owner = CASE WHEN document -> 'ownership' ? 'owner'
                THEN document #>> '{ownership,owner}' ELSE r.owner END,
            team = CASE WHEN document -> 'ownership' ? 'team'
                THEN document #>> '{ownership,team}' ELSE r.team END,
            additional_info = CASE WHEN document -> 'ownership' ? 'additional_info'
                THEN nullif(document #> '{ownership,additional_info}', 'null') ELSE r.additional_info END
        FROM (
            SELECT unnest(documents) AS document, unnest(ownership_ids) AS id, unnest(resource_ids) AS resource_id
        ) AS d
        WHERE jsonb_typeof(document -> 'ownership') = 'object' AND r.resource_id = d.id;
        GET DIAGNOSTICS updated = ROW_COUNT;
    END IF;
    INSERT INTO ownership (resource_id, owner, team, additional_info)
    SELECT resource_id, document #>> '{ownership,owner}', document #>> '{ownership,team}',
        nullif(document #> '{ownership,additional_info}', 'null')
    FROM (
        SELECT unnest(documents) AS document, unnest(ownership_ids) AS id, unnest(resource_ids) AS resource_id
    ) AS d
    WHERE jsonb_typeof(document -> 'ownership') = 'object' AND id IS NULL;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'ownership';
    deleted := (cleared ->> 'ownership')::bigint;
    RETURN NEXT;

    updated := 0;
    IF any_existing THEN
        UPDATE data_contracts AS c SET
            status = coalesce(document ->> 'status', c.status),
            coercion_rules_id = CASE jsonb_typeof(document -> 'coercion_rules')
                WHEN 'object' THEN coercion_id WHEN 'null' THEN NULL ELSE c.coercion_rules_id END,
            validation_rules_id = CASE jsonb_typeof(document -> 'validation_rules')
                WHEN 'object' THEN validation_id WHEN 'null' THEN NULL ELSE c.validation_rules_id END,
            governance_rules_id = CASE jsonb_typeof(document -> 'governance_rules')
                WHEN 'object' THEN governance_id WHEN 'null' THEN NULL ELSE c.governance_rules_id END,
            metadata_id = CASE jsonb_typeof(document -> 'metadata')
                WHEN 'object' THEN d.metadata_id WHEN 'null' THEN NULL ELSE c.metadata_id END,
            ownership_id = CASE jsonb_typeof(document -> 'ownership')
                WHEN 'object' THEN resource_id WHEN 'null' THEN NULL ELSE c.ownership_id END,
            data_feed_id = coalesce(f.id, c.data_feed_id),
            domain_id = CASE WHEN document ? 'domain' THEN o.id ELSE c.domain_id END,
            description = CASE WHEN document ? 'description' THEN document ->> 'description' ELSE c.description END,
            is_data_feed = coalesce((document ->> 'is_data_feed')::boolean, c.is_data_feed),
            -- Moves also when only a component or a link changes.
            updated_at = now(),
            updated_by = session_user
        FROM (
            SELECT unnest(documents) AS document, unnest(contract_ids) AS id, unnest(existing) AS existed,
                unnest(coercion_ids) AS coercion_id, unnest(validation_ids) AS validation_id,
                unnest(governance_ids) AS governance_id, unnest(metadata_ids) AS metadata_id,
                unnest(resource_ids) AS resource_id
        ) AS d
        LEFT JOIN data_feeds AS f ON f.name = item_name(document -> 'data_feed')
        LEFT JOIN domains AS o ON o.name = item_name(document -> 'domain')
        WHERE existed AND c.id = d.id;
        GET DIAGNOSTICS updated = ROW_COUNT;
    END IF;
    INSERT INTO data_contracts (
        id, name, version, status, schema_id, coercion_rules_id, validation_rules_id, governance_rules_id, metadata_id,
        ownership_id, data_feed_id, domain_id, description, is_data_feed, published_at, created_by, updated_by)
    SELECT d.id, document ->> 'name', document ->> 'version', coalesce(document ->> 'status', 'draft'), schema_id,
        CASE jsonb_typeof(document -> 'coercion_rules') WHEN 'object' THEN coercion_id END,
        CASE jsonb_typeof(document -> 'validation_rules') WHEN 'object' THEN validation_id END,
        CASE jsonb_typeof(document -> 'governance_rules') WHEN 'object' THEN governance_id END,
        CASE jsonb_typeof(document -> 'metadata') WHEN 'object' THEN metadata_id END,
        CASE jsonb_typeof(document -> 'ownership') WHEN 'object' THEN resource_id END,
        f.id, o.id, document ->> 'description', coalesce((document ->> 'is_data_feed')::boolean, false),
        CASE WHEN document ->> 'status' IN ('active', 'deprecated', 'retired') THEN now() END,
        coalesce(document ->> 'created_by', session_user),
        coalesce(document ->> 'updated_by', document ->> 'created_by', session_user)
    FROM (
        SELECT unnest(documents) AS document, unnest(contract_ids) AS id, unnest(existing) AS existed,
            unnest(schema_ids) AS schema_id, unnest(coercion_ids) AS coercion_id,
            unnest(validation_ids) AS validation_id, unnest(governance_ids) AS governance_id,
            unnest(metadata_ids) AS metadata_id, unnest(resource_ids) AS resource_id
    ) AS d
    LEFT JOIN data_feeds AS f ON f.name = item_name(document -> 'data_feed')
    LEFT JOIN domains AS o ON o.name = item_name(document -> 'domain')
    WHERE NOT existed;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'data_contracts';
    deleted := 0;
    RETURN NEXT;
END
$$;

CREATE OR REPLACE FUNCTION load_documents(
    documents jsonb[], shape_checked boolean DEFAULT false, overwrite boolean DEFAULT false,
    digests bytea[] DEFAULT '{}', known uuid[] DEFAULT '{}', mentions jsonb[] DEFAULT '{}'
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
    accepted jsonb[] := '{}';
    added jsonb[];
    changed_only jsonb[];
    written jsonb[];
    naming jsonb[];
    entities jsonb;
    steps jsonb := '[]';
    tables jsonb;
    counts jsonb;
    -- What the caller's setting is put back to. The owner of a function may not attach it as a SET clause.
    overwriting text := coalesce(current_setting('pycharter_sql.overwrite', true), '');
BEGIN
    -- Loads take turns, so that two at once end as if one came after the other.
    PERFORM wait_for_turn();
    PERFORM set_config('pycharter_sql.overwrite', CASE WHEN overwrite THEN 'yes' ELSE 'no' END, true);
    -- Waits for whoever is changing one of the contracts. Their triggers lock the same rows.
    PERFORM FROM data_contracts AS c
    WHERE c.id IN (
        SELECT (SELECT k.id FROM data_contracts AS k
                WHERE k.name = document ->> 'name' AND k.version = document ->> 'version')
        FROM (SELECT unnest(documents) AS document) AS d)
    ORDER BY c.id FOR NO KEY UPDATE;

    SELECT c.stored, c.changes, c.refused INTO stored, changes, refused
    FROM compare_documents(documents, shape_checked, overwrite) AS c;

    IF refused = '[]' AND NOT EXISTS (
        SELECT FROM (SELECT unnest(documents) AS document, unnest(changes) AS changed) AS d
        WHERE changed IS NOT NULL OR NOT document ? 'data_feed'
    ) THEN
        -- A first load, mostly: every document is written as it came.
        accepted := documents;
        added := documents;
        counts := jsonb_build_object(
            'inserted', coalesce(cardinality(documents), 0), 'updated', 0, 'unchanged', 0, 'refused', 0);
    ELSE
        -- A new contract that names no feed serves the one of its own name. Of an existing one only what differs is
        -- written.
        SELECT array_agg(document ORDER BY place),
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
    END IF;

    written := CASE WHEN changed_only IS NULL THEN added ELSE added || changed_only END;
    naming := CASE WHEN mentions = '{}' THEN accepted ELSE accepted || mentions END;
    IF changed_only IS NOT NULL THEN
        steps := steps || (SELECT jsonb_agg(step) FROM revise_relations(changed_only) AS step);
    END IF;
    SELECT jsonb_object_agg(t.table_name, t.outcomes) INTO entities
    FROM (
        SELECT table_name, jsonb_build_object(
            'inserted', coalesce(jsonb_agg(e.entity) FILTER (WHERE e.outcome = 'inserted'), '[]'),
            'updated', coalesce(jsonb_agg(e.entity) FILTER (WHERE e.outcome = 'updated'), '[]'),
            'unchanged', coalesce(jsonb_agg(e.entity) FILTER (WHERE e.outcome = 'unchanged'), '[]')) AS outcomes
        FROM unnest('{systems,business_owners,teams,domains,data_feeds}'::text[]) AS k (table_name)
        LEFT JOIN (
            SELECT * FROM load_entities(naming)
            UNION ALL
            SELECT * FROM load_data_feeds(naming)
        ) AS e USING (table_name)
        GROUP BY table_name
    ) AS t;
    steps := steps || (
        SELECT jsonb_agg(jsonb_build_object('table_name', table_name, outcome, jsonb_array_length(names)))
        FROM jsonb_each(entities) AS e (table_name, outcomes), jsonb_each(outcomes) AS o (outcome, names));
    steps := steps || (SELECT jsonb_agg(step) FROM load_contracts(written) AS step);
    steps := steps || (SELECT jsonb_agg(step) FROM load_relations(written) AS step);

    -- What was there before, and is as it was. In a first load nothing was.
    IF cardinality(known) > 0 OR EXISTS (SELECT FROM unnest(stored) AS was WHERE was IS NOT NULL) THEN
        steps := steps || (
            SELECT jsonb_agg(jsonb_build_object('table_name', r.table_name, 'unchanged', r.rows - coalesce((
                SELECT sum(coalesce((step -> 'inserted')::bigint, 0) + coalesce((step -> 'updated')::bigint, 0))
                FROM jsonb_array_elements(steps) AS step WHERE step ->> 'table_name' = r.table_name), 0)))
            FROM contract_rows(known || ARRAY(
                SELECT c.id FROM (SELECT unnest(accepted) AS document) AS d
                JOIN data_contracts AS c ON c.name = document ->> 'name' AND c.version = document ->> 'version'
            )) AS r);
        counts := counts || jsonb_build_object('unchanged', (counts -> 'unchanged')::bigint + cardinality(known));
    END IF;

    INSERT INTO document_digests (data_contract_id, digest)
    SELECT c.id, d.digest
    FROM (
        SELECT unnest(documents) AS document, unnest(digests) AS digest, generate_subscripts(documents, 1) AS place
    ) AS d
    JOIN data_contracts AS c ON c.name = document ->> 'name' AND c.version = document ->> 'version'
    WHERE d.digest IS NOT NULL AND NOT refused @> jsonb_build_array(jsonb_build_object('document', d.place - 1))
    ON CONFLICT ON CONSTRAINT document_digests_pkey DO UPDATE SET digest = excluded.digest;

    SELECT jsonb_object_agg(t.table_name, to_jsonb(t) - 'table_name') INTO tables
    FROM (
        SELECT step ->> 'table_name' AS table_name,
            coalesce(sum((step -> 'inserted')::bigint), 0) AS inserted,
            coalesce(sum((step -> 'updated')::bigint), 0) AS updated,
            coalesce(sum((step -> 'unchanged')::bigint), 0) AS unchanged,
            coalesce(sum((step -> 'deleted')::bigint), 0) AS deleted
        FROM jsonb_array_elements(steps) AS step
        GROUP BY 1
    ) AS t;
    PERFORM set_config('pycharter_sql.overwrite', overwriting, true);
    RETURN jsonb_build_object('documents', counts, 'tables', tables, 'entities', entities, 'refusals', refused);
END
$$;
