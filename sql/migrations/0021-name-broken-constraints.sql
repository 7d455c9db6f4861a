-- depends: 0020-create-lifecycle-functions
-- Whatever is refused says which constraint it would break, so that a program can tell one reason from another.

SELECT refuse_dependents('refusals(jsonb[], jsonb[], jsonb[], boolean, boolean)');
-- Made anew below: what it returns has a further column.
-- squawk-ignore ban-drop-function
DROP FUNCTION refusals(jsonb[], jsonb[], jsonb[], boolean, boolean);

CREATE FUNCTION refusals(
    documents jsonb[], stored jsonb[], changes jsonb[], shape_checked boolean, overwrite boolean)
RETURNS TABLE (place integer, pointer text, reason text, remedy text, constraint_name text)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    any_stored boolean;
    any_without_schema boolean;
    any_parent_domain boolean;
    any_resource_id boolean;
    any_dependency boolean;
BEGIN
    -- Each rule is looked at only where a document can break it: to start a query of all of them costs more than what a
    -- single document does. Arrays are unnested in a SELECT list throughout: there they stream, in FROM they are copied
    -- to a tuple store.
    SELECT bool_or(was IS NOT NULL),
        bool_or(was IS NULL AND NOT document ? 'schema'),
        bool_or(jsonb_typeof(document #> '{domain,parent_domain}') IN ('string', 'object')),
        bool_or(document #> '{ownership,resource_id}' IS NOT NULL),
        bool_or(document ? 'dependencies' OR was ? 'dependencies')
    INTO any_stored, any_without_schema, any_parent_domain, any_resource_id, any_dependency
    FROM (SELECT unnest(documents) AS document, unnest(stored) AS was) AS d;

    IF NOT shape_checked THEN
        RETURN QUERY
        SELECT d.place, found.pointer, found.reason, found.remedy, NULL
        FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS d,
            check_document(document) AS found;
    END IF;
    IF any_parent_domain THEN
        RETURN QUERY
        WITH RECURSIVE said_domain AS (
            SELECT d.place, document -> 'domain' AS item
            FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS d
            WHERE jsonb_typeof(document #> '{domain,parent_domain}') IN ('string', 'object')
            UNION ALL
            SELECT s.place, item -> 'parent_domain' FROM said_domain AS s
            WHERE jsonb_typeof(item #> '{parent_domain,parent_domain}') IN ('string', 'object')
        ),
        said_parent AS (
            SELECT s.place, item_name(item) COLLATE "C" AS name,
                item_name(item -> 'parent_domain') COLLATE "C" AS parent
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
            'Choose a parent_domain that does not lie within it.',
            'domains_parent_domain_id_check'
        FROM said_parent AS s JOIN above AS a ON a.name = s.name AND a.ancestor = s.name;
    END IF;
    IF any_without_schema THEN
        RETURN QUERY
        SELECT d.place, '/schema', 'the contract is new and its document has no schema',
            'Add its JSON Schema under the key schema.', NULL
        FROM (
            SELECT unnest(documents) AS document, unnest(stored) AS was, generate_subscripts(documents, 1) AS place
        ) AS d
        WHERE was IS NULL AND jsonb_typeof(document) = 'object' AND NOT document ? 'schema';
    END IF;
    IF cardinality(documents) > 1 THEN
        RETURN QUERY
        SELECT d.place, '', 'another document of the same call is of the same contract version',
            'Merge the two, or leave one of them out.', NULL
        FROM (
            SELECT n.place, count(*) OVER (PARTITION BY n.name, n.version) AS documents
            FROM (
                SELECT generate_subscripts(documents, 1) AS place, unnest(documents) ->> 'name' AS name,
                    unnest(documents) ->> 'version' AS version
            ) AS n
            WHERE n.name IS NOT NULL AND n.version IS NOT NULL
        ) AS d
        WHERE d.documents > 1;
    END IF;
    -- Published: a consumer may rely on it.
    IF any_stored AND NOT overwrite THEN
        RETURN QUERY
        SELECT d.place, '/metadata/namespace', format(
                'the contract of this name is of namespace %s, not %s', was #>> '{metadata,namespace}',
                document #>> '{metadata,namespace}'),
            'Load it with --prefix-namespace, which names a contract <namespace>.<name>.', NULL
        FROM (
            SELECT unnest(documents) AS document, unnest(stored) AS was, generate_subscripts(documents, 1) AS place
        ) AS d
        WHERE was #>> '{metadata,namespace}' <> document #>> '{metadata,namespace}'
        UNION ALL
        SELECT d.place, '/' || key, format('the version is %s, and its %s differs from the one stored', status, key),
            'A published version does not change: give the changed contract a new version, or overwrite this one.',
            'data_contracts_seal'
        FROM (
            SELECT unnest(stored) ->> 'status' AS status, unnest(changes) AS changed,
                generate_subscripts(changes, 1) AS place
        ) AS d,
            jsonb_array_elements_text(changed) AS key
        WHERE status IN ('active', 'deprecated', 'retired');
    END IF;
    IF any_resource_id THEN
        RETURN QUERY
        SELECT d.place, '/ownership/resource_id', format('another contract has the resource_id "%s"', d.resource_id),
            'Choose another resource_id, or leave it out.', 'ownership_pkey'
        FROM (
            SELECT document #>> '{ownership,resource_id}' AS resource_id, document, was, n.place
            FROM (
                SELECT unnest(documents) AS document, unnest(stored) AS was, generate_subscripts(documents, 1) AS place
            ) AS n
        ) AS d
        JOIN ownership AS o ON o.resource_id = d.resource_id
        WHERE d.resource_id IS DISTINCT FROM was #>> '{ownership,resource_id}';
    END IF;
    IF any_dependency THEN
        RETURN QUERY
        SELECT d.place, '/dependencies', format('the contract depends on the feed that it serves, "%s"', feed),
            'Leave the feed out of dependencies, or name another data_feed.',
            'data_feed_dependencies_data_feed_id_dependency_feed_id_check'
        FROM (
            SELECT unnest(documents) AS document, unnest(stored) AS was, generate_subscripts(documents, 1) AS place
        ) AS d,
            item_name(coalesce(document -> 'data_feed', was -> 'data_feed', document -> 'name')) AS feed,
            coalesce(document -> 'dependencies', was -> 'dependencies') AS feeds
        WHERE feeds ? feed OR feeds @> jsonb_build_array(jsonb_build_object('name', feed))
        UNION ALL
        SELECT d.place, '/dependencies', format('depends on "%s" as both required and optional', item_name(item)),
            'Name each feed once.', 'data_feed_dependencies_pkey'
        FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS d,
            list_items(document -> 'dependencies') AS item
        WHERE document @? '$.dependencies[*].dependency_type'
        GROUP BY d.place, item_name(item)
        HAVING count(DISTINCT coalesce(item ->> 'dependency_type', 'required')) > 1;
    END IF;
END
$$;

COMMENT ON FUNCTION refusals(jsonb[], jsonb[], jsonb[], boolean, boolean) IS
    'Which of these documents cannot be loaded, and why: place in the array, JSON Pointer, reason, remedy, and the '
    'constraint that it would break, if any. Takes what is stored of their contracts and, as arrays, the keys in which '
    'the documents differ from that.';

CREATE OR REPLACE FUNCTION compare_documents(
    documents jsonb[], shape_checked boolean, overwrite boolean,
    OUT stored jsonb[], OUT changes jsonb[], OUT refused jsonb
)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM (SELECT unnest(documents) AS document) AS d
        JOIN data_contracts AS c ON c.name = document ->> 'name' AND c.version = document ->> 'version'
    ) THEN
        -- A first load, mostly.
        stored := array_fill(NULL::jsonb, ARRAY[coalesce(cardinality(documents), 0)]);
        changes := stored;
    ELSE
        SELECT array_agg(was ORDER BY place), array_agg(changed ORDER BY place) INTO stored, changes
        FROM (
            SELECT place, was, CASE WHEN was IS NOT NULL THEN changed_keys(was, document) END AS changed
            FROM (
                SELECT place, document, (
                    SELECT c.document FROM contract_documents AS c
                    WHERE c.name = numbered.document ->> 'name' AND c.version = numbered.document ->> 'version') AS was
                FROM (SELECT unnest(documents) AS document, generate_subscripts(documents, 1) AS place) AS numbered
                OFFSET 0 -- so that each stored document is made once
            ) AS d
            OFFSET 0 -- so that sorting by place need not copy the documents
        ) AS d;
    END IF;

    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'document', r.place - 1, 'pointer', r.pointer, 'reason', r.reason, 'remedy', r.remedy,
        'constraint', r.constraint_name)
        ORDER BY r.place, r.pointer, r.reason), '[]')
    INTO refused FROM refusals(documents, stored, changes, shape_checked, overwrite) AS r;
END
$$;

CREATE OR REPLACE FUNCTION refuse_what_triggers_would(entities jsonb) RETURNS void
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
            USING CONSTRAINT = 'systems_connection_info_credential_check',
                  HINT = 'Store where the secret is kept instead, e.g. {"password": "env:REPLICA_PASSWORD"}.';
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
            USING CONSTRAINT = 'domains_parent_domain_id_check',
                  HINT = 'Choose a parent domain that does not lie within "' || refused || '".';
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION register_contract(document jsonb) RETURNS uuid
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
                  HINT = refusal ->> 'remedy',
                  CONSTRAINT = coalesce(refusal ->> 'constraint', '');
    END IF;
    RETURN (
        SELECT c.id FROM data_contracts AS c
        WHERE c.name = document ->> 'name' AND c.version = document ->> 'version');
END
$$;

CREATE OR REPLACE FUNCTION rename_entity(entities regclass, kind text, old_name text, new_name text) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    taken boolean;
    renamed bigint;
BEGIN
    -- As a load does: one after the other.
    PERFORM wait_for_turn();
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE name = $1)', entities) INTO taken USING new_name;
    IF taken AND new_name <> old_name THEN
        RAISE EXCEPTION 'there is a % "%" already', kind, new_name
            USING ERRCODE = 'unique_violation', CONSTRAINT = entities::text || '_name_key',
                  HINT = format('To make the two one: SELECT merge_%s(%L, %L).',
                                replace(kind, ' ', '_'), old_name, new_name);
    END IF;
    EXECUTE format('UPDATE %s SET name = $2 WHERE name = $1', entities) USING old_name, new_name;
    GET DIAGNOSTICS renamed = ROW_COUNT;
    IF renamed = 0 THEN
        RAISE EXCEPTION 'there is no % "%"', kind, old_name
            USING ERRCODE = 'no_data_found', HINT = format('Names are exact: SELECT name FROM %s.', entities);
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION merge_data_feed(from_name text, into_name text) RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    ids uuid[] := entities_to_merge('data_feeds', 'data feed', from_name, into_name);
    overwriting text := coalesce(current_setting('pycharter_sql.overwrite', true), '');
    moved bigint := 0;
    rows_moved bigint;
    depending text;
BEGIN
    PERFORM set_config('pycharter_sql.overwrite', 'yes', true);
    SELECT c.name INTO depending FROM data_contracts AS c
    JOIN data_feed_dependencies AS l ON l.data_contract_id = c.id
    WHERE (c.data_feed_id, l.dependency_feed_id) IN ((ids[1], ids[2]), (ids[2], ids[1]))
    ORDER BY c.name LIMIT 1;
    IF depending IS NOT NULL THEN
        RAISE EXCEPTION 'contract "%" serves one of the two and depends on the other', depending
            USING ERRCODE = 'restrict_violation',
                  CONSTRAINT = 'data_feed_dependencies_data_feed_id_dependency_feed_id_check',
                  HINT = 'Remove that dependency first: no contract depends on its own feed.';
    END IF;
    -- Required by either name, required.
    UPDATE data_feed_dependencies AS l SET dependency_type = 'required'
    FROM data_feed_dependencies AS other
    WHERE l.dependency_feed_id = ids[2] AND l.dependency_type = 'optional'
        AND other.dependency_feed_id = ids[1] AND other.dependency_type = 'required'
        AND other.data_contract_id = l.data_contract_id;
    INSERT INTO data_feed_dependencies (data_contract_id, dependency_feed_id, dependency_type, created_at, created_by)
    SELECT data_contract_id, ids[2], dependency_type, created_at, created_by
    FROM data_feed_dependencies WHERE dependency_feed_id = ids[1]
    ON CONFLICT DO NOTHING;
    DELETE FROM data_feed_dependencies WHERE dependency_feed_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    UPDATE data_contracts SET data_feed_id = ids[2] WHERE data_feed_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    PERFORM set_config('pycharter_sql.overwrite', overwriting, true);

    UPDATE data_feeds AS kept SET
        title = coalesce(kept.title, gone.title),
        description = coalesce(kept.description, gone.description),
        feed_type = coalesce(kept.feed_type, gone.feed_type)
    FROM data_feeds AS gone WHERE kept.id = ids[2] AND gone.id = ids[1];
    DELETE FROM data_feeds WHERE id = ids[1];
    RETURN moved;
END
$$;

SELECT apply_access();
