-- depends: 0021-name-broken-constraints
-- Whoever writes takes their turn, as loads do, before their statement locks a row: of two who want each other's rows
-- neither could go on. Readers never wait.

DO $$
DECLARE
    written name;
BEGIN
    FOREACH written IN ARRAY ARRAY['systems', 'data_feeds', 'business_owners', 'domains', 'teams'] LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', written || '_take_turns', written);
    END LOOP;
    FOREACH written IN ARRAY ARRAY[
        'systems', 'data_feeds', 'business_owners', 'domains', 'teams',
        'schemas', 'coercion_rules', 'validation_rules', 'governance_rules', 'metadata_record', 'ownership',
        'data_contracts',
        'data_contract_system_pulls', 'data_contract_system_pushes', 'data_contract_system_sources',
        'data_contract_business_owners', 'data_contract_team_access', 'data_feed_dependencies'
    ] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE INSERT OR UPDATE OR DELETE ON %I
             FOR EACH STATEMENT EXECUTE FUNCTION take_turns()', written || '_take_turns', written);
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION take_turns() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    -- As wait_for_turn does, without another call: a load passes here once a statement.
    PERFORM pg_advisory_xact_lock('data_contracts'::regclass::oid::integer, 0);
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION take_turns() IS
    'Trigger: who writes waits for others who do, loads and people alike, until their transactions end.';
