-- depends: 0022-let-writers-take-turns
-- A load of one contract is made of what its statements cost to start. Those that mostly have nothing to do are left
-- out where that is so, and what was asked twice is asked once.

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
    -- Materialized: planned by itself, it is hashed; planned with the rest, thousands of items are sorted.
    mention AS MATERIALIZED (
        SELECT list.kind, item
        FROM (SELECT unnest(documents) AS document) AS d
        CROSS JOIN (VALUES
            ('system', '{pulls_from}'::text[], true), ('system', '{pushes_to}', true),
            ('system', '{system_sources}', true), ('business owner', '{business_owners}', true),
            ('team', '{team_access,read}', true), ('team', '{team_access,write}', true),
            ('data feed', '{dependencies}', true),
            -- What entity documents list.
            ('system', '{systems}', false), ('business owner', '{business_owners}', false),
            ('team', '{teams}', false), ('data feed', '{data_feeds}', false)
        ) AS list (kind, path, of_contract),
            list_items(document #> list.path) AS item
        WHERE list.kind = ANY (kinds) AND (list.of_contract OR NOT document ? 'name')
        UNION
        SELECT 'data feed', document -> 'data_feed' FROM (SELECT unnest(documents) AS document) AS d
        WHERE 'data feed' = ANY (kinds) AND document ? 'data_feed'
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
        WHERE m.kind <> 'domain' AND (a <> '{}' OR NOT CASE m.kind
            WHEN 'system' THEN EXISTS (SELECT FROM systems AS s WHERE s.name = m.name)
            WHEN 'team' THEN EXISTS (SELECT FROM teams AS t WHERE t.name = m.name)
            ELSE EXISTS (SELECT FROM business_owners AS b WHERE b.name = m.name)
        END)
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

SELECT apply_access();
