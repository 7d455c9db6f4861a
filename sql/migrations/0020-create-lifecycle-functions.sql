-- depends: 0019-add-revisions
-- The life of a contract version: proposed or draft, then active, deprecated, retired. Two writers who have read the
-- same revision cannot both have their way: whoever comes second is told.

CREATE FUNCTION expect_revision(contract text, in_version text, expected bigint) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    found bigint;
BEGIN
    -- As a load does: one after the other.
    PERFORM wait_for_turn();
    SELECT c.revision INTO found FROM data_contracts AS c
    WHERE c.name = contract AND c.version = in_version FOR NO KEY UPDATE;
    IF coalesce(found, 0) IS DISTINCT FROM expected THEN
        RAISE EXCEPTION '%', CASE
                WHEN found IS NULL
                    THEN format('there is no version %s of contract "%s", not even revision %s',
                                in_version, contract, expected)
                WHEN expected = 0
                    THEN format('version %s of contract "%s" is there already, in revision %s',
                                in_version, contract, found)
                ELSE format('version %s of contract "%s" is in revision %s, not %s',
                            in_version, contract, found, expected)
            END
            USING ERRCODE = 'object_not_in_prerequisite_state', CONSTRAINT = 'data_contracts_revision',
                  HINT = 'Somebody else has changed it. Read it again, and decide anew.';
    END IF;
END
$$;

COMMENT ON FUNCTION expect_revision(text, text, bigint) IS
    'Raises unless a contract version is in this revision, or with 0 is not there; keeps others from changing it until '
    'the transaction ends.';

CREATE FUNCTION change_status(
    contract text, in_version text, new_status text, old_statuses text[], expected_revision bigint
) RETURNS boolean
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    found data_contracts;
BEGIN
    PERFORM wait_for_turn();
    SELECT c.* INTO found FROM data_contracts AS c
    WHERE c.name = contract AND c.version = in_version FOR NO KEY UPDATE;
    IF found.id IS NULL THEN
        RAISE EXCEPTION 'there is no version % of contract "%"', in_version, contract
            USING ERRCODE = 'no_data_found',
                  HINT = format('See which there are: SELECT version FROM %I.contract_full WHERE name = %L.',
                                current_schema(), contract);
    END IF;
    IF expected_revision IS NOT NULL THEN
        PERFORM expect_revision(contract, in_version, expected_revision);
    END IF;
    IF found.status = new_status THEN
        RETURN false;
    END IF;
    IF found.status <> ALL (old_statuses) THEN
        RAISE EXCEPTION 'version % of contract "%" is %: it cannot become %',
                in_version, contract, found.status, new_status
            USING ERRCODE = 'object_not_in_prerequisite_state', CONSTRAINT = 'data_contracts_status_order',
                  HINT = CASE found.status
                      WHEN 'retired' THEN 'Retired is the end: give the contract a new version.'
                      ELSE 'A version that is not published yet can be activated, or deleted.'
                  END;
    END IF;
    UPDATE data_contracts SET status = new_status WHERE id = found.id;
    RETURN true;
END
$$;

COMMENT ON FUNCTION change_status(text, text, text, text[], bigint) IS
    'The common part of activate_contract, deprecate_contract and retire_contract.';

CREATE FUNCTION activate_contract(contract text, in_version text, expected_revision bigint DEFAULT NULL)
RETURNS boolean
LANGUAGE sql
BEGIN ATOMIC
    SELECT change_status(
        contract, in_version, 'active', '{proposed,draft,deprecated}', expected_revision);
END;

COMMENT ON FUNCTION activate_contract(text, text, bigint) IS
    'Makes a proposed, draft or deprecated contract version active, and says whether it was not yet. With '
    'expected_revision only where the version is in it.';

CREATE FUNCTION deprecate_contract(contract text, in_version text, expected_revision bigint DEFAULT NULL)
RETURNS boolean
LANGUAGE sql
BEGIN ATOMIC
    SELECT change_status(contract, in_version, 'deprecated', '{active}', expected_revision);
END;

COMMENT ON FUNCTION deprecate_contract(text, text, bigint) IS
    'Makes an active contract version deprecated: it still holds, and consumers are to leave it. Otherwise as '
    'activate_contract.';

CREATE FUNCTION retire_contract(contract text, in_version text, expected_revision bigint DEFAULT NULL)
RETURNS boolean
LANGUAGE sql
BEGIN ATOMIC
    SELECT change_status(contract, in_version, 'retired', '{active,deprecated}', expected_revision);
END;

COMMENT ON FUNCTION retire_contract(text, text, bigint) IS
    'Makes an active or deprecated contract version retired: it holds no more, and never again. Otherwise as '
    'activate_contract.';

SELECT apply_access();
