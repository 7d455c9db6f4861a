DO $$
DECLARE
    entities name;
BEGIN
    FOREACH entities IN ARRAY ARRAY['systems', 'data_feeds', 'business_owners', 'domains', 'teams'] LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', entities || '_take_turns', entities);
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW WHEN (OLD.name <> NEW.name)
             EXECUTE FUNCTION take_turns()', entities || '_take_turns', entities);
    END LOOP;
END
$$;
