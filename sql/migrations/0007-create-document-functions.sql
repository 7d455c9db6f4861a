-- depends: 0006-create-views
-- The contract document: the one JSON shape in which a contract enters and leaves the catalogue
-- (docs/contract-document.md).

CREATE FUNCTION item_name(item jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(item) WHEN 'object' THEN item ->> 'name' ELSE item #>> '{}' END;

COMMENT ON FUNCTION item_name(jsonb) IS
    'The name that an item of a relation gives: the item itself, or the name of an object {name, ...attributes}.';

CREATE FUNCTION list_items(list jsonb) RETURNS SETOF jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT jsonb_array_elements(CASE jsonb_typeof(list) WHEN 'array' THEN list END);
END;

COMMENT ON FUNCTION list_items(jsonb) IS 'The items of a relation; none where it is absent or null.';

CREATE FUNCTION domain_item(domain_id uuid) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH RECURSIVE ancestor AS (
        SELECT d.*, 1 AS height FROM domains AS d WHERE d.id = domain_id
        UNION ALL
        SELECT d.*, a.height + 1 FROM ancestor AS a JOIN domains AS d ON d.id = a.parent_domain_id
    ),
    -- From the top domain down, each wrapped around its parent.
    nested AS (
        SELECT max(height) + 1 AS height, NULL::jsonb AS item FROM ancestor
        UNION ALL
        SELECT a.height, CASE
            WHEN num_nonnulls(a.description, nullif(a.is_active, true), n.item) = 0 THEN to_jsonb(a.name)
            ELSE jsonb_strip_nulls(jsonb_build_object(
                'name', a.name, 'description', a.description, 'is_active', nullif(a.is_active, true),
                'parent_domain', n.item))
        END
        FROM nested AS n JOIN ancestor AS a ON a.height = n.height - 1
    )
    SELECT item FROM nested WHERE height = 1;
END;

COMMENT ON FUNCTION domain_item(uuid) IS
    'A domain, with the domains it lies within, as an item of a contract document.';

-- Items are bare names, or objects with those attributes that are not null.
CREATE VIEW contract_documents AS
SELECT
    c.id AS contract_id,
    c.name,
    c.version,
    jsonb_build_object(
        'name', c.name,
        'version', c.version,
        'status', c.status,
        'description', c.description,
        'is_data_feed', c.is_data_feed,
        'data_feed', (
            SELECT CASE
                WHEN num_nonnulls(f.title, f.description, f.feed_type, nullif(f.is_active, true)) = 0
                    THEN to_jsonb(f.name)
                ELSE jsonb_strip_nulls(jsonb_build_object(
                    'name', f.name, 'title', f.title, 'description', f.description, 'feed_type', f.feed_type,
                    'is_active', nullif(f.is_active, true)))
            END
            FROM data_feeds AS f WHERE f.id = c.data_feed_id),
        'domain', (
            SELECT CASE
                WHEN num_nonnulls(d.description, d.parent_domain_id, nullif(d.is_active, true)) = 0
                    THEN to_jsonb(d.name)
                ELSE domain_item(d.id)
            END
            FROM domains AS d WHERE d.id = c.domain_id),
        'schema', (
            -- The schema's version is a keyword of its own in it.
            SELECT CASE
                WHEN s.version IS NULL OR s.schema_data ->> 'version' = s.version THEN s.schema_data
                ELSE s.schema_data || jsonb_build_object('version', s.version)
            END
            FROM schemas AS s WHERE s.id = c.schema_id),
        'coercion_rules', (
            SELECT jsonb_build_object('version', r.version, 'rules', r.rules)
            FROM coercion_rules AS r WHERE r.id = c.coercion_rules_id),
        'validation_rules', (
            SELECT jsonb_build_object('version', r.version, 'rules', r.rules)
            FROM validation_rules AS r WHERE r.id = c.validation_rules_id),
        'governance_rules', (
            SELECT g.rule_definition FROM governance_rules AS g WHERE g.id = c.governance_rules_id),
        'metadata', (SELECT m.metadata_data FROM metadata_record AS m WHERE m.id = c.metadata_id),
        'ownership', (
            SELECT jsonb_build_object(
                'resource_id', o.resource_id, 'owner', o.owner, 'team', o.team, 'additional_info', o.additional_info)
            FROM ownership AS o WHERE o.resource_id = c.ownership_id),
        'pulls_from', systems.pulls_from,
        'pushes_to', systems.pushes_to,
        'system_sources', systems.system_sources,
        'business_owners', (
            SELECT coalesce(jsonb_agg(CASE
                WHEN num_nonnulls(nullif(l.role, 'business_owner'), b.description, b.contact_email, b.department,
                    nullif(b.is_active, true)) = 0 THEN to_jsonb(b.name)
                ELSE jsonb_strip_nulls(jsonb_build_object(
                    'name', b.name, 'role', nullif(l.role, 'business_owner'), 'description', b.description,
                    'contact_email', b.contact_email, 'department', b.department,
                    'is_active', nullif(b.is_active, true)))
            END ORDER BY b.name, l.role), '[]')
            FROM data_contract_business_owners AS l JOIN business_owners AS b ON b.id = l.business_owner_id
            WHERE l.data_contract_id = c.id),
        'team_access', (
            SELECT jsonb_build_object(
                'read', coalesce(jsonb_agg(item ORDER BY name) FILTER (WHERE permission = 'read'), '[]'),
                'write', coalesce(jsonb_agg(item ORDER BY name) FILTER (WHERE permission = 'write'), '[]'))
            FROM (
                SELECT l.permission, t.name, CASE
                    WHEN num_nonnulls(t.description, t.team_type, nullif(t.is_active, true)) = 0 THEN to_jsonb(t.name)
                    ELSE jsonb_strip_nulls(jsonb_build_object(
                        'name', t.name, 'description', t.description, 'team_type', t.team_type,
                        'is_active', nullif(t.is_active, true)))
                END AS item
                FROM data_contract_team_access AS l JOIN teams AS t ON t.id = l.team_id
                WHERE l.data_contract_id = c.id
            ) AS access),
        'dependencies', (
            SELECT coalesce(jsonb_agg(CASE
                WHEN num_nonnulls(nullif(l.dependency_type, 'required'), f.title, f.description, f.feed_type,
                    nullif(f.is_active, true)) = 0 THEN to_jsonb(f.name)
                ELSE jsonb_strip_nulls(jsonb_build_object(
                    'name', f.name, 'dependency_type', nullif(l.dependency_type, 'required'), 'title', f.title,
                    'description', f.description, 'feed_type', f.feed_type, 'is_active', nullif(f.is_active, true)))
            END ORDER BY f.name), '[]')
            FROM data_feed_dependencies AS l JOIN data_feeds AS f ON f.id = l.dependency_feed_id
            WHERE l.data_contract_id = c.id),
        'created_by', c.created_by,
        'updated_by', c.updated_by) AS document
FROM data_contracts AS c
CROSS JOIN LATERAL (
    SELECT
        coalesce(jsonb_agg(item ORDER BY name) FILTER (WHERE relation = 'pulls_from'), '[]') AS pulls_from,
        coalesce(jsonb_agg(item ORDER BY name) FILTER (WHERE relation = 'pushes_to'), '[]') AS pushes_to,
        coalesce(jsonb_agg(item ORDER BY name) FILTER (WHERE relation = 'system_sources'), '[]') AS system_sources
    FROM (
        SELECT l.relation, s.name, CASE
            WHEN num_nonnulls(s.description, s.system_type, s.connection_info, nullif(s.is_active, true)) = 0
                THEN to_jsonb(s.name)
            ELSE jsonb_strip_nulls(jsonb_build_object(
                    'name', s.name, 'description', s.description, 'system_type', s.system_type,
                    'is_active', nullif(s.is_active, true)))
                -- Added apart: a null inside it means something.
                || CASE WHEN s.connection_info IS NULL THEN '{}'
                    ELSE jsonb_build_object('connection_info', s.connection_info) END
        END AS item
        FROM (
            SELECT 'pulls_from' AS relation, system_id FROM data_contract_system_pulls WHERE data_contract_id = c.id
            UNION ALL
            SELECT 'pushes_to', system_id FROM data_contract_system_pushes WHERE data_contract_id = c.id
            UNION ALL
            SELECT 'system_sources', system_id FROM data_contract_system_sources WHERE data_contract_id = c.id
        ) AS l
        CROSS JOIN LATERAL (
            SELECT t.name, t.description, t.system_type, t.is_active,
                -- A view reads with its owner's rights; who may not read the column does not see it here either.
                CASE WHEN has_column_privilege('systems'::regclass, 'connection_info', 'SELECT')
                    THEN t.connection_info END AS connection_info
            FROM systems AS t WHERE t.id = l.system_id
        ) AS s
    ) AS link
) AS systems;

COMMENT ON VIEW contract_documents IS
    'One row a contract version, as its contract document (docs/contract-document.md): loading it changes nothing. '
    'connection_info is there for those who may read that column of systems.';
COMMENT ON COLUMN contract_documents.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_documents.name IS 'Contract name.';
COMMENT ON COLUMN contract_documents.version IS 'Contract version.';
COMMENT ON COLUMN contract_documents.document IS 'The contract document: a JSON object.';

CREATE FUNCTION contract_document(contract_id uuid) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT d.document FROM contract_documents AS d WHERE d.contract_id = contract_document.contract_id);

COMMENT ON FUNCTION contract_document(uuid) IS
    'The contract document of one contract version: loading it changes nothing. Null where there is no such version.';

CREATE FUNCTION comparable(key text, value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN key IN ('data_feed', 'domain') AND jsonb_typeof(value) <> 'null' THEN to_jsonb(item_name(value))
    WHEN key IN ('pulls_from', 'pushes_to', 'system_sources') THEN (
        SELECT coalesce(jsonb_agg(DISTINCT item_name(item)), '[]') FROM list_items(value) AS item)
    WHEN key = 'business_owners' THEN (
        SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(
            item_name(item), coalesce(item ->> 'role', 'business_owner'))), '[]')
        FROM list_items(value) AS item)
    WHEN key = 'dependencies' THEN (
        SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(
            item_name(item), coalesce(item ->> 'dependency_type', 'required'))), '[]')
        FROM list_items(value) AS item)
    WHEN key = 'team_access' THEN (
        SELECT coalesce(jsonb_object_agg(permission, (
            SELECT coalesce(jsonb_agg(DISTINCT item_name(item)), '[]')
            FROM list_items(value -> permission) AS item)), '{}')
        FROM unnest('{read,write}'::text[]) AS permission
        WHERE jsonb_typeof(value) = 'null' OR value ? permission)
    ELSE value
END;

COMMENT ON FUNCTION comparable(text, jsonb) IS
    'What a key of a contract document says of the contract itself, in a form that compares: relations as sorted '
    'sets of names, without the attributes of entities.';

CREATE FUNCTION comparable_after(key text, stored jsonb, said jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    -- What these leave out stays as it is.
    WHEN key IN ('ownership', 'coercion_rules', 'validation_rules', 'team_access') AND jsonb_typeof(said) = 'object'
        THEN coalesce(nullif(comparable(key, stored), 'null'), '{}') || comparable(key, said)
    ELSE comparable(key, said)
END;

COMMENT ON FUNCTION comparable_after(text, jsonb, jsonb) IS
    'What a key of a contract document would be after a load, given what is stored, in the form of comparable.';

CREATE FUNCTION changed_keys(stored jsonb, said jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT coalesce(jsonb_agg(key ORDER BY key), '[]')
    FROM jsonb_each(said)
    -- Most values are equal as they stand; only the others are worth a closer look.
    WHERE value <> stored -> key AND key NOT IN ('created_by', 'updated_by')
        AND comparable_after(key, stored -> key, value) <> comparable(key, stored -> key)
);

COMMENT ON FUNCTION changed_keys(jsonb, jsonb) IS
    'An array of the keys in which a contract document says something else than the document stored.';
