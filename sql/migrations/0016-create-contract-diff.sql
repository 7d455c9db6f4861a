-- depends: 0015-create-search
-- What has changed between two versions of a contract: one row a change.

CREATE FUNCTION json_diff(
    old_value jsonb, new_value jsonb, sets text DEFAULT '/(enum|examples|required|type|dependentRequired/[^/]*)$'
) RETURNS TABLE (pointer text, kind text, before jsonb, after jsonb)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 20
BEGIN ATOMIC
    -- From the top down, and only into what differs. SQL's null stands for a value that is not there.
    WITH RECURSIVE node AS (
        SELECT '' AS pointer, '{}'::text[] COLLATE "C" AS place, old_value AS before, new_value AS after
        UNION ALL
        SELECT
            n.pointer || '/' || replace(replace(inner_value.key, '~', '~0'), '/', '~1'),
            n.place || inner_value.place, inner_value.before, inner_value.after
        FROM (
            SELECT pointer, place, before, after, CASE
                WHEN jsonb_typeof(before) IS DISTINCT FROM jsonb_typeof(after) THEN NULL
                WHEN jsonb_typeof(before) = 'object' THEN 'by key'
                WHEN jsonb_typeof(before) <> 'array' THEN NULL
                -- What stands within a value that a schema only cites is data, whatever its keys are called.
                WHEN pointer ~ sets AND pointer !~ '(?<!/properties)/(const|default|enum|examples)/' THEN 'as sets'
                ELSE 'by position'
            END AS compared
            FROM node
        ) AS n
        CROSS JOIN LATERAL (
            SELECT key, key COLLATE "C" AS place, b.value AS before, a.value AS after
            FROM jsonb_each(CASE n.compared WHEN 'by key' THEN n.before END) AS b
            FULL JOIN jsonb_each(CASE n.compared WHEN 'by key' THEN n.after END) AS a USING (key)
            UNION ALL
            SELECT (position - 1)::text, lpad(position::text, 10, '0'), b.value, a.value
            FROM jsonb_array_elements(CASE n.compared WHEN 'by position' THEN n.before END)
                WITH ORDINALITY AS b (value, position)
            FULL JOIN jsonb_array_elements(CASE n.compared WHEN 'by position' THEN n.after END)
                WITH ORDINALITY AS a (value, position) USING (position)
            UNION ALL
            SELECT '-', '-', b.value, a.value
            FROM (SELECT DISTINCT jsonb_array_elements(CASE n.compared WHEN 'as sets' THEN n.before END)) AS b (value)
            FULL JOIN (SELECT DISTINCT jsonb_array_elements(CASE n.compared WHEN 'as sets' THEN n.after END))
                AS a (value) ON a.value = b.value
        ) AS inner_value
        WHERE inner_value.before IS DISTINCT FROM inner_value.after
    )
    SELECT pointer, CASE WHEN before IS NULL THEN 'added' WHEN after IS NULL THEN 'removed' ELSE 'changed' END,
        before, after
    FROM node
    WHERE before IS DISTINCT FROM after
        -- Two objects, or two arrays, differ in what is in them.
        AND (jsonb_typeof(before) = jsonb_typeof(after) AND jsonb_typeof(after) IN ('array', 'object')) IS NOT TRUE
    ORDER BY place, after IS NULL DESC, before, after;
END;

COMMENT ON FUNCTION json_diff(jsonb, jsonb, text) IS
    'What makes one JSON value another, one row a change: a JSON Pointer (RFC 6901), added, removed or changed, the '
    'value before (null where added) and after (null where removed). Objects are compared key by key, arrays position '
    'by position; but arrays whose pointer matches the third argument, a regular expression, as sets: a member that '
    'was added or removed has - for its position, as in JSON Patch. Nothing else that the two say differs; numbers '
    'are compared by value. Sorted by place.';

CREATE FUNCTION contract_parts(contract_id uuid) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (
    SELECT jsonb_object_agg(key, CASE
        WHEN key IN ('data_feed', 'domain') THEN to_jsonb(item_name(value))
        WHEN key IN ('pulls_from', 'pushes_to', 'system_sources', 'team_access') THEN comparable(key, value)
        WHEN key = 'business_owners' THEN (
            SELECT coalesce(jsonb_agg(jsonb_build_object(
                'name', item_name(item), 'role', coalesce(item ->> 'role', 'business_owner'))), '[]')
            FROM list_items(value) AS item)
        WHEN key = 'dependencies' THEN (
            SELECT coalesce(jsonb_object_agg(
                item_name(item), coalesce(item ->> 'dependency_type', 'required')), '{}')
            FROM list_items(value) AS item)
        WHEN key IN ('coercion_rules', 'validation_rules', 'ownership') THEN (
            -- What is null is not there. Each version has a resource_id of its own: that says nothing.
            SELECT coalesce(jsonb_object_agg(i.key, i.value), '{}') FROM jsonb_each(value) AS i
            WHERE i.value <> 'null' AND i.key <> 'resource_id')
        ELSE value
    END)
    FROM jsonb_each(contract_document(contract_id))
    WHERE value <> 'null' AND key NOT IN ('name', 'version', 'created_by', 'updated_by')
);

COMMENT ON FUNCTION contract_parts(uuid) IS
    'A contract version as contract_diff compares it: its contract document without what is null, without who wrote '
    'it, and without the attributes of entities. business_owners are objects with name and role, dependencies one '
    'object: the dependency_type by feed. Null where there is no such version.';

CREATE FUNCTION contract_diff(name text, from_version text DEFAULT NULL, to_version text DEFAULT NULL)
RETURNS TABLE (part text, pointer text, kind text, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 20
SET search_path FROM CURRENT
AS $$
DECLARE
    latest data_contracts;
    compared data_contracts;
    reference data_contracts;
BEGIN
    SELECT c.* INTO latest FROM data_contracts AS c WHERE c.name = contract_diff.name
    ORDER BY c.version_sort_key DESC, c.version DESC LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no contract "%"', name
            USING ERRCODE = 'no_data_found', HINT = 'Names are exact: SELECT name FROM contract_latest.';
    END IF;

    SELECT c.* INTO compared FROM data_contracts AS c
    WHERE c.name = contract_diff.name
        AND CASE WHEN to_version IS NULL THEN c.status = 'active' ELSE c.version = to_version END
    ORDER BY c.version_sort_key DESC, c.version DESC LIMIT 1;
    IF NOT FOUND AND to_version IS NULL THEN
        RAISE EXCEPTION 'contract "%" has no active version; its latest is % (%)', name, latest.version, latest.status
            USING ERRCODE = 'no_data_found', HINT = 'Say which version you want, or make one active.';
    END IF;

    IF compared.id IS NOT NULL THEN
        SELECT c.* INTO reference FROM data_contracts AS c
        WHERE c.name = contract_diff.name AND CASE
            WHEN from_version IS NULL
                THEN (c.version_sort_key, c.version) < (compared.version_sort_key, compared.version)
            ELSE c.version = from_version
        END
        ORDER BY c.version_sort_key DESC, c.version DESC LIMIT 1;
        IF NOT FOUND AND from_version IS NULL THEN
            RAISE EXCEPTION 'contract "%" has no version before %', name, compared.version
                USING ERRCODE = 'no_data_found',
                      HINT = format('To see all of it: SELECT * FROM contract_full WHERE name = %L.', name);
        END IF;
    END IF;
    IF compared.id IS NULL OR reference.id IS NULL THEN
        RAISE EXCEPTION 'contract "%" has no version "%"; its latest is % (%)',
            name, CASE WHEN compared.id IS NULL THEN to_version ELSE from_version END, latest.version, latest.status
            USING ERRCODE = 'no_data_found',
                  HINT = format('See which there are: SELECT version FROM contract_full WHERE name = %L.', name);
    END IF;

    RETURN QUERY
    SELECT top.part, substr(d.pointer, length(top.part) + 2), d.kind, d.before, d.after
    FROM json_diff(
            contract_parts(reference.id), contract_parts(compared.id),
            '^/((pulls_from|pushes_to|system_sources|business_owners|team_access/[^/]*)$'
            '|schema/(.*/)?(enum|examples|required|type|dependentRequired/[^/]*)$'
            '|validation_rules/.*/allowed_values$|governance_rules/(.*/)?(fields|pii_fields|read|write)$)')
        WITH ORDINALITY AS d (pointer, kind, before, after, place)
    CROSS JOIN LATERAL split_part(d.pointer, '/', 2) AS top (part)
    ORDER BY
        top.part = 'metadata',
        array_position(
            ARRAY['status', 'description', 'is_data_feed', 'data_feed', 'domain', 'schema', 'coercion_rules',
                  'validation_rules', 'governance_rules', 'ownership', 'pulls_from', 'pushes_to', 'system_sources',
                  'business_owners', 'team_access', 'dependencies'], top.part),
        d.place;
END
$$;

COMMENT ON FUNCTION contract_diff(text, text, text) IS
    'What has changed from one version of a contract to another, one row a change: the part (a key of the contract '
    'document), the JSON Pointer (RFC 6901) within it, empty for the part as a whole, added, removed or changed, the '
    'value before (null where added) and after (null where removed). Relations and such arrays as required, enum and '
    'type are sets: a member has - for its position. Without from_version the version before the other, without '
    'to_version the current one. Sorted by part, metadata (what a load has kept of the source) last, then by place. '
    'Who wrote a version and when is no change. Raises no_data_found where there is no such contract or version.';

SELECT apply_access();
