-- depends: 0025-create-get-contracts
-- contract_full without joins: each name by its own look-up. Where a table of entities is small, a join of it was
-- planned as a hash of the whole table for every contract; and there is nothing left to plan.

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
        SELECT (SELECT s.name FROM systems AS s WHERE s.id = l.system_id) AS name
        FROM data_contract_system_pulls AS l WHERE l.data_contract_id = c.id ORDER BY name
    ) AS pulls_from,
    ARRAY(
        SELECT (SELECT s.name FROM systems AS s WHERE s.id = l.system_id) AS name
        FROM data_contract_system_pushes AS l WHERE l.data_contract_id = c.id ORDER BY name
    ) AS pushes_to,
    ARRAY(
        SELECT (SELECT s.name FROM systems AS s WHERE s.id = l.system_id) AS name
        FROM data_contract_system_sources AS l WHERE l.data_contract_id = c.id ORDER BY name
    ) AS system_sources,
    -- The role in FILTER: in WHERE it is a condition on the last column of an index whose second is not given, and
    -- PostgreSQL 18 then looks up every owner there is.
    (
        SELECT coalesce(array_agg(o.name ORDER BY o.name) FILTER (WHERE o.role = 'business_owner'), '{}')
        FROM (
            SELECT l.role, (SELECT b.name FROM business_owners AS b WHERE b.id = l.business_owner_id) AS name
            FROM data_contract_business_owners AS l WHERE l.data_contract_id = c.id
        ) AS o
    ) AS business_owners,
    ARRAY(
        SELECT (SELECT t.name FROM teams AS t WHERE t.id = l.team_id) AS name
        FROM data_contract_team_access AS l WHERE l.data_contract_id = c.id GROUP BY l.team_id ORDER BY name
    ) AS read_teams,
    -- For the same reason not = 'write', the only other permission that there is.
    ARRAY(
        SELECT (SELECT t.name FROM teams AS t WHERE t.id = l.team_id) AS name
        FROM data_contract_team_access AS l WHERE l.data_contract_id = c.id AND l.permission <> 'read' ORDER BY name
    ) AS write_teams,
    ARRAY(
        SELECT (SELECT f.name FROM data_feeds AS f WHERE f.id = l.dependency_feed_id) AS name
        FROM data_feed_dependencies AS l WHERE l.data_contract_id = c.id ORDER BY name
    ) AS dependencies,
    c.created_at,
    c.updated_at,
    c.created_by,
    c.updated_by,
    c.revision
FROM data_contracts AS c;
