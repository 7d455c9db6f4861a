-- depends: 0022-let-writers-take-turns
-- A load of one contract is made of what its statements cost to start. Those that mostly have nothing to do are left
-- out where that is so, and what was asked twice is asked once.

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
    -- Mostly they are names and nothing else.
    IF NOT EXISTS (SELECT FROM unnest(items) AS i (item) WHERE jsonb_typeof(i.item) = 'object') THEN
        RETURN QUERY
        SELECT i.of_kind, i.item #>> '{}', '{}'::jsonb FROM unnest(item_kinds, items) AS i (of_kind, item);
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

CREATE OR REPLACE FUNCTION load_entities(documents jsonb[]) RETURNS TABLE (table_name text, entity text, outcome text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    kinds text[];
    names text[];
    attributes jsonb[];
    domain_rows jsonb;
    new_domains text[];
    changed_domains text[] := '{}';
BEGIN
    SELECT array_agg(m.kind), array_agg(m.name), array_agg(m.attributes),
        coalesce(jsonb_object_agg(m.name, m.attributes) FILTER (WHERE m.kind = 'domain'), '{}')
    INTO kinds, names, attributes, domain_rows
    FROM mentioned_entities(documents, '{system,business owner,team,domain}') AS m;

    -- Mostly all are there, and nothing is said of them: then there is nothing to write.
    IF NOT EXISTS (
        SELECT FROM unnest(kinds, names, attributes) AS m (kind, name, a)
        LEFT JOIN systems AS s ON m.kind = 'system' AND s.name = m.name
        LEFT JOIN business_owners AS b ON m.kind = 'business owner' AND b.name = m.name
        LEFT JOIN teams AS t ON m.kind = 'team' AND t.name = m.name
        WHERE m.kind <> 'domain' AND (a <> '{}' OR coalesce(s.id, b.id, t.id) IS NULL)
    ) THEN
        RETURN QUERY
        SELECT replace(m.kind, ' ', '_') || 's', m.name, 'unchanged' FROM unnest(kinds, names) AS m (kind, name)
        WHERE m.kind <> 'domain';
    ELSE
        -- Inserted only where missing, in the order of their names: no dead rows, no deadlock.
        RETURN QUERY
        WITH mentioned AS MATERIALIZED (
            SELECT m.kind, m.name, m.a FROM unnest(kinds, names, attributes) AS m (kind, name, a)
            WHERE m.kind <> 'domain'
        ),
        new_system AS (
            INSERT INTO systems (name, description, system_type, connection_info, is_active)
            SELECT e.name, a ->> 'description', a ->> 'system_type', a -> 'connection_info',
                coalesce((a ->> 'is_active')::boolean, true)
            FROM mentioned AS e
            WHERE e.kind = 'system' AND NOT EXISTS (SELECT FROM systems AS s WHERE s.name = e.name)
            ORDER BY e.name ON CONFLICT DO NOTHING RETURNING systems.name
        ),
        changed_system AS (
            UPDATE systems AS s SET
                description = coalesce(a ->> 'description', s.description),
                system_type = coalesce(a ->> 'system_type', s.system_type),
                connection_info = coalesce(a -> 'connection_info', s.connection_info),
                is_active = coalesce((a ->> 'is_active')::boolean, s.is_active)
            FROM mentioned AS e
            WHERE e.kind = 'system' AND a <> '{}' AND s.name = e.name
                AND (s.description, s.system_type, s.connection_info, s.is_active) IS DISTINCT FROM (
                    coalesce(a ->> 'description', s.description), coalesce(a ->> 'system_type', s.system_type),
                    coalesce(a -> 'connection_info', s.connection_info),
                    coalesce((a ->> 'is_active')::boolean, s.is_active))
            RETURNING s.name
        ),
        new_business_owner AS (
            INSERT INTO business_owners (name, description, contact_email, department, is_active)
            SELECT e.name, a ->> 'description', a ->> 'contact_email', a ->> 'department',
                coalesce((a ->> 'is_active')::boolean, true)
            FROM mentioned AS e
            WHERE e.kind = 'business owner' AND NOT EXISTS (SELECT FROM business_owners AS b WHERE b.name = e.name)
            ORDER BY e.name ON CONFLICT DO NOTHING RETURNING business_owners.name
        ),
        changed_business_owner AS (
            UPDATE business_owners AS b SET
                description = coalesce(a ->> 'description', b.description),
                contact_email = coalesce(a ->> 'contact_email', b.contact_email),
                department = coalesce(a ->> 'department', b.department),
                is_active = coalesce((a ->> 'is_active')::boolean, b.is_active)
            FROM mentioned AS e
            WHERE e.kind = 'business owner' AND a <> '{}' AND b.name = e.name
                AND (b.description, b.contact_email, b.department, b.is_active) IS DISTINCT FROM (
                    coalesce(a ->> 'description', b.description), coalesce(a ->> 'contact_email', b.contact_email),
                    coalesce(a ->> 'department', b.department), coalesce((a ->> 'is_active')::boolean, b.is_active))
            RETURNING b.name
        ),
        new_team AS (
            INSERT INTO teams (name, description, team_type, is_active)
            SELECT e.name, a ->> 'description', a ->> 'team_type', coalesce((a ->> 'is_active')::boolean, true)
            FROM mentioned AS e
            WHERE e.kind = 'team' AND NOT EXISTS (SELECT FROM teams AS t WHERE t.name = e.name)
            ORDER BY e.name ON CONFLICT DO NOTHING RETURNING teams.name
        ),
        changed_team AS (
            UPDATE teams AS t SET
                description = coalesce(a ->> 'description', t.description),
                team_type = coalesce(a ->> 'team_type', t.team_type),
                is_active = coalesce((a ->> 'is_active')::boolean, t.is_active)
            FROM mentioned AS e
            WHERE e.kind = 'team' AND a <> '{}' AND t.name = e.name
                AND (t.description, t.team_type, t.is_active) IS DISTINCT FROM (
                    coalesce(a ->> 'description', t.description), coalesce(a ->> 'team_type', t.team_type),
                    coalesce((a ->> 'is_active')::boolean, t.is_active))
            RETURNING t.name
        ),
        written AS (
            SELECT 'system' AS kind, n.name, 'inserted' AS outcome FROM new_system AS n
            UNION ALL
            SELECT 'system', c.name, 'updated' FROM changed_system AS c
            UNION ALL
            SELECT 'business owner', n.name, 'inserted' FROM new_business_owner AS n
            UNION ALL
            SELECT 'business owner', c.name, 'updated' FROM changed_business_owner AS c
            UNION ALL
            SELECT 'team', n.name, 'inserted' FROM new_team AS n
            UNION ALL
            SELECT 'team', c.name, 'updated' FROM changed_team AS c
        )
        SELECT replace(w.kind, ' ', '_') || 's', w.name, w.outcome FROM written AS w
        UNION ALL
        SELECT replace(e.kind, ' ', '_') || 's', e.name, 'unchanged' FROM mentioned AS e
        WHERE (e.kind, e.name) NOT IN (SELECT w.kind, w.name FROM written AS w);
    END IF;

    -- Domains last, in two statements: a parent must be there before its children can name it.
    WITH new_domain AS (
        INSERT INTO domains (name)
        SELECT m.name FROM jsonb_object_keys(domain_rows) AS m (name)
        WHERE NOT EXISTS (SELECT FROM domains AS d WHERE d.name = m.name)
        ORDER BY m.name ON CONFLICT DO NOTHING RETURNING domains.name
    )
    SELECT coalesce(array_agg(n.name), '{}') INTO new_domains FROM new_domain AS n;

    -- Most documents only name their domain.
    IF domain_rows @? '$.*.keyvalue()' THEN
        WITH wanted AS (
            SELECT d.id, d.name, coalesce(a ->> 'description', d.description) AS description,
                coalesce((a ->> 'is_active')::boolean, d.is_active) AS is_active,
                coalesce(p.id, d.parent_domain_id) AS parent_domain_id
            FROM jsonb_each(domain_rows) AS m (name, a)
            JOIN domains AS d ON d.name = m.name
            LEFT JOIN domains AS p ON p.name = a ->> 'parent_domain'
            WHERE a <> '{}'
        ),
        changed AS (
            UPDATE domains AS d SET
                description = w.description, is_active = w.is_active, parent_domain_id = w.parent_domain_id
            FROM wanted AS w
            WHERE d.id = w.id AND (d.description, d.is_active, d.parent_domain_id)
                IS DISTINCT FROM (w.description, w.is_active, w.parent_domain_id)
            RETURNING d.name
        )
        SELECT coalesce(array_agg(c.name), '{}') INTO changed_domains FROM changed AS c;
    END IF;
    RETURN QUERY
    SELECT 'domains', m.name, CASE
        WHEN m.name = ANY (new_domains) THEN 'inserted'
        WHEN m.name = ANY (changed_domains) THEN 'updated'
        ELSE 'unchanged'
    END
    FROM jsonb_object_keys(domain_rows) AS m (name);
END
$$;

CREATE OR REPLACE FUNCTION load_data_feeds(documents jsonb[]) RETURNS TABLE (table_name text, entity text, outcome text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    names text[];
    attributes jsonb[];
BEGIN
    SELECT array_agg(m.name), array_agg(m.attributes) INTO names, attributes
    FROM mentioned_entities(documents, '{data feed}') AS m;
    -- Mostly all are there, as they are described.
    IF NOT EXISTS (
        SELECT FROM unnest(names, attributes) AS m (name, a) LEFT JOIN data_feeds AS f ON f.name = m.name
        WHERE f.id IS NULL OR a <> '{}' AND (f.title, f.description, f.feed_type, f.is_active) IS DISTINCT FROM (
            coalesce(a ->> 'title', f.title), coalesce(a ->> 'description', f.description),
            coalesce(a ->> 'feed_type', f.feed_type), coalesce((a ->> 'is_active')::boolean, f.is_active))
    ) THEN
        RETURN QUERY SELECT 'data_feeds', m.name, 'unchanged' FROM unnest(names) AS m (name);
        RETURN;
    END IF;
    RETURN QUERY
    WITH mentioned AS MATERIALIZED (
        SELECT m.name, m.a FROM unnest(names, attributes) AS m (name, a)
    ),
    new_feed AS (
        INSERT INTO data_feeds (name, title, description, feed_type, is_active)
        SELECT m.name, a ->> 'title', a ->> 'description', a ->> 'feed_type',
            coalesce((a ->> 'is_active')::boolean, true)
        FROM mentioned AS m
        WHERE NOT EXISTS (SELECT FROM data_feeds AS f WHERE f.name = m.name)
        ORDER BY m.name ON CONFLICT DO NOTHING RETURNING data_feeds.name
    ),
    changed_feed AS (
        UPDATE data_feeds AS f SET
            title = coalesce(a ->> 'title', f.title),
            description = coalesce(a ->> 'description', f.description),
            feed_type = coalesce(a ->> 'feed_type', f.feed_type),
            is_active = coalesce((a ->> 'is_active')::boolean, f.is_active)
        FROM mentioned AS m
        WHERE a <> '{}' AND f.name = m.name
            AND (f.title, f.description, f.feed_type, f.is_active) IS DISTINCT FROM (
                coalesce(a ->> 'title', f.title), coalesce(a ->> 'description', f.description),
                coalesce(a ->> 'feed_type', f.feed_type), coalesce((a ->> 'is_active')::boolean, f.is_active))
        RETURNING f.name
    ),
    written AS (
        SELECT n.name, 'inserted' AS outcome FROM new_feed AS n
        UNION ALL
        SELECT c.name, 'updated' FROM changed_feed AS c
    )
    SELECT 'data_feeds', w.name, w.outcome FROM written AS w
    UNION ALL
    SELECT 'data_feeds', m.name, 'unchanged' FROM mentioned AS m
    WHERE m.name NOT IN (SELECT w.name FROM written AS w);
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
    added jsonb[];
    changed_only jsonb[];
    -- Null: all documents, as they came. A variable of its own for them would be a copy of them.
    accepted jsonb[];
    written jsonb[];
    naming jsonb[];
    entities jsonb;
    steps jsonb := '[]';
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
            SELECT * FROM load_entities(coalesce(naming, documents))
            UNION ALL
            SELECT * FROM load_data_feeds(coalesce(naming, documents))
        ) AS e USING (table_name)
        GROUP BY table_name
    ) AS t;
    steps := steps || (
        SELECT jsonb_agg(jsonb_build_object('table_name', table_name, outcome, jsonb_array_length(names)))
        FROM jsonb_each(entities) AS e (table_name, outcomes), jsonb_each(outcomes) AS o (outcome, names));
    steps := steps || (SELECT jsonb_agg(step) FROM load_contracts(coalesce(written, documents)) AS step);
    steps := steps || (SELECT jsonb_agg(step) FROM load_relations(coalesce(written, documents)) AS step);

    -- What was there before, and is as it was. In a first load nothing was.
    IF cardinality(known) > 0 OR EXISTS (SELECT FROM unnest(stored) AS was WHERE was IS NOT NULL) THEN
        steps := steps || (
            SELECT jsonb_agg(jsonb_build_object('table_name', r.table_name, 'unchanged', r.rows - coalesce((
                SELECT sum(coalesce((step -> 'inserted')::bigint, 0) + coalesce((step -> 'updated')::bigint, 0))
                FROM jsonb_array_elements(steps) AS step WHERE step ->> 'table_name' = r.table_name), 0)))
            FROM contract_rows(known || ARRAY(
                SELECT c.id FROM (SELECT unnest(coalesce(accepted, documents)) AS document) AS d
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

SELECT apply_access();
