CREATE OR REPLACE VIEW contract_full AS
SELECT
    c.id AS contract_id,
    c.name,
    c.version,
    c.status,
    c.description,
    c.is_data_feed,
    (SELECT f.name FROM data_feeds AS f WHERE f.id = c.data_feed_id) AS data_feed,
    (SELECT f.feed_type FROM data_feeds AS f WHERE f.id = c.data_feed_id) AS feed_type,
    (SELECT d.name FROM domains AS d WHERE d.id = c.domain_id) AS domain,
    (SELECT s.schema_data FROM schemas AS s WHERE s.id = c.schema_id) AS schema,
    (SELECT r.rules FROM coercion_rules AS r WHERE r.id = c.coercion_rules_id) AS coercion_rules,
    (SELECT r.rules FROM validation_rules AS r WHERE r.id = c.validation_rules_id) AS validation_rules,
    (SELECT g.rule_definition FROM governance_rules AS g WHERE g.id = c.governance_rules_id) AS governance_rules,
    (SELECT m.metadata_data FROM metadata_record AS m WHERE m.id = c.metadata_id) AS metadata,
    (
        SELECT jsonb_build_object(
            'resource_id', o.resource_id, 'owner', o.owner, 'team', o.team, 'additional_info', o.additional_info)
        FROM ownership AS o WHERE o.resource_id = c.ownership_id
    ) AS ownership,
    ARRAY(
        SELECT s.name FROM data_contract_system_pulls AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name
    ) AS pulls_from,
    ARRAY(
        SELECT s.name FROM data_contract_system_pushes AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name
    ) AS pushes_to,
    ARRAY(
        SELECT s.name FROM data_contract_system_sources AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name
    ) AS system_sources,
    -- The role, and the permission below, in FILTER: in WHERE each is a condition on the last column of an index whose
    -- second is not given, and PostgreSQL 18 then looks up every owner, every team there is.
    (
        SELECT coalesce(array_agg(b.name ORDER BY b.name) FILTER (WHERE l.role = 'business_owner'), '{}')
        FROM data_contract_business_owners AS l JOIN business_owners AS b ON b.id = l.business_owner_id
        WHERE l.data_contract_id = c.id
    ) AS business_owners,
    ARRAY(
        SELECT DISTINCT t.name FROM data_contract_team_access AS l JOIN teams AS t ON t.id = l.team_id
        WHERE l.data_contract_id = c.id ORDER BY t.name
    ) AS read_teams,
    (
        SELECT coalesce(array_agg(t.name ORDER BY t.name) FILTER (WHERE l.permission = 'write'), '{}')
        FROM data_contract_team_access AS l JOIN teams AS t ON t.id = l.team_id
        WHERE l.data_contract_id = c.id
    ) AS write_teams,
    ARRAY(
        SELECT f.name FROM data_feed_dependencies AS l JOIN data_feeds AS f ON f.id = l.dependency_feed_id
        WHERE l.data_contract_id = c.id ORDER BY f.name
    ) AS dependencies,
    c.created_at,
    c.updated_at,
    c.created_by,
    c.updated_by,
    c.revision
FROM data_contracts AS c;
