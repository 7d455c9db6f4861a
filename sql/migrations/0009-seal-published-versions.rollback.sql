DO $$
DECLARE
    sealing record;
BEGIN
    FOR sealing IN
        SELECT t.tgname, t.tgrelid::regclass AS sealed FROM pg_trigger AS t
        WHERE t.tgfoid IN (
            'seal_contract'::regproc, 'seal_links'::regproc, 'seal_components'::regproc, 'seal_everything'::regproc,
            'forget_digests'::regproc, 'take_turns'::regproc)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', sealing.tgname, sealing.sealed);
    END LOOP;
END
$$;
DROP FUNCTION take_turns();
DROP FUNCTION forget_digests();
DROP FUNCTION seal_everything();
DROP FUNCTION seal_components();
DROP FUNCTION seal_links();
DROP FUNCTION seal_contract();
DROP FUNCTION refuse_sealed(data_contracts);
