-- depends: 0016-create-contract-diff
-- One contract without paying for planning at every call, and contract_full in fewer look-ups.

-- OR REPLACE: its columns stay, and with them whatever stands on it.
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
    c.updated_by
FROM data_contracts AS c;

-- What reads one contract. A query over contract_full takes longer to plan than to run, and whether a plan is kept is
-- up to the client and to a pooler between. In PL/pgSQL the server process keeps it: made at the first call, for any
-- contract, by index however small a table is.

CREATE FUNCTION get_contract(contract text, in_version text) RETURNS TABLE (
    contract_id uuid, name text, version text, status text, description text, is_data_feed boolean, data_feed text,
    feed_type text, domain text, schema jsonb, coercion_rules jsonb, validation_rules jsonb,
    governance_rules jsonb, metadata jsonb, ownership jsonb, pulls_from text[], pushes_to text[],
    system_sources text[], business_owners text[], read_teams text[], write_teams text[], dependencies text[],
    created_at timestamptz, updated_at timestamptz, created_by text, updated_by text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        f.contract_id, f.name, f.version, f.status, f.description, f.is_data_feed, f.data_feed, f.feed_type,
        f.domain, f.schema, f.coercion_rules, f.validation_rules, f.governance_rules, f.metadata, f.ownership,
        f.pulls_from, f.pushes_to, f.system_sources, f.business_owners, f.read_teams, f.write_teams,
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by
    FROM contract_full AS f
    WHERE f.name = contract AND f.version = in_version;
END
$$;

COMMENT ON FUNCTION get_contract(text, text) IS
    'One version of a contract: the row of contract_full, no row where there is none. For pipelines: its plan is '
    'made once a connection.';

CREATE FUNCTION get_current_contract(contract text) RETURNS TABLE (
    contract_id uuid, name text, version text, status text, description text, is_data_feed boolean, data_feed text,
    feed_type text, domain text, schema jsonb, coercion_rules jsonb, validation_rules jsonb,
    governance_rules jsonb, metadata jsonb, ownership jsonb, pulls_from text[], pushes_to text[],
    system_sources text[], business_owners text[], read_teams text[], write_teams text[], dependencies text[],
    created_at timestamptz, updated_at timestamptz, created_by text, updated_by text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        f.contract_id, f.name, f.version, f.status, f.description, f.is_data_feed, f.data_feed, f.feed_type,
        f.domain, f.schema, f.coercion_rules, f.validation_rules, f.governance_rules, f.metadata, f.ownership,
        f.pulls_from, f.pushes_to, f.system_sources, f.business_owners, f.read_teams, f.write_teams,
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by
    FROM contract_full AS f
    WHERE f.contract_id = (
        SELECT c.id FROM data_contracts AS c
        WHERE c.name = contract AND c.status = 'active'
        ORDER BY c.version_sort_key DESC, c.version DESC LIMIT 1
    );
END
$$;

COMMENT ON FUNCTION get_current_contract(text) IS
    'The highest active version of a contract: the row of contract_current, no row where none is active. For '
    'pipelines, as get_contract.';

CREATE FUNCTION get_latest_contract(contract text) RETURNS TABLE (
    contract_id uuid, name text, version text, status text, description text, is_data_feed boolean, data_feed text,
    feed_type text, domain text, schema jsonb, coercion_rules jsonb, validation_rules jsonb,
    governance_rules jsonb, metadata jsonb, ownership jsonb, pulls_from text[], pushes_to text[],
    system_sources text[], business_owners text[], read_teams text[], write_teams text[], dependencies text[],
    created_at timestamptz, updated_at timestamptz, created_by text, updated_by text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        f.contract_id, f.name, f.version, f.status, f.description, f.is_data_feed, f.data_feed, f.feed_type,
        f.domain, f.schema, f.coercion_rules, f.validation_rules, f.governance_rules, f.metadata, f.ownership,
        f.pulls_from, f.pushes_to, f.system_sources, f.business_owners, f.read_teams, f.write_teams,
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by
    FROM contract_full AS f
    WHERE f.contract_id = (
        SELECT c.id FROM data_contracts AS c
        WHERE c.name = contract
        ORDER BY c.version_sort_key DESC, c.version DESC LIMIT 1
    );
END
$$;

COMMENT ON FUNCTION get_latest_contract(text) IS
    'The highest version of a contract, whatever its status: the row of contract_latest. For pipelines, as '
    'get_contract.';

SELECT apply_access();
