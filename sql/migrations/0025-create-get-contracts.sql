-- depends: 0024-speed-up-single-writes
-- Many contract versions at once: by index look-ups alone, however small the catalogue. The planner would read whole
-- small tables for each of them.

CREATE FUNCTION get_contracts(contracts text[], in_versions text[] DEFAULT '{}') RETURNS TABLE (
    place bigint, contract_id uuid, name text, version text, status text, description text, is_data_feed boolean,
    data_feed text, feed_type text, domain text, schema jsonb, coercion_rules jsonb, validation_rules jsonb,
    governance_rules jsonb, metadata jsonb, ownership jsonb, pulls_from text[], pushes_to text[], system_sources text[],
    business_owners text[], read_teams text[], write_teams text[], dependencies text[], created_at timestamptz,
    updated_at timestamptz, created_by text, updated_by text, revision bigint
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100
SET search_path FROM CURRENT
SET plan_cache_mode = 'force_generic_plan'
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        wanted.place, f.contract_id, f.name, f.version, f.status, f.description, f.is_data_feed, f.data_feed,
        f.feed_type, f.domain, f.schema, f.coercion_rules, f.validation_rules, f.governance_rules, f.metadata,
        f.ownership, f.pulls_from, f.pushes_to, f.system_sources, f.business_owners, f.read_teams, f.write_teams,
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by, f.revision
    FROM unnest(contracts, in_versions) WITH ORDINALITY AS wanted (contract, in_version, place)
    JOIN contract_full AS f ON f.contract_id = CASE
        WHEN wanted.in_version IS NOT NULL THEN (
            SELECT c.id FROM data_contracts AS c WHERE c.name = contract AND c.version = in_version)
        ELSE (
            SELECT c.id FROM data_contracts AS c WHERE c.name = contract AND c.status = 'active'
            ORDER BY c.version_sort_key DESC, c.version DESC LIMIT 1)
    END;
END
$$;

COMMENT ON FUNCTION get_contracts(text[], text[]) IS
    'Many contracts at once: for each name the row of contract_full of the version at the same place, or where that is '
    'null or missing, of its highest active version, as get_contract and get_current_contract. place is where in the '
    'arrays it was asked for, from 1; no row where there is no such version.';

SELECT apply_access();
