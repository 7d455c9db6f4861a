-- depends: 0004-create-contract-table
-- The relations of a contract. Links go with their contract; an entity in use cannot be deleted. Each key reads from
-- the contract to the entity, each index back.

CREATE TABLE data_contract_system_pulls (
    data_contract_id uuid NOT NULL
        CONSTRAINT data_contract_system_pulls_data_contract_id_fkey REFERENCES data_contracts (id) ON DELETE CASCADE,
    system_id uuid NOT NULL
        CONSTRAINT data_contract_system_pulls_system_id_fkey REFERENCES systems (id) ON DELETE RESTRICT,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    CONSTRAINT data_contract_system_pulls_pkey PRIMARY KEY (data_contract_id, system_id)
);

CREATE INDEX data_contract_system_pulls_system_id_data_contract_id_idx
    ON data_contract_system_pulls (system_id, data_contract_id);

COMMENT ON TABLE data_contract_system_pulls IS 'Systems that data contracts pull from.';
COMMENT ON COLUMN data_contract_system_pulls.data_contract_id IS 'The contract; its links go with it.';
COMMENT ON COLUMN data_contract_system_pulls.system_id IS 'The system; one in use cannot be deleted.';
COMMENT ON COLUMN data_contract_system_pulls.created_at IS 'When the link was made: the start of its transaction.';
COMMENT ON COLUMN data_contract_system_pulls.created_by IS 'The database user who made the link.';

CREATE TABLE data_contract_system_pushes (
    data_contract_id uuid NOT NULL
        CONSTRAINT data_contract_system_pushes_data_contract_id_fkey REFERENCES data_contracts (id) ON DELETE CASCADE,
    system_id uuid NOT NULL
        CONSTRAINT data_contract_system_pushes_system_id_fkey REFERENCES systems (id) ON DELETE RESTRICT,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    CONSTRAINT data_contract_system_pushes_pkey PRIMARY KEY (data_contract_id, system_id)
);

CREATE INDEX data_contract_system_pushes_system_id_data_contract_id_idx
    ON data_contract_system_pushes (system_id, data_contract_id);

COMMENT ON TABLE data_contract_system_pushes IS 'Systems that data contracts push to.';
COMMENT ON COLUMN data_contract_system_pushes.data_contract_id IS 'The contract; its links go with it.';
COMMENT ON COLUMN data_contract_system_pushes.system_id IS 'The system; one in use cannot be deleted.';
COMMENT ON COLUMN data_contract_system_pushes.created_at IS 'When the link was made: the start of its transaction.';
COMMENT ON COLUMN data_contract_system_pushes.created_by IS 'The database user who made the link.';

CREATE TABLE data_contract_system_sources (
    data_contract_id uuid NOT NULL
        CONSTRAINT data_contract_system_sources_data_contract_id_fkey REFERENCES data_contracts (id) ON DELETE CASCADE,
    system_id uuid NOT NULL
        CONSTRAINT data_contract_system_sources_system_id_fkey REFERENCES systems (id) ON DELETE RESTRICT,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    CONSTRAINT data_contract_system_sources_pkey PRIMARY KEY (data_contract_id, system_id)
);

CREATE INDEX data_contract_system_sources_system_id_data_contract_id_idx
    ON data_contract_system_sources (system_id, data_contract_id);

COMMENT ON TABLE data_contract_system_sources IS 'Systems that are the sources of data contracts.';
COMMENT ON COLUMN data_contract_system_sources.data_contract_id IS 'The contract; its links go with it.';
COMMENT ON COLUMN data_contract_system_sources.system_id IS 'The system; one in use cannot be deleted.';
COMMENT ON COLUMN data_contract_system_sources.created_at IS 'When the link was made: the start of its transaction.';
COMMENT ON COLUMN data_contract_system_sources.created_by IS 'The database user who made the link.';

CREATE TABLE data_contract_business_owners (
    data_contract_id uuid NOT NULL
        CONSTRAINT data_contract_business_owners_data_contract_id_fkey REFERENCES data_contracts (id) ON DELETE CASCADE,
    business_owner_id uuid NOT NULL
        CONSTRAINT data_contract_business_owners_business_owner_id_fkey REFERENCES business_owners (id)
        ON DELETE RESTRICT,
    role text COLLATE "C" NOT NULL DEFAULT 'business_owner',
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    CONSTRAINT data_contract_business_owners_pkey PRIMARY KEY (data_contract_id, business_owner_id, role),
    CONSTRAINT data_contract_business_owners_role_check
        CHECK (role <> '' AND role = btrim(role, E' \t\n\r\f\x0B') AND length(role) <= 255)
);

CREATE INDEX data_contract_business_owners_business_owner_id_idx
    ON data_contract_business_owners (business_owner_id, data_contract_id);

COMMENT ON TABLE data_contract_business_owners IS 'Business owners of data contracts, each with a role.';
COMMENT ON COLUMN data_contract_business_owners.data_contract_id IS 'The contract; its links go with it.';
COMMENT ON COLUMN data_contract_business_owners.business_owner_id IS
    'The business owner; one in use cannot be deleted.';
COMMENT ON COLUMN data_contract_business_owners.role IS
    'What the owner is to the contract: business_owner, or e.g. business_sme, technical_owner, technical_sme, '
    'support_lead, contract_owner, data_steward.';
COMMENT ON COLUMN data_contract_business_owners.created_at IS 'When the link was made: the start of its transaction.';
COMMENT ON COLUMN data_contract_business_owners.created_by IS 'The database user who made the link.';

CREATE TABLE data_contract_team_access (
    data_contract_id uuid NOT NULL
        CONSTRAINT data_contract_team_access_data_contract_id_fkey REFERENCES data_contracts (id) ON DELETE CASCADE,
    team_id uuid NOT NULL
        CONSTRAINT data_contract_team_access_team_id_fkey REFERENCES teams (id) ON DELETE RESTRICT,
    permission text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    CONSTRAINT data_contract_team_access_pkey PRIMARY KEY (data_contract_id, team_id, permission),
    CONSTRAINT data_contract_team_access_permission_check CHECK (permission IN ('read', 'write'))
);

CREATE INDEX data_contract_team_access_team_id_data_contract_id_idx
    ON data_contract_team_access (team_id, data_contract_id);

COMMENT ON TABLE data_contract_team_access IS 'Teams that may read or write the data of a contract.';
COMMENT ON COLUMN data_contract_team_access.data_contract_id IS 'The contract; its links go with it.';
COMMENT ON COLUMN data_contract_team_access.team_id IS 'The team; one in use cannot be deleted.';
COMMENT ON COLUMN data_contract_team_access.permission IS 'What the team may do: read or write. Write implies read.';
COMMENT ON COLUMN data_contract_team_access.created_at IS 'When the link was made: the start of its transaction.';
COMMENT ON COLUMN data_contract_team_access.created_by IS 'The database user who made the link.';

CREATE TABLE data_feed_dependencies (
    data_contract_id uuid NOT NULL,
    data_feed_id uuid NOT NULL,
    dependency_feed_id uuid NOT NULL
        CONSTRAINT data_feed_dependencies_dependency_feed_id_fkey REFERENCES data_feeds (id) ON DELETE RESTRICT,
    dependency_type text COLLATE "C" NOT NULL DEFAULT 'required',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT data_feed_dependencies_pkey PRIMARY KEY (data_contract_id, dependency_feed_id),
    -- The contract together with its own feed, so that the check below holds whoever changes either.
    CONSTRAINT data_feed_dependencies_data_feed_id_data_contract_id_fkey
        FOREIGN KEY (data_feed_id, data_contract_id) REFERENCES data_contracts (data_feed_id, id)
        ON UPDATE CASCADE ON DELETE CASCADE,
    CONSTRAINT data_feed_dependencies_data_feed_id_dependency_feed_id_check CHECK (dependency_feed_id <> data_feed_id),
    CONSTRAINT data_feed_dependencies_dependency_type_check CHECK (dependency_type IN ('required', 'optional'))
);

CREATE INDEX data_feed_dependencies_data_feed_id_data_contract_id_idx
    ON data_feed_dependencies (data_feed_id, data_contract_id);
CREATE INDEX data_feed_dependencies_dependency_feed_id_data_contract_id_idx
    ON data_feed_dependencies (dependency_feed_id, data_contract_id);

CREATE TRIGGER data_feed_dependencies_set_updated BEFORE UPDATE ON data_feed_dependencies
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

CREATE FUNCTION set_data_feed() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    SELECT data_feed_id INTO NEW.data_feed_id FROM data_contracts WHERE id = NEW.data_contract_id;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION set_data_feed() IS 'Trigger: fills in the feed that the contract of a dependency serves.';

CREATE TRIGGER data_feed_dependencies_set_data_feed BEFORE INSERT ON data_feed_dependencies
    FOR EACH ROW WHEN (NEW.data_feed_id IS NULL) EXECUTE FUNCTION set_data_feed();

COMMENT ON TABLE data_feed_dependencies IS
    'Data feeds that a contract depends on; through the contract''s own feed also feeds that a feed depends on.';
COMMENT ON COLUMN data_feed_dependencies.data_contract_id IS 'The contract; its dependencies go with it.';
COMMENT ON COLUMN data_feed_dependencies.data_feed_id IS
    'The feed that the contract serves, filled in and kept true by the database. A contract never depends on it.';
COMMENT ON COLUMN data_feed_dependencies.dependency_feed_id IS
    'The feed that the contract depends on; one in use cannot be deleted.';
COMMENT ON COLUMN data_feed_dependencies.dependency_type IS
    'Whether the contract cannot do without the feed (required) or can (optional).';
COMMENT ON COLUMN data_feed_dependencies.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN data_feed_dependencies.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN data_feed_dependencies.created_by IS 'The database user who made the row.';
COMMENT ON COLUMN data_feed_dependencies.updated_by IS 'The database user who last changed the row.';
