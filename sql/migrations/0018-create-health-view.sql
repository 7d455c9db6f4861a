-- depends: 0017-create-contract-functions
-- What a steward would want to know of, one row a finding. Of contracts the current versions are looked at: what is
-- still a draft may be unfinished, and what is deprecated or retired is on its way out.

CREATE VIEW catalogue_issues AS
WITH current AS MATERIALIZED (
    SELECT c.*, g.rule_definition, pii_names(g.rule_definition) AS pii
    FROM current_contracts AS k
    JOIN data_contracts AS c ON c.id = k.data_contract_id
    LEFT JOIN governance_rules AS g ON g.id = c.governance_rules_id
),
entity AS (
    -- As regclass and regproc, names come with their schema where the reader needs it.
    SELECT 'system' AS kind, 'systems'::regclass AS stored_in, 'merge_system'::regproc AS merged_by, s.name, EXISTS (
            SELECT FROM data_contract_system_pulls AS l WHERE l.system_id = s.id
            UNION ALL
            SELECT FROM data_contract_system_pushes AS l WHERE l.system_id = s.id
            UNION ALL
            SELECT FROM data_contract_system_sources AS l WHERE l.system_id = s.id) AS is_used
    FROM systems AS s
    UNION ALL
    SELECT 'data feed' AS kind, 'data_feeds'::regclass AS stored_in, 'merge_data_feed'::regproc AS merged_by, f.name,
        EXISTS (
            SELECT FROM data_contracts AS c WHERE c.data_feed_id = f.id
            UNION ALL
            SELECT FROM data_feed_dependencies AS l WHERE l.dependency_feed_id = f.id)
    FROM data_feeds AS f
    UNION ALL
    SELECT 'business owner' AS kind, 'business_owners'::regclass AS stored_in,
        'merge_business_owner'::regproc AS merged_by, b.name, EXISTS (
            SELECT FROM data_contract_business_owners AS l WHERE l.business_owner_id = b.id)
    FROM business_owners AS b
    UNION ALL
    SELECT 'team' AS kind, 'teams'::regclass AS stored_in, 'merge_team'::regproc AS merged_by, t.name,
        EXISTS (SELECT FROM data_contract_team_access AS l WHERE l.team_id = t.id)
    FROM teams AS t
    UNION ALL
    SELECT 'domain' AS kind, 'domains'::regclass AS stored_in, 'merge_domain'::regproc AS merged_by, t.domain,
        t.total_contracts > 0
    FROM domain_tree AS t
),
-- Fields that governance or rules name, where the schema has none of that name at its top.
named_field AS MATERIALIZED (
    SELECT c.id, c.name, c.version, c.schema_id, n.kind, replace(n.field, '[]', '') AS field
    FROM current AS c
    JOIN schemas AS s ON s.id = c.schema_id
    CROSS JOIN LATERAL (
        SELECT 'pii' AS kind, unnest(c.pii) AS field
        UNION ALL
        SELECT 'coercion', jsonb_object_keys(r.rules) FROM coercion_rules AS r WHERE r.id = c.coercion_rules_id
        UNION ALL
        SELECT 'validation', jsonb_object_keys(r.rules) FROM validation_rules AS r WHERE r.id = c.validation_rules_id
    ) AS n
    WHERE NOT coalesce(s.schema_data -> 'properties' ? n.field, false)
),
-- Once a schema, however many of its fields are asked for. An open one, or one that refers to what is not looked up,
-- may have fields that it does not list.
known_field AS MATERIALIZED (
    SELECT s.id AS schema_id, f.fields, f.paths,
        s.schema_data @? '$.**."$ref" ? (!(@ like_regex "^#(/|$)") || @ like_regex "%")'
            OR s.schema_data @? '$.**.keyvalue() ? (
                (@.key == "additionalProperties" || @.key == "patternProperties") && @.value.type() == "object")'
            OR NOT s.schema_data ? 'properties' AS may_have_more
    FROM (SELECT DISTINCT n.schema_id FROM named_field AS n) AS given
    JOIN schemas AS s ON s.id = given.schema_id
    CROSS JOIN LATERAL (
        SELECT array_agg(f.field) AS fields, array_agg(replace(f.path, '[]', '')) AS paths
        FROM schema_fields(s.schema_data) AS f
    ) AS f
)
SELECT 'warning' AS severity, 'no_owner' AS issue, c.id AS contract_id, c.name AS contract, c.version,
    'nobody owns it' AS what, 'Link a business owner, or name an owner in its ownership.' AS remedy
FROM current AS c
WHERE NOT EXISTS (SELECT FROM data_contract_business_owners AS l WHERE l.data_contract_id = c.id)
    AND NOT EXISTS (SELECT FROM ownership AS o WHERE o.resource_id = c.ownership_id AND btrim(o.owner) <> '')
UNION ALL
SELECT 'warning', 'no_writer_team', c.id, c.name, c.version, 'no team may write its data',
    'Give write access to the team that produces it.'
FROM current AS c
WHERE NOT EXISTS (
    SELECT FROM data_contract_team_access AS l WHERE l.data_contract_id = c.id AND l.permission = 'write')
UNION ALL
SELECT 'info', 'no_reader_team', c.id, c.name, c.version, 'no team reads it, but those that may write it',
    'Give read access to who uses it, or retire the contract.'
FROM current AS c
WHERE NOT EXISTS (
    SELECT FROM data_contract_team_access AS l WHERE l.data_contract_id = c.id AND l.permission = 'read')
UNION ALL
SELECT CASE WHEN d.dependency_type = 'required' AND s.issue IN ('dependency_retired', 'dependency_unpublished')
        THEN 'error' ELSE 'warning' END,
    s.issue, c.id, c.name, c.version, format('depends (%s) on the feed "%s", %s', d.dependency_type, f.name, s.state),
    s.remedy
FROM current AS c
JOIN data_feed_dependencies AS d ON d.data_contract_id = c.id
JOIN data_feeds AS f ON f.id = d.dependency_feed_id
CROSS JOIN LATERAL (
    SELECT count(*) AS versions, count(*) FILTER (WHERE v.status = 'active') AS active,
        count(*) FILTER (WHERE v.status = 'deprecated') AS deprecated,
        count(*) FILTER (WHERE v.status = 'retired') AS retired
    FROM data_contracts AS v WHERE v.data_feed_id = f.id
) AS n
JOIN (VALUES
    ('dependency_undescribed', 'which no contract describes', 'Register a contract for that feed.'),
    ('dependency_deprecated', 'whose contracts are deprecated', 'Depend on what replaces the feed.'),
    ('dependency_retired', 'whose contracts are retired', 'Depend on what has replaced the feed.'),
    ('dependency_unpublished', 'whose contracts are drafts', 'Make a version of its contract active.')
) AS s (issue, state, remedy) ON s.issue = CASE
    WHEN n.versions = 0 THEN 'dependency_undescribed'
    WHEN n.active > 0 THEN NULL
    WHEN n.deprecated > 0 THEN 'dependency_deprecated'
    WHEN n.retired > 0 THEN 'dependency_retired'
    ELSE 'dependency_unpublished'
END
UNION ALL
SELECT 'warning', 'several_active_versions', c.id, c.name, c.version,
    format('%s versions are active: %s', n.count, n.versions), 'Deprecate all but one.'
FROM current AS c
JOIN (
    SELECT v.name, count(*), string_agg(v.version, ', ' ORDER BY v.version_sort_key, v.version) AS versions
    FROM data_contracts AS v WHERE v.status = 'active' GROUP BY v.name HAVING count(*) > 1
) AS n ON n.name = c.name
UNION ALL
SELECT 'warning', 'active_below_deprecated', c.id, c.name, c.version,
    format('it is active, and the higher version %s deprecated', n.version),
    'Make a version above both active, or say that the deprecated one is retired.'
FROM current AS c
CROSS JOIN LATERAL (
    SELECT v.version FROM data_contracts AS v
    WHERE v.name = c.name AND v.status = 'deprecated'
        AND (v.version_sort_key, v.version) > (c.version_sort_key, c.version)
    ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1
) AS n
UNION ALL
SELECT 'error', 'pii_without_access_rule', c.id, c.name, c.version,
    'it has personal data, and nothing says who may use it: ' || array_to_string(c.pii, ', '),
    'Say so: team_access, or access_control in its governance rules.'
FROM current AS c
WHERE c.pii <> '{}' AND coalesce(c.rule_definition -> 'access_control', 'null') IN ('null', '{}', '[]', '""')
    AND NOT EXISTS (SELECT FROM data_contract_team_access AS l WHERE l.data_contract_id = c.id)
UNION ALL
SELECT 'error', 'pii_without_retention', c.id, c.name, c.version,
    'it has personal data, and nothing says for how long it is kept: ' || array_to_string(c.pii, ', '),
    'Say so: data_retention in its governance rules.'
FROM current AS c
WHERE c.pii <> '{}' AND coalesce(c.rule_definition -> 'data_retention', 'null') IN ('null', '{}', '[]', '""')
UNION ALL
SELECT CASE WHEN k.may_have_more THEN 'warning' ELSE 'error' END, 'unknown_field', n.id, n.name, n.version,
    format('its schema has no field "%s", which its %s', n.field, CASE n.kind
        WHEN 'pii' THEN 'governance rules call personal data' ELSE n.kind || ' rules are for' END),
    'Correct the name, or add the field to the schema.'
FROM named_field AS n
JOIN known_field AS k USING (schema_id)
WHERE NOT coalesce(n.field = ANY (k.paths) OR n.kind = 'pii' AND n.field = ANY (k.fields), false)
UNION ALL
SELECT 'info', CASE e.kind WHEN 'domain' THEN 'empty_domain' ELSE 'unused_entity' END, NULL, NULL, NULL,
    format(CASE e.kind WHEN 'domain' THEN 'the domain "%2$s" has no contract'
        ELSE 'no contract refers to the %1$s "%2$s"' END, e.kind, e.name),
    format('Delete it where it is not needed: DELETE FROM %s WHERE name = %L.', e.stored_in, e.name)
FROM entity AS e WHERE NOT e.is_used
UNION ALL
SELECT 'warning', 'similar_names', NULL, NULL, NULL,
    format('%ss differ only by case, blanks, hyphens or underscores: %s', n.kind, n.names),
    CASE n.kind WHEN 'contract' THEN 'Where they mean the same, give all versions one name.'
        ELSE format('Where they mean the same: SELECT %s(%L, %L).', n.merged_by, n.first, n.last)
    END
FROM (
    SELECT a.kind, a.merged_by, string_agg(quote_ident(a.name), ', ' ORDER BY a.name) AS names, min(a.name) AS first,
        max(a.name) AS last
    FROM (
        SELECT e.kind, e.merged_by, e.name FROM entity AS e
        UNION ALL
        SELECT DISTINCT 'contract' AS kind, NULL::regproc AS merged_by, c.name FROM data_contracts AS c
    ) AS a
    GROUP BY a.kind, a.merged_by, lower(regexp_replace(a.name COLLATE "default", '[\s\u00a0_-]+', '', 'g'))
    HAVING count(*) > 1
) AS n
UNION ALL
SELECT 'warning', 'dependency_cycle', NULL, NULL, NULL,
    format('%s feeds depend on each other: %s', y.size, array_to_string(y.data_feeds[:10], ', ')
        || CASE WHEN y.size > 10 THEN ' ...' ELSE '' END),
    'Break the cycle: one of their contracts should not depend on another of these feeds.'
FROM dependency_cycles AS y;

COMMENT ON VIEW catalogue_issues IS
    'One row a finding on the health of the catalogue. Of contracts their current versions are looked at.';
COMMENT ON COLUMN catalogue_issues.severity IS
    'error: what the contract promises cannot be kept; warning: it should be mended; info: worth a look.';
COMMENT ON COLUMN catalogue_issues.issue IS
    'Kind of finding: no_owner, no_writer_team, no_reader_team, dependency_undescribed, dependency_deprecated, '
    'dependency_retired, dependency_unpublished, several_active_versions, active_below_deprecated, '
    'pii_without_access_rule, pii_without_retention, unknown_field, unused_entity, empty_domain, similar_names, '
    'dependency_cycle.';
COMMENT ON COLUMN catalogue_issues.contract_id IS
    'Key of the contract version in data_contracts; null where the finding is of no single contract.';
COMMENT ON COLUMN catalogue_issues.contract IS 'Name of the contract; null as above.';
COMMENT ON COLUMN catalogue_issues.version IS 'Its current version; null as above.';
COMMENT ON COLUMN catalogue_issues.what IS 'What is wrong.';
COMMENT ON COLUMN catalogue_issues.remedy IS 'What to do about it.';

SELECT apply_access();
