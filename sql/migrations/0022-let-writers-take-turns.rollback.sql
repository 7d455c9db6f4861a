DO $$
DECLARE
    written name;
BEGIN
    FOREACH written IN ARRAY ARRAY[
        'systems', 'data_feeds', 'business_owners', 'domains', 'teams',
        'schemas', 'coercion_rules', 'validation_rules', 'governance_rules', 'metadata_record', 'ownership',
        'data_contracts',
        'data_contract_system_pulls', 'data_contract_system_pushes', 'data_contract_system_sources',
        'data_contract_business_owners', 'data_contract_team_access', 'data_feed_dependencies'
    ] LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', written || '_take_turns', written);
    END LOOP;
    FOREACH written IN ARRAY ARRAY['systems', 'data_feeds', 'business_owners', 'domains', 'teams'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW WHEN (OLD.name <> NEW.name)
             EXECUTE FUNCTION take_turns()', written || '_take_turns', written);
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION take_turns() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM wait_for_turn();
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION take_turns() IS
    'Trigger: waits for loads, and makes loads wait. A load that compares documents must know what things are called.';
