-- depends: 0021-name-broken-constraints
-- Who renames an entity waits for loads before locking its row, not after: a load that has its turn may want that row,
-- and neither could go on.

DO $$
DECLARE
    entities name;
BEGIN
    FOREACH entities IN ARRAY ARRAY['systems', 'data_feeds', 'business_owners', 'domains', 'teams'] LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', entities || '_take_turns', entities);
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE OF name ON %I FOR EACH STATEMENT EXECUTE FUNCTION take_turns()',
            entities || '_take_turns', entities);
    END LOOP;
END
$$;
