-- depends: 0007-create-document-functions
-- The one write path: contract documents in, the four steps of the design's "Migration Path", a report out. One
-- document from a pipeline and a batch out of 100,000 take the same way. Documents come as an array parameter: no
-- staging table to fill, to hide from others, or to leave bloated.

CREATE TABLE document_digests (
    data_contract_id uuid NOT NULL
        CONSTRAINT document_digests_data_contract_id_fkey REFERENCES data_contracts (id) ON DELETE CASCADE,
    digest bytea NOT NULL,
    CONSTRAINT document_digests_pkey PRIMARY KEY (data_contract_id)
);

COMMENT ON TABLE document_digests IS
    'What a loader last loaded of a contract version: the same document again changes nothing and need not be sent. '
    'Whatever changes the version, its components, its links or the name of an entity deletes the row.';
COMMENT ON COLUMN document_digests.data_contract_id IS 'The contract version.';
COMMENT ON COLUMN document_digests.digest IS
    'Digest of the document''s text, as the loader computes it (pycharter-sql: BLAKE2b, 16 bytes).';

CREATE FUNCTION wait_for_turn() RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock('data_contracts'::regclass::oid::integer, 0);
END
$$;

COMMENT ON FUNCTION wait_for_turn() IS
    'Loads, and what changes the names of entities, take turns: until the transaction ends no other comes in between.';

CREATE FUNCTION known_contracts(names text[], versions text[], digests bytea[], to_load boolean) RETURNS uuid[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = 'force_generic_plan'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    IF to_load THEN
        -- As in load_documents: what is known now stays so until this load ends.
        PERFORM wait_for_turn();
    END IF;
    RETURN (
        SELECT array_agg((
            SELECT c.id FROM data_contracts AS c JOIN document_digests AS k ON k.data_contract_id = c.id
            WHERE c.name = d.name AND c.version = d.version AND k.digest = d.digest) ORDER BY place)
        FROM (
            SELECT unnest(names) AS name, unnest(versions) AS version, unnest(digests) AS digest,
                generate_subscripts(names, 1) AS place
        ) AS d);
END
$$;

COMMENT ON FUNCTION known_contracts(text[], text[], bytea[], boolean) IS
    'Of each document, in the same order, the contract version that it would leave as it is; null where that is not '
    'known without reading it. to_load: takes the turn of a load; a plan only looks.';

CREATE FUNCTION contract_rows(contract_ids uuid[]) RETURNS TABLE (table_name text, rows bigint)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH contract AS MATERIALIZED (SELECT c.* FROM data_contracts AS c WHERE c.id = ANY (contract_ids))
    SELECT t.table_name, t.rows
    FROM (
        SELECT count(*) AS contracts, count(coercion_rules_id) AS coercion_rules,
            count(validation_rules_id) AS validation_rules, count(governance_rules_id) AS governance_rules,
            count(metadata_id) AS metadata, count(ownership_id) AS ownership
        FROM contract
    ) AS n,
        LATERAL (VALUES
            ('data_contracts', n.contracts), ('schemas', n.contracts), ('coercion_rules', n.coercion_rules),
            ('validation_rules', n.validation_rules), ('governance_rules', n.governance_rules),
            ('metadata_record', n.metadata), ('ownership', n.ownership)
        ) AS t (table_name, rows)
    UNION ALL
    SELECT 'data_contract_system_pulls', count(*) FROM data_contract_system_pulls
    WHERE data_contract_id = ANY (contract_ids)
    UNION ALL
    SELECT 'data_contract_system_pushes', count(*) FROM data_contract_system_pushes
    WHERE data_contract_id = ANY (contract_ids)
    UNION ALL
    SELECT 'data_contract_system_sources', count(*) FROM data_contract_system_sources
    WHERE data_contract_id = ANY (contract_ids)
    UNION ALL
    SELECT 'data_contract_business_owners', count(*) FROM data_contract_business_owners
    WHERE data_contract_id = ANY (contract_ids)
    UNION ALL
    SELECT 'data_contract_team_access', count(*) FROM data_contract_team_access
    WHERE data_contract_id = ANY (contract_ids)
    UNION ALL
    SELECT 'data_feed_dependencies', count(*) FROM data_feed_dependencies
    WHERE data_contract_id = ANY (contract_ids);
END;

COMMENT ON FUNCTION contract_rows(uuid[]) IS 'How many rows of each table belong to these contract versions.';

CREATE FUNCTION check_document(document jsonb) RETURNS TABLE (pointer text, reason text, remedy text)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    -- Of each object in a document: where it stands, and of what kind each of its keys may be.
    WITH RECURSIVE object_kind AS (
        SELECT '{
            "document": {
                "name": ["string"], "version": ["string"], "status": ["string"], "description": ["string", "null"],
                "is_data_feed": ["boolean"], "data_feed": ["string", "object"],
                "domain": ["string", "object", "null"], "schema": ["object"],
                "coercion_rules": ["object", "null"], "validation_rules": ["object", "null"],
                "governance_rules": ["object", "null"], "metadata": ["object", "null"],
                "ownership": ["object", "null"], "pulls_from": ["array", "null"], "pushes_to": ["array", "null"],
                "system_sources": ["array", "null"], "business_owners": ["array", "null"],
                "team_access": ["object", "null"], "dependencies": ["array", "null"],
                "created_by": ["string", "null"], "updated_by": ["string", "null"]},
            "system": {
                "name": ["string"], "description": ["string", "null"], "system_type": ["string", "null"],
                "connection_info": ["object", "string", "null"], "is_active": ["boolean"]},
            "business owner": {
                "name": ["string"], "role": ["string"], "description": ["string", "null"],
                "contact_email": ["string", "null"], "department": ["string", "null"], "is_active": ["boolean"]},
            "team": {
                "name": ["string"], "description": ["string", "null"], "team_type": ["string", "null"],
                "is_active": ["boolean"]},
            "data feed": {
                "name": ["string"], "title": ["string", "null"], "description": ["string", "null"],
                "feed_type": ["string", "null"], "is_active": ["boolean"]},
            "dependency": {
                "name": ["string"], "dependency_type": ["string"], "title": ["string", "null"],
                "description": ["string", "null"], "feed_type": ["string", "null"], "is_active": ["boolean"]},
            "domain": {
                "name": ["string"], "description": ["string", "null"],
                "parent_domain": ["string", "object", "null"], "is_active": ["boolean"]},
            "ownership": {
                "resource_id": ["string"], "owner": ["string", "null"], "team": ["string", "null"],
                "additional_info": ["object", "null"]},
            "rules": {"version": ["string", "null"], "rules": ["object"]},
            "access": {"read": ["array", "null"], "write": ["array", "null"]}
        }'::jsonb AS kinds
    ),
    domain AS (
        SELECT '/domain' AS pointer, document -> 'domain' AS value
        UNION ALL
        SELECT d.pointer || '/parent_domain', value -> 'parent_domain' FROM domain AS d
        WHERE jsonb_typeof(value) = 'object' AND value ? 'parent_domain'
    ),
    item AS (
        SELECT relation.pointer || '/' || place - 1 AS pointer, kind, value
        FROM (VALUES
            ('/pulls_from', 'system', document -> 'pulls_from'),
            ('/pushes_to', 'system', document -> 'pushes_to'),
            ('/system_sources', 'system', document -> 'system_sources'),
            ('/business_owners', 'business owner', document -> 'business_owners'),
            ('/team_access/read', 'team', document #> '{team_access,read}'),
            ('/team_access/write', 'team', document #> '{team_access,write}'),
            ('/dependencies', 'dependency', document -> 'dependencies')
        ) AS relation (pointer, kind, list),
            jsonb_array_elements(CASE jsonb_typeof(list) WHEN 'array' THEN list END)
                WITH ORDINALITY AS list_item (value, place)
    ),
    object AS (
        SELECT '' AS pointer, 'document' AS kind, '{name,version}'::text[] AS required, document AS value
        UNION ALL
        SELECT i.pointer, i.kind, '{name}', i.value FROM item AS i
        UNION ALL
        SELECT '/data_feed', 'data feed', '{name}', document -> 'data_feed'
        UNION ALL
        SELECT d.pointer, 'domain', '{name}', d.value FROM domain AS d
        UNION ALL
        SELECT '/ownership', 'ownership', '{}', document -> 'ownership'
        UNION ALL
        SELECT '/coercion_rules', 'rules', '{rules}', document -> 'coercion_rules'
        UNION ALL
        SELECT '/validation_rules', 'rules', '{rules}', document -> 'validation_rules'
        UNION ALL
        SELECT '/team_access', 'access', '{}', document -> 'team_access'
    )
    SELECT '', 'a contract document is a JSON object', 'See docs/contract-document.md.'
    WHERE jsonb_typeof(document) IS DISTINCT FROM 'object'
    UNION ALL
    SELECT o.pointer, format('the %s has no %s', o.kind, key), format('Add the key %s.', key)
    FROM object AS o, unnest(o.required) AS key
    WHERE jsonb_typeof(o.value) = 'object' AND NOT o.value ? key
    UNION ALL
    SELECT o.pointer || '/' || key,
        CASE WHEN kinds -> o.kind ? key THEN format('%s is a %s', key, jsonb_typeof(entry.value))
            ELSE format('unknown key %s', key) END,
        CASE WHEN kinds -> o.kind ? key THEN format('It must be one of: %s.', kinds -> o.kind ->> key)
            ELSE format('Known keys: %s.', (
                SELECT string_agg(known, ', ') FROM jsonb_object_keys(kinds -> o.kind) AS known)) END
    FROM object_kind, object AS o,
        jsonb_each(CASE jsonb_typeof(o.value) WHEN 'object' THEN o.value END) AS entry (key, value)
    WHERE (kinds -> o.kind -> key) ? jsonb_typeof(entry.value) IS NOT TRUE
    UNION ALL
    SELECT i.pointer, format('a %s is not a name', jsonb_typeof(i.value)), 'Write the name, or an object with a name.'
    FROM item AS i WHERE jsonb_typeof(i.value) NOT IN ('string', 'object')
    UNION ALL
    SELECT i.pointer || '/connection_info', 'holds a credential',
        'Store where the secret is kept instead, e.g. {"password": "env:REPLICA_PASSWORD"}.'
    FROM item AS i
    WHERE i.kind = 'system' AND jsonb_typeof(i.value) = 'object'
        AND contains_credential(i.value -> 'connection_info')
    UNION ALL
    SELECT '/schema/version', 'the version of the schema is no text', 'Write it as text, e.g. "1.0.0".'
    WHERE jsonb_typeof(document #> '{schema,version}') <> 'string';
END;

COMMENT ON FUNCTION check_document(jsonb) IS
    'What is wrong with the shape of a contract document, one row a finding: JSON Pointer, reason, remedy. Values '
    'that tables check (status, permission, lengths) are left to them.';

CREATE FUNCTION refusals(
    documents jsonb[], stored jsonb[], changes jsonb[], shape_checked boolean, overwrite boolean)
RETURNS TABLE (place integer, pointer text, reason text, remedy text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    -- Arrays are unnested in a SELECT list throughout: there they stream, in FROM they are copied to a tuple store.
    WITH RECURSIVE said_domain AS (
        SELECT d.place, document -> 'domain' AS item
        FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS d
        WHERE jsonb_typeof(document #> '{domain,parent_domain}') IN ('string', 'object')
        UNION ALL
        SELECT s.place, item -> 'parent_domain' FROM said_domain AS s
        WHERE jsonb_typeof(item #> '{parent_domain,parent_domain}') IN ('string', 'object')
    ),
    said_parent AS (
        SELECT s.place, item_name(item) COLLATE "C" AS name, item_name(item -> 'parent_domain') COLLATE "C" AS parent
        FROM said_domain AS s
    ),
    parent AS (
        SELECT s.name, s.parent FROM said_parent AS s
        UNION
        SELECT d.name, p.name FROM domains AS d JOIN domains AS p ON p.id = d.parent_domain_id
        WHERE EXISTS (SELECT FROM said_parent) AND d.name NOT IN (SELECT s.name FROM said_parent AS s)
    ),
    above AS (
        SELECT s.name, s.parent AS ancestor FROM said_parent AS s
        UNION
        SELECT a.name, p.parent FROM above AS a JOIN parent AS p ON p.name = a.ancestor
    )
    SELECT s.place, '/domain', format('domain "%s" would be its own ancestor', s.name),
        'Choose a parent_domain that does not lie within it.'
    FROM said_parent AS s JOIN above AS a ON a.name = s.name AND a.ancestor = s.name
    UNION ALL
    SELECT d.place, found.pointer, found.reason, found.remedy
    FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS d,
        check_document(document) AS found
    WHERE NOT shape_checked
    UNION ALL
    SELECT d.place, '/schema', 'the contract is new and its document has no schema',
        'Add its JSON Schema under the key schema.'
    FROM (
        SELECT unnest(documents) AS document, unnest(stored) AS was, generate_subscripts(documents, 1) AS place
    ) AS d
    WHERE was IS NULL AND jsonb_typeof(document) = 'object' AND NOT document ? 'schema'
    UNION ALL
    SELECT d.place, '/metadata/namespace', format(
            'the contract of this name is of namespace %s, not %s', was #>> '{metadata,namespace}',
            document #>> '{metadata,namespace}'),
        'Load it with --prefix-namespace, which names a contract <namespace>.<name>.'
    FROM (
        SELECT unnest(documents) AS document, unnest(stored) AS was, generate_subscripts(documents, 1) AS place
    ) AS d
    WHERE was #>> '{metadata,namespace}' <> document #>> '{metadata,namespace}' AND NOT overwrite
    UNION ALL
    SELECT d.place, '', 'another document of the same call is of the same contract version',
        'Merge the two, or leave one of them out.'
    FROM (
        SELECT n.place, count(*) OVER (PARTITION BY n.name, n.version) AS documents
        FROM (
            SELECT generate_subscripts(documents, 1) AS place, unnest(documents) ->> 'name' AS name,
                unnest(documents) ->> 'version' AS version
        ) AS n
        WHERE n.name IS NOT NULL AND n.version IS NOT NULL
    ) AS d
    WHERE d.documents > 1
    UNION ALL
    -- Published: a consumer may rely on it.
    SELECT d.place, '/' || key, format('the version is %s, and its %s differs from the one stored', status, key),
        'A published version does not change: give the changed contract a new version, or overwrite this one.'
    FROM (
        SELECT unnest(stored) ->> 'status' AS status, unnest(changes) AS changed,
            generate_subscripts(changes, 1) AS place
    ) AS d,
        jsonb_array_elements_text(changed) AS key
    WHERE status IN ('active', 'deprecated', 'retired') AND NOT overwrite
    UNION ALL
    SELECT d.place, '/ownership/resource_id', format('another contract has the resource_id "%s"', d.resource_id),
        'Choose another resource_id, or leave it out.'
    FROM (
        SELECT document #>> '{ownership,resource_id}' AS resource_id, document, was, n.place
        FROM (
            SELECT unnest(documents) AS document, unnest(stored) AS was, generate_subscripts(documents, 1) AS place
        ) AS n
    ) AS d
    JOIN ownership AS o ON o.resource_id = d.resource_id
    WHERE d.resource_id IS DISTINCT FROM was #>> '{ownership,resource_id}'
    UNION ALL
    SELECT d.place, '/dependencies', format('the contract depends on the feed that it serves, "%s"', feed),
        'Leave the feed out of dependencies, or name another data_feed.'
    FROM (
        SELECT unnest(documents) AS document, unnest(stored) AS was, generate_subscripts(documents, 1) AS place
    ) AS d,
        item_name(coalesce(document -> 'data_feed', was -> 'data_feed', document -> 'name')) AS feed,
        coalesce(document -> 'dependencies', was -> 'dependencies') AS feeds
    WHERE feeds ? feed OR feeds @> jsonb_build_array(jsonb_build_object('name', feed))
    UNION ALL
    SELECT d.place, '/dependencies', format('depends on "%s" as both required and optional', item_name(item)),
        'Name each feed once.'
    FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS d,
        list_items(document -> 'dependencies') AS item
    WHERE document @? '$.dependencies[*].dependency_type'
    GROUP BY d.place, item_name(item)
    HAVING count(DISTINCT coalesce(item ->> 'dependency_type', 'required')) > 1;
END;

COMMENT ON FUNCTION refusals(jsonb[], jsonb[], jsonb[], boolean, boolean) IS
    'Which of these documents cannot be loaded, and why: place in the array, JSON Pointer, reason, remedy. Takes what '
    'is stored of their contracts and, as arrays, the keys in which the documents differ from that.';

CREATE FUNCTION refuse_contradiction(kind text, name text) RETURNS jsonb
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    RAISE EXCEPTION 'the documents contradict one another on the % "%"', kind, name
        USING HINT = 'Describe it once, or the same everywhere.';
END
$$;

COMMENT ON FUNCTION refuse_contradiction(text, text) IS 'Says that an entity is described in two ways at once.';

CREATE FUNCTION mentioned_entities(documents jsonb[], kinds text[])
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

COMMENT ON FUNCTION mentioned_entities(jsonb[], text[]) IS
    'The entities of these kinds that documents name, once each, with the attributes that any of them gives.';

CREATE FUNCTION load_entities(documents jsonb[]) RETURNS TABLE (table_name text, entity text, outcome text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    domain_rows jsonb;
    new_domains text[];
    changed_domains text[] := '{}';
BEGIN
    -- Inserted only where missing, in the order of their names: no dead rows, no deadlock.
    RETURN QUERY
    WITH mentioned AS MATERIALIZED (
        SELECT m.kind, m.name, m.attributes AS a
        FROM mentioned_entities(documents, '{system,business owner,team}') AS m
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

    -- Domains last, in two statements: a parent must be there before its children can name it.
    SELECT coalesce(jsonb_object_agg(m.name, m.attributes), '{}') INTO domain_rows
    FROM mentioned_entities(documents, '{domain}') AS m;
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

COMMENT ON FUNCTION load_entities(jsonb[]) IS
    'Step 1 of the Migration Path: creates or completes the systems, business owners, teams and domains that the '
    'documents name. One row an entity: inserted, updated or unchanged.';

CREATE FUNCTION load_data_feeds(documents jsonb[]) RETURNS TABLE (table_name text, entity text, outcome text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN QUERY
    WITH mentioned AS MATERIALIZED (
        SELECT m.name, m.attributes AS a FROM mentioned_entities(documents, '{data feed}') AS m
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

COMMENT ON FUNCTION load_data_feeds(jsonb[]) IS
    'Step 2 of the Migration Path: creates or completes the data feeds that the documents describe or depend on. '
    'One row a feed: inserted, updated or unchanged.';

CREATE FUNCTION load_contracts(documents jsonb[])
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

COMMENT ON FUNCTION load_contracts(jsonb[]) IS
    'Step 3 of the Migration Path: creates or changes the contracts of the documents, with their components. What '
    'they name must be there (steps 1 and 2), and the documents be accepted: load_documents sees to both.';

CREATE FUNCTION load_relations(documents jsonb[])
RETURNS TABLE (table_name text, inserted bigint, updated bigint, deleted bigint)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    contract_ids uuid[];
BEGIN
    SELECT array_agg(c.id ORDER BY place) INTO contract_ids
    FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS d
    LEFT JOIN data_contracts AS c ON c.name = document ->> 'name' AND c.version = document ->> 'version';

    updated := 0;
    deleted := 0;

    -- EXCEPT, and no ON CONFLICT: what is there already is read once a contract, not tried once a row.
    INSERT INTO data_contract_system_pulls (data_contract_id, system_id)
    SELECT d.id, e.id
    FROM (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d,
        list_items(document -> 'pulls_from') AS item
        JOIN systems AS e ON e.name = item_name(item)
    EXCEPT
    SELECT data_contract_id, system_id FROM data_contract_system_pulls
    WHERE data_contract_id = ANY (contract_ids);
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'data_contract_system_pulls';
    RETURN NEXT;

    INSERT INTO data_contract_system_pushes (data_contract_id, system_id)
    SELECT d.id, e.id
    FROM (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d,
        list_items(document -> 'pushes_to') AS item
        JOIN systems AS e ON e.name = item_name(item)
    EXCEPT
    SELECT data_contract_id, system_id FROM data_contract_system_pushes
    WHERE data_contract_id = ANY (contract_ids);
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'data_contract_system_pushes';
    RETURN NEXT;

    INSERT INTO data_contract_system_sources (data_contract_id, system_id)
    SELECT d.id, e.id
    FROM (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d,
        list_items(document -> 'system_sources') AS item
        JOIN systems AS e ON e.name = item_name(item)
    EXCEPT
    SELECT data_contract_id, system_id FROM data_contract_system_sources
    WHERE data_contract_id = ANY (contract_ids);
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'data_contract_system_sources';
    RETURN NEXT;

    INSERT INTO data_contract_business_owners (data_contract_id, business_owner_id, role)
    SELECT d.id, e.id, coalesce(item ->> 'role', 'business_owner')
    FROM (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d,
        list_items(document -> 'business_owners') AS item
        JOIN business_owners AS e ON e.name = item_name(item)
    EXCEPT
    SELECT data_contract_id, business_owner_id, role FROM data_contract_business_owners
    WHERE data_contract_id = ANY (contract_ids);
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'data_contract_business_owners';
    RETURN NEXT;

    INSERT INTO data_contract_team_access (data_contract_id, team_id, permission)
    SELECT d.id, e.id, permission
    FROM (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d,
        unnest('{read,write}'::text[]) AS permission, list_items(document -> 'team_access' -> permission) AS item
        JOIN teams AS e ON e.name = item_name(item)
    EXCEPT
    SELECT data_contract_id, team_id, permission FROM data_contract_team_access
    WHERE data_contract_id = ANY (contract_ids);
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'data_contract_team_access';
    RETURN NEXT;

    INSERT INTO data_feed_dependencies (data_contract_id, data_feed_id, dependency_feed_id, dependency_type)
    SELECT c.id, c.data_feed_id, e.id, coalesce(item ->> 'dependency_type', 'required')
    FROM (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d
    JOIN data_contracts AS c ON c.id = d.id,
        list_items(document -> 'dependencies') AS item
        JOIN data_feeds AS e ON e.name = item_name(item)
    EXCEPT
    SELECT data_contract_id, data_feed_id, dependency_feed_id, dependency_type FROM data_feed_dependencies
    WHERE data_contract_id = ANY (contract_ids);
    GET DIAGNOSTICS inserted = ROW_COUNT;
    table_name := 'data_feed_dependencies';
    RETURN NEXT;
END
$$;

COMMENT ON FUNCTION load_relations(jsonb[]) IS
    'Step 4 of the Migration Path: links the contracts of the documents to systems, owners, teams and feeds.';

CREATE FUNCTION revise_relations(documents jsonb[])
RETURNS TABLE (table_name text, inserted bigint, updated bigint, deleted bigint)
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    contract_ids uuid[];
BEGIN
    SELECT array_agg(c.id ORDER BY place) INTO contract_ids
    FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS d
    JOIN data_contracts AS c ON c.name = document ->> 'name' AND c.version = document ->> 'version';
    inserted := 0;
    updated := 0;

    DELETE FROM data_contract_system_pulls AS l
    USING (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d
    WHERE document ? 'pulls_from' AND l.data_contract_id = d.id AND NOT EXISTS (
        SELECT FROM systems AS e, list_items(document -> 'pulls_from') AS item
        WHERE e.id = l.system_id AND e.name = item_name(item));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    table_name := 'data_contract_system_pulls';
    RETURN NEXT;

    DELETE FROM data_contract_system_pushes AS l
    USING (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d
    WHERE document ? 'pushes_to' AND l.data_contract_id = d.id AND NOT EXISTS (
        SELECT FROM systems AS e, list_items(document -> 'pushes_to') AS item
        WHERE e.id = l.system_id AND e.name = item_name(item));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    table_name := 'data_contract_system_pushes';
    RETURN NEXT;

    DELETE FROM data_contract_system_sources AS l
    USING (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d
    WHERE document ? 'system_sources' AND l.data_contract_id = d.id AND NOT EXISTS (
        SELECT FROM systems AS e, list_items(document -> 'system_sources') AS item
        WHERE e.id = l.system_id AND e.name = item_name(item));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    table_name := 'data_contract_system_sources';
    RETURN NEXT;

    DELETE FROM data_contract_business_owners AS l
    USING (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d
    WHERE document ? 'business_owners' AND l.data_contract_id = d.id AND NOT EXISTS (
        SELECT FROM business_owners AS e, list_items(document -> 'business_owners') AS item
        WHERE e.id = l.business_owner_id AND e.name = item_name(item)
            AND l.role = coalesce(item ->> 'role', 'business_owner'));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    table_name := 'data_contract_business_owners';
    RETURN NEXT;

    DELETE FROM data_contract_team_access AS l
    USING (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d
    -- A permission that the document does not speak of stays as it is.
    WHERE l.data_contract_id = d.id
        AND (document -> 'team_access' ? l.permission OR jsonb_typeof(document -> 'team_access') = 'null')
        AND NOT EXISTS (
            SELECT FROM teams AS e, list_items(document -> 'team_access' -> l.permission) AS item
            WHERE e.id = l.team_id AND e.name = item_name(item));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    table_name := 'data_contract_team_access';
    RETURN NEXT;

    DELETE FROM data_feed_dependencies AS l
    USING (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d
    WHERE document ? 'dependencies' AND l.data_contract_id = d.id AND NOT EXISTS (
        SELECT FROM data_feeds AS e, list_items(document -> 'dependencies') AS item
        WHERE e.id = l.dependency_feed_id AND e.name = item_name(item));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    UPDATE data_feed_dependencies AS l SET dependency_type = coalesce(item ->> 'dependency_type', 'required')
    FROM (SELECT unnest(documents) AS document, unnest(contract_ids) AS id) AS d,
        list_items(document -> 'dependencies') AS item
        JOIN data_feeds AS e ON e.name = item_name(item)
    WHERE l.data_contract_id = d.id AND l.dependency_feed_id = e.id
        AND l.dependency_type <> coalesce(item ->> 'dependency_type', 'required');
    GET DIAGNOSTICS updated = ROW_COUNT;
    table_name := 'data_feed_dependencies';
    RETURN NEXT;
END
$$;

COMMENT ON FUNCTION revise_relations(jsonb[]) IS
    'Before the four steps: removes the links of existing contracts that their documents no longer name, and changes '
    'the type of those dependencies that stay.';

CREATE FUNCTION compare_documents(
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

COMMENT ON FUNCTION compare_documents(jsonb[], boolean, boolean) IS
    'Of each document, in the same order, what is stored of its contract version (null where there is none), and an '
    'array of the keys in which the two differ; and the refusals, each with the place of its document.';

CREATE FUNCTION compare_entities(documents jsonb[])
RETURNS TABLE (table_name text, name text, outcome text, changes jsonb, served boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT replace(m.kind, ' ', '_') || 's', m.name,
        CASE WHEN m.stored IS NULL THEN 'inserted' WHEN c.changes <> '{}' THEN 'updated' ELSE 'unchanged' END,
        c.changes,
        m.kind = 'data feed' AND m.name = ANY (ARRAY(
            SELECT item_name(d -> 'data_feed') FROM unnest(documents) AS d WHERE d ? 'name' AND d ? 'data_feed'))
    FROM (
        SELECT e.kind, e.name, e.attributes, CASE e.kind
            WHEN 'system' THEN (SELECT to_jsonb(t) FROM systems AS t WHERE t.name = e.name)
            WHEN 'data feed' THEN (SELECT to_jsonb(t) FROM data_feeds AS t WHERE t.name = e.name)
            WHEN 'business owner' THEN (SELECT to_jsonb(t) FROM business_owners AS t WHERE t.name = e.name)
            WHEN 'team' THEN (SELECT to_jsonb(t) FROM teams AS t WHERE t.name = e.name)
            WHEN 'domain' THEN (
                SELECT to_jsonb(t) || jsonb_build_object('parent_domain', p.name)
                FROM domains AS t LEFT JOIN domains AS p ON p.id = t.parent_domain_id WHERE t.name = e.name)
        END AS stored
        FROM mentioned_entities(documents, '{system,data feed,business owner,team,domain}') AS e
    ) AS m
    CROSS JOIN LATERAL (
        SELECT coalesce(jsonb_object_agg(a.key, jsonb_build_object('old', m.stored -> a.key, 'new', a.value)), '{}')
            AS changes
        FROM jsonb_each(m.attributes) AS a (key, value) WHERE a.value IS DISTINCT FROM m.stored -> a.key
    ) AS c;
END;

COMMENT ON FUNCTION compare_entities(jsonb[]) IS
    'What a load of the documents would do to each entity that they name: inserted, updated or unchanged, and per '
    'attribute the old and the new value. served: one of the documents is of the contract that serves the data feed.';

-- The settings, which hold for all that it calls: one plan, whatever the tables held when a connection first used it.
-- Everything is looked up by key; a plan made while the tables were empty would scan them for every batch once they
-- are full.
CREATE FUNCTION load_documents(
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

COMMENT ON FUNCTION load_documents(jsonb[], boolean, boolean, bytea[], uuid[], jsonb[]) IS
    'Loads contract documents, one a contract version, in the four steps of the Migration Path, and reports: '
    'documents and rows of each table inserted, updated, unchanged (and rows deleted), the names of the entities that '
    'were, and refusals, each with the place of its document in the array. A refused document is left out; the '
    'caller decides whether to roll back. '
    'shape_checked: the caller has held the documents to contract-document.schema.json already. overwrite: published '
    'versions may change. digests: of each document, for known_contracts. known: contract versions that '
    'known_contracts found, to be counted as unchanged. mentions: documents of which only the entities count, such '
    'as those of the known ones.';

CREATE FUNCTION refuse_what_triggers_would(entities jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    refused text;
BEGIN
    SELECT e ->> 'name' INTO refused FROM jsonb_array_elements(entities) AS e
    WHERE contains_credential(e #> '{changes,connection_info,new}') LIMIT 1;
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION 'connection_info of system "%" holds a credential', refused
            USING HINT = 'Store where the secret is kept instead, e.g. {"password": "env:REPLICA_PASSWORD"}.';
    END IF;
    WITH RECURSIVE said AS (
        SELECT (e ->> 'name') COLLATE "C" AS name, (e #>> '{changes,parent_domain,new}') COLLATE "C" AS parent
        FROM jsonb_array_elements(entities) AS e
        WHERE e ->> 'table_name' = 'domains' AND e #> '{changes,parent_domain}' IS NOT NULL
    ),
    above AS (
        SELECT s.name, s.parent AS ancestor FROM said AS s
        UNION
        SELECT a.name, coalesce(s.parent, p.name)
        FROM above AS a
        LEFT JOIN said AS s ON s.name = a.ancestor
        LEFT JOIN domains AS d ON d.name = a.ancestor
        LEFT JOIN domains AS p ON p.id = d.parent_domain_id
        WHERE coalesce(s.parent, p.name) IS NOT NULL
    )
    SELECT a.name INTO refused FROM above AS a WHERE a.name = a.ancestor LIMIT 1;
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION 'domain "%" would be its own ancestor', refused
            USING HINT = 'Choose a parent domain that does not lie within "' || refused || '".';
    END IF;
END
$$;

COMMENT ON FUNCTION refuse_what_triggers_would(jsonb) IS
    'Raises what a load would meet in the triggers of systems and domains. Takes rows of compare_entities.';

CREATE FUNCTION plan_documents(
    documents jsonb[], shape_checked boolean DEFAULT false, overwrite boolean DEFAULT false,
    mentions jsonb[] DEFAULT '{}'
) RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = 'force_generic_plan'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    stored jsonb[];
    changes jsonb[];
    refused jsonb;
    contracts jsonb;
    accepted jsonb[];
    entities jsonb;
BEGIN
    SELECT c.stored, c.changes, c.refused INTO stored, changes, refused
    FROM compare_documents(documents, shape_checked, overwrite) AS c;

    SELECT coalesce(jsonb_agg(jsonb_build_object(
            'document', d.place - 1,
            'outcome', CASE
                WHEN changed IS NULL THEN 'inserted' WHEN changed = '[]' THEN 'unchanged' ELSE 'updated' END,
            'changes', (
                SELECT jsonb_object_agg(key, jsonb_build_object(
                    'old', comparable(key, was -> key),
                    'new', comparable_after(key, was -> key, document -> key)))
                FROM jsonb_array_elements_text(changed) AS key)) ORDER BY place), '[]'),
        array_agg(CASE
            WHEN changed IS NULL AND NOT document ? 'data_feed'
                THEN document || jsonb_build_object('data_feed', document -> 'name')
            ELSE document
        END ORDER BY place)
    INTO contracts, accepted
    FROM (
        SELECT unnest(documents) AS document, unnest(stored) AS was, unnest(changes) AS changed,
            generate_subscripts(documents, 1) AS place
    ) AS d
    WHERE refused = '[]' OR place - 1 NOT IN (
        SELECT (refusal -> 'document')::integer FROM jsonb_array_elements(refused) AS refusal);

    SELECT coalesce(jsonb_agg(to_jsonb(e)), '[]') INTO entities FROM compare_entities(accepted || mentions) AS e;
    PERFORM refuse_what_triggers_would(entities);
    RETURN jsonb_build_object('contracts', contracts, 'entities', entities, 'refusals', refused);
END
$$;

COMMENT ON FUNCTION plan_documents(jsonb[], boolean, boolean, jsonb[]) IS
    'What load_documents would do with the same arguments, without doing it: of each contract version and each entity '
    'inserted, updated (what, old and new) or unchanged, and refusals. Writes nothing: works in a READ ONLY '
    'transaction.';

CREATE FUNCTION register_contract(document jsonb) RETURNS uuid
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    refusal jsonb := load_documents(ARRAY[document]) #> '{refusals,0}';
BEGIN
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION '%', refusal ->> 'reason'
            USING DETAIL = format(
                      'At %s of the contract document.', coalesce(nullif(refusal ->> 'pointer', ''), 'the top')),
                  HINT = refusal ->> 'remedy';
    END IF;
    RETURN (
        SELECT c.id FROM data_contracts AS c
        WHERE c.name = document ->> 'name' AND c.version = document ->> 'version');
END
$$;

COMMENT ON FUNCTION register_contract(jsonb) IS
    'Loads one contract document and returns the id of its contract version; raises where the document is refused.';
