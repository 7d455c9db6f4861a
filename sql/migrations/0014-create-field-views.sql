-- depends: 0013-create-lineage
-- The fields that schemas describe: one row a property, wherever in a schema it stands.

CREATE FUNCTION subschemas(schema jsonb) RETURNS TABLE (keyword text, key text, step text, subschema jsonb)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT k.key, s.key, '/' || k.key || coalesce('/' || replace(replace(s.key, '~', '~0'), '/', '~1'), ''), s.value
    FROM jsonb_each(CASE jsonb_typeof(schema) WHEN 'object' THEN schema END) AS k
    CROSS JOIN LATERAL (
        SELECT m.key, m.value
        FROM jsonb_each(CASE
            WHEN k.key IN ('properties', 'patternProperties', 'dependentSchemas') AND jsonb_typeof(k.value) = 'object'
                THEN k.value
        END) AS m
        UNION ALL
        SELECT (l.place - 1)::text, l.value
        FROM jsonb_array_elements(CASE
            -- In drafts before 2020-12 a tuple's items are a list.
            WHEN k.key IN ('allOf', 'anyOf', 'oneOf', 'prefixItems', 'items') AND jsonb_typeof(k.value) = 'array'
                THEN k.value
        END) WITH ORDINALITY AS l (value, place)
        UNION ALL
        SELECT NULL, k.value
        WHERE k.key IN (
                'items', 'additionalItems', 'unevaluatedItems', 'additionalProperties', 'unevaluatedProperties',
                'then', 'else')
            AND jsonb_typeof(k.value) = 'object'
    ) AS s;
END;

COMMENT ON FUNCTION subschemas(jsonb) IS
    'The schemas right within a JSON Schema that describe what is allowed: keyword; key, the property''s name, a '
    'pattern or a number in a list (null where the keyword holds one schema); step, their JSON Pointer from here. '
    'Not those of if, not and contains, which only test; nor $defs, which count where a $ref names them.';

CREATE FUNCTION path_within(path text, keyword text, key text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN keyword = 'properties' THEN CASE path WHEN '' THEN key ELSE path || '.' || key END
    WHEN keyword IN ('prefixItems', 'items') AND key IS NOT NULL THEN path || '[' || key || ']'
    WHEN keyword IN ('items', 'additionalItems', 'unevaluatedItems') THEN path || '[]'
    WHEN keyword IN ('patternProperties', 'additionalProperties', 'unevaluatedProperties')
        THEN CASE path WHEN '' THEN '*' ELSE path || '.*' END
    ELSE path
END;

COMMENT ON FUNCTION path_within(text, text, text) IS
    'The path of what a subschema describes, from that of its schema: address.city, lines[].sku, point[0], prices.*.';

CREATE FUNCTION required_names(schema jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN schema ? 'allOf' THEN jsonb_path_query_array(schema, 'lax $.required[*]')
        || jsonb_path_query_array(schema, 'lax $.allOf[*].required[*]')
    ELSE '[]' || coalesce(schema -> 'required', '[]')
END;

COMMENT ON FUNCTION required_names(jsonb) IS
    'An array of the properties that a schema, or a part of its allOf, requires.';

CREATE FUNCTION reference_path(reference text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN reference = '#' THEN '{}'::text[]
    WHEN starts_with(reference, '#/') THEN
        -- /~1 would become ~ and 1 if ~0 came first.
        string_to_array(
            replace(replace(replace(substr(reference, 3), '/', E'\x01'), '~1', '/'), '~0', '~'), E'\x01')
END;

COMMENT ON FUNCTION reference_path(text) IS
    'Where a $ref to a place of the same schema, such as #/$defs/Address, leads: a path for #>. Null for any other.';

CREATE FUNCTION plain_property(schema jsonb, property jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    plain jsonb := property;
    seen text[] := '{}'::text[];
    reference text;
    target jsonb;
    alternatives text;
    members jsonb;
    types jsonb;
BEGIN
    LOOP
        reference := plain ->> '$ref';
        IF reference IS NOT NULL THEN
            target := schema #> reference_path(reference);
            plain := plain - '$ref';
            -- What stands beside the $ref leads. A circle of them ends.
            IF jsonb_typeof(target) = 'object' AND reference <> ALL (seen) THEN
                plain := target || plain;
            END IF;
            seen := seen || reference;
            CONTINUE;
        END IF;
        alternatives := CASE 'array'
            WHEN jsonb_typeof(plain -> 'anyOf') THEN 'anyOf'
            WHEN jsonb_typeof(plain -> 'oneOf') THEN 'oneOf'
            WHEN jsonb_typeof(plain -> 'allOf') THEN 'allOf'
        END;
        EXIT WHEN alternatives IS NULL;
        members := plain -> alternatives;
        plain := plain - alternatives;
        IF members @> '[{"type": "null"}]' OR members @> '[{"const": null}]' THEN
            plain := plain || '{"nullable": true}';
        END IF;
        members := (
            SELECT jsonb_agg(m) FROM jsonb_array_elements(members) AS m
            WHERE jsonb_typeof(m) = 'object' AND m -> 'type' IS DISTINCT FROM '"null"'
                AND m -> 'const' IS DISTINCT FROM 'null');
        IF jsonb_array_length(members) = 1 THEN
            plain := (members -> 0) || plain;
        ELSIF alternatives = 'allOf' THEN
            -- All of them hold; what comes first leads.
            FOR target IN SELECT m FROM jsonb_array_elements(members) AS m LOOP
                reference := target ->> '$ref';
                IF reference IS NOT NULL AND reference <> ALL (seen) THEN
                    seen := seen || reference;
                    target := coalesce(schema #> reference_path(reference), '{}') || (target - '$ref');
                END IF;
                plain := CASE jsonb_typeof(target) WHEN 'object' THEN target - '$ref' ELSE '{}' END || plain;
            END LOOP;
        ELSIF NOT plain ? 'type' THEN
            types := (
                SELECT jsonb_agg(DISTINCT t)
                FROM jsonb_array_elements(members) AS m
                CROSS JOIN jsonb_path_query(
                    coalesce(m -> 'type', schema #> reference_path(m ->> '$ref') -> 'type'), '$[*]') AS t);
            plain := plain || jsonb_strip_nulls(jsonb_build_object('type', types));
        END IF;
    END LOOP;
    RETURN plain;
END
$$;

COMMENT ON FUNCTION plain_property(jsonb, jsonb) IS
    'A property as one object without $ref, anyOf, oneOf and allOf: what a $ref names, all of allOf, the one '
    'alternative beside null (then with nullable: true), else the types of all alternatives.';

CREATE FUNCTION schema_fields(schema jsonb)
RETURNS TABLE (pointer text, path text, field text, is_required boolean, property jsonb)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 30
SET search_path FROM CURRENT
-- The guess of how many rows a recursion gives would have a plan for one schema compiled.
SET jit TO off
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH RECURSIVE
    -- Once out of its compression, however often a $ref is looked up in it.
    root AS MATERIALIZED (SELECT schema_fields.schema || '{}' AS schema),
    -- What the schema itself holds: as much as there is.
    own AS (
        SELECT ''::text AS pointer, ''::text AS path, NULL::text AS field, false AS is_required, r.schema AS property,
            '[]'::jsonb AS required
        FROM root AS r
        UNION ALL
        SELECT o.pointer || s.step, path_within(o.path, s.keyword, s.key),
            CASE s.keyword WHEN 'properties' THEN s.key END,
            s.keyword = 'properties' AND (d.required ? s.key OR s.subschema @> '{"required": true}'),
            s.subschema,
            -- The parts of an allOf and the like describe the same object.
            CASE WHEN s.keyword IN ('allOf', 'anyOf', 'oneOf', 'then', 'else', 'dependentSchemas') THEN d.required
                ELSE '[]' END
        FROM own AS o
        CROSS JOIN LATERAL (SELECT o.required || required_names(o.property) AS required OFFSET 0) AS d
        CROSS JOIN LATERAL subschemas(o.property) AS s
        WHERE o.property ?| '{properties, items, prefixItems, additionalItems, unevaluatedItems, patternProperties,
            additionalProperties, unevaluatedProperties, dependentSchemas, allOf, anyOf, oneOf, then, else}'
    ),
    -- What it holds by way of a $ref. None is followed within itself; even so they can be too many to list.
    referred AS (
        SELECT o.pointer, o.path, o.field, false AS is_required,
            jsonb_build_object('$ref', o.property -> '$ref') AS property,
            o.required || required_names(o.property) AS required, '{#}'::text[] AS seen
        FROM own AS o WHERE o.property ? '$ref'
        UNION ALL
        SELECT s.*
        FROM referred AS r
        CROSS JOIN root
        CROSS JOIN LATERAL (SELECT r.required || required_names(r.property) AS required OFFSET 0) AS d
        CROSS JOIN LATERAL (
            SELECT r.pointer || u.step, path_within(r.path, u.keyword, u.key),
                CASE u.keyword WHEN 'properties' THEN u.key END,
                u.keyword = 'properties' AND (d.required ? u.key OR u.subschema @> '{"required": true}'),
                u.subschema,
                CASE WHEN u.keyword IN ('allOf', 'anyOf', 'oneOf', 'then', 'else', 'dependentSchemas')
                    THEN d.required ELSE '[]' END,
                r.seen
            FROM subschemas(r.property) AS u
            UNION ALL
            SELECT substr(t.reference, 2), r.path, NULL, false, t.target, d.required, r.seen || t.reference
            FROM (
                SELECT r.property ->> '$ref' AS reference,
                    root.schema #> reference_path(r.property ->> '$ref') AS target
            ) AS t
            WHERE jsonb_typeof(t.target) = 'object' AND t.reference <> ALL (r.seen)
        ) AS s
        WHERE r.property ?| '{properties, items, prefixItems, additionalItems, unevaluatedItems, patternProperties,
            additionalProperties, unevaluatedProperties, dependentSchemas, allOf, anyOf, oneOf, then, else, $ref}'
    )
    SELECT o.pointer, o.path, o.field, o.is_required, o.property FROM own AS o WHERE o.field IS NOT NULL
    UNION ALL
    SELECT r.pointer, r.path, r.field, r.is_required, r.property
    FROM (SELECT n.* FROM referred AS n LIMIT 10000) AS r
    -- The first of them are those of own that hold the $ref.
    WHERE r.field IS NOT NULL AND cardinality(r.seen) > 1;
END
$$;

COMMENT ON FUNCTION schema_fields(jsonb) IS
    'One row a property that a JSON Schema describes: pointer, where it is written; path, as people say it; field, its '
    'own name; is_required, by the schema that it stands in; property, what is written there. Follows items, allOf, '
    'anyOf, oneOf, then, else and each $ref to a place in the same schema, but none within itself. Of what is reached '
    'by way of a $ref it lists the 10,000 places that are nearest.';

CREATE FUNCTION type_names(types jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT string_agg(type, '|' ORDER BY type COLLATE "C")
    FROM jsonb_array_elements_text(types) AS type
    WHERE type <> 'null' OR types <@ '["null"]'
);

COMMENT ON FUNCTION type_names(jsonb) IS 'A list of types as text: integer|string, sorted, without null.';

CREATE FUNCTION pii_names(rule_definition jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(
    -- Anywhere in an array is in it: lines[].sku is lines.sku.
    SELECT replace(item_name(item), '[]', '')
    FROM jsonb_path_query(CASE jsonb_typeof(rule_definition -> 'pii_fields')
        WHEN 'object' THEN rule_definition #> '{pii_fields,fields}'
        ELSE rule_definition -> 'pii_fields'
    END, '$[*] ? (@.type() == "string" || @.name.type() == "string")') AS item
    WHERE item_name(item) <> ''
);

COMMENT ON FUNCTION pii_names(jsonb) IS
    'The names and paths that governance rules call personal data: pii_fields, a list or an object with fields.';

CREATE VIEW contract_fields AS
SELECT
    c.id AS contract_id,
    c.name AS contract,
    c.version,
    c.status,
    f.pointer COLLATE "C" AS pointer,
    f.path COLLATE "C" AS path,
    f.field COLLATE "C" AS field,
    CASE jsonb_typeof(p.property -> 'type')
        WHEN 'string' THEN p.property ->> 'type'
        WHEN 'array' THEN type_names(p.property -> 'type')
    END AS type,
    p.property ->> 'format' AS format,
    f.is_required,
    coalesce(
        p.property -> 'type' ? 'null' OR p.property @> '{"nullable": true}' OR p.property @> '{"enum": [null]}'
            OR p.property @> '{"const": null}', false
    ) AS is_nullable,
    CASE
        WHEN jsonb_typeof(p.property -> 'enum') = 'array' THEN p.property -> 'enum'
        WHEN p.property ? 'const' THEN jsonb_build_array(p.property -> 'const')
    END AS enum,
    p.property ->> 'description' AS description,
    coalesce(
        string_to_array(n.name, '.') && g.pii OR f.field = ANY (g.pii) OR EXISTS (
            SELECT FROM unnest(g.pii) AS pii WHERE n.name = pii OR starts_with(n.name, pii || '.')), false
    ) AS is_pii,
    coalesce(cr.rules -> f.path, cr.rules -> n.name) AS coercion_rules,
    coalesce(vr.rules -> f.path, vr.rules -> n.name) AS validation_rules
FROM data_contracts AS c
JOIN schemas AS s ON s.id = c.schema_id
LEFT JOIN coercion_rules AS cr ON cr.id = c.coercion_rules_id
LEFT JOIN validation_rules AS vr ON vr.id = c.validation_rules_id
CROSS JOIN LATERAL (
    SELECT (SELECT pii_names(r.rule_definition) FROM governance_rules AS r WHERE r.id = c.governance_rules_id) AS pii
    OFFSET 0
) AS g
CROSS JOIN LATERAL schema_fields(s.schema_data) AS f
CROSS JOIN LATERAL (
    SELECT CASE WHEN f.property ?| '{$ref, anyOf, oneOf, allOf}' THEN plain_property(s.schema_data, f.property)
        ELSE f.property END AS property
    OFFSET 0
) AS p
CROSS JOIN LATERAL (SELECT replace(f.path, '[]', '') AS name) AS n;

COMMENT ON VIEW contract_fields IS
    'One row a field of a contract version: each property of its schema, nested ones too. One that several parts of '
    'the schema describe has a row for each. By field name: fields_named.';
COMMENT ON COLUMN contract_fields.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_fields.contract IS 'Contract name.';
COMMENT ON COLUMN contract_fields.version IS 'Contract version.';
COMMENT ON COLUMN contract_fields.status IS 'Status of that version.';
COMMENT ON COLUMN contract_fields.pointer IS
    'JSON Pointer (RFC 6901) to where the schema describes the field, e.g. /properties/address/properties/city.';
COMMENT ON COLUMN contract_fields.path IS
    'Where values stand: address.city, lines[].sku for each item of an array, point[0] for its first, prices.* for '
    'whatever name.';
COMMENT ON COLUMN contract_fields.field IS 'The field''s own name, e.g. city.';
COMMENT ON COLUMN contract_fields.type IS
    'string, integer, number, boolean, object or array; of several, as integer|string, sorted; without null, which is '
    'is_nullable. Null where the schema names none.';
COMMENT ON COLUMN contract_fields.format IS 'Format of a string, e.g. date-time, email; null where none is named.';
COMMENT ON COLUMN contract_fields.is_required IS
    'Whether the object that it is in, or the alternative in which it is described, must have it.';
COMMENT ON COLUMN contract_fields.is_nullable IS 'Whether the schema says that the value may be null.';
COMMENT ON COLUMN contract_fields.enum IS 'Array of the values allowed; null where they are not listed.';
COMMENT ON COLUMN contract_fields.description IS 'What the field means.';
COMMENT ON COLUMN contract_fields.is_pii IS
    'Whether pii_fields of the governance rules name it, by its name or path, or something that it is in.';
COMMENT ON COLUMN contract_fields.coercion_rules IS
    'How the value is coerced before validation: the rule for this path; null where there is none.';
COMMENT ON COLUMN contract_fields.validation_rules IS
    'Validation beyond JSON Schema: the rules for this path; null where there are none.';

SELECT apply_access();
