-- depends: 0021-name-broken-constraints
-- Whoever writes takes their turn, as loads do, before locking a row: of two who want each other's rows neither could
-- go on, and who comes second must see what the first has made. Readers never wait.

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

COMMENT ON FUNCTION take_turns() IS
    'Trigger: who writes waits for others who do, loads and people alike, until their transactions end.';
