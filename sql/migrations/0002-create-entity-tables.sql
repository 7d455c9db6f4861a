-- depends: 0001-prepare-schema
-- The entities of the design: stored once, referred to by many contracts. Names sort under COLLATE "C", so that
-- neither an operating system's upgrade nor a replica's locale can change an order or break an index.

CREATE TABLE systems (
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text COLLATE "C" NOT NULL,
    description text,
    system_type text,
    connection_info jsonb
        CONSTRAINT systems_connection_info_check CHECK (jsonb_typeof(connection_info) IN ('object', 'string')),
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT systems_pkey PRIMARY KEY (id),
    CONSTRAINT systems_name_key UNIQUE (name),
    CONSTRAINT systems_name_check
        CHECK (name <> '' AND name = btrim(name, E' \t\n\r\f\x0B') AND length(name) <= 255)
);

CREATE TRIGGER systems_set_updated BEFORE UPDATE ON systems
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE systems IS 'External systems that data feeds pull from, push to, or use as sources.';
COMMENT ON COLUMN systems.id IS 'Key, time-ordered.';
COMMENT ON COLUMN systems.name IS 'Unique name, e.g. NetlineOpsReplica: up to 255 characters, trimmed.';
COMMENT ON COLUMN systems.description IS 'What the system is for.';
COMMENT ON COLUMN systems.system_type IS 'Kind of system, e.g. database, api, data_warehouse.';
COMMENT ON COLUMN systems.connection_info IS
    'How to reach the system: a JSON object, or a string such as a URL. Never a credential: name the secret that '
    'holds it instead.';
COMMENT ON COLUMN systems.is_active IS 'False once it is no longer in use; kept for the contracts that name it.';
COMMENT ON COLUMN systems.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN systems.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN systems.created_by IS 'Who made the row: the database user, unless the writer names another.';
COMMENT ON COLUMN systems.updated_by IS 'The database user who last changed the row.';

CREATE TABLE data_feeds (
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text COLLATE "C" NOT NULL,
    title text,
    description text,
    feed_type text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT data_feeds_pkey PRIMARY KEY (id),
    CONSTRAINT data_feeds_name_key UNIQUE (name),
    CONSTRAINT data_feeds_name_check
        CHECK (name <> '' AND name = btrim(name, E' \t\n\r\f\x0B') AND length(name) <= 255)
);

CREATE TRIGGER data_feeds_set_updated BEFORE UPDATE ON data_feeds
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE data_feeds IS
    'Data feeds (datasets) that are served; each may have many versions, its data contracts.';
COMMENT ON COLUMN data_feeds.id IS 'Key, time-ordered.';
COMMENT ON COLUMN data_feeds.name IS 'Unique name, e.g. Aircraft: up to 255 characters, trimmed.';
COMMENT ON COLUMN data_feeds.title IS 'Name to show to people.';
COMMENT ON COLUMN data_feeds.description IS 'What the feed holds.';
COMMENT ON COLUMN data_feeds.feed_type IS 'Kind of feed, e.g. Operational, Analytical, Reference.';
COMMENT ON COLUMN data_feeds.is_active IS 'False once it is no longer in use; kept for the contracts that name it.';
COMMENT ON COLUMN data_feeds.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN data_feeds.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN data_feeds.created_by IS 'Who made the row: the database user, unless the writer names another.';
COMMENT ON COLUMN data_feeds.updated_by IS 'The database user who last changed the row.';

CREATE TABLE business_owners (
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text COLLATE "C" NOT NULL,
    description text,
    contact_email text,
    department text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT business_owners_pkey PRIMARY KEY (id),
    CONSTRAINT business_owners_name_key UNIQUE (name),
    CONSTRAINT business_owners_name_check
        CHECK (name <> '' AND name = btrim(name, E' \t\n\r\f\x0B') AND length(name) <= 255)
);

CREATE TRIGGER business_owners_set_updated BEFORE UPDATE ON business_owners
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE business_owners IS 'Business owners or stakeholders responsible for data feeds.';
COMMENT ON COLUMN business_owners.id IS 'Key, time-ordered.';
COMMENT ON COLUMN business_owners.name IS 'Unique name, e.g. IOC: up to 255 characters, trimmed.';
COMMENT ON COLUMN business_owners.description IS 'What the owner is responsible for.';
COMMENT ON COLUMN business_owners.contact_email IS 'Where to write to the owner.';
COMMENT ON COLUMN business_owners.department IS 'Department the owner belongs to.';
COMMENT ON COLUMN business_owners.is_active IS
    'False once it is no longer in use; kept for the contracts that name it.';
COMMENT ON COLUMN business_owners.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN business_owners.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN business_owners.created_by IS 'Who made the row: the database user, unless the writer names another.';
COMMENT ON COLUMN business_owners.updated_by IS 'The database user who last changed the row.';

CREATE TABLE domains (
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text COLLATE "C" NOT NULL,
    description text,
    parent_domain_id uuid
        CONSTRAINT domains_parent_domain_id_fkey REFERENCES domains (id) ON DELETE RESTRICT,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT domains_pkey PRIMARY KEY (id),
    CONSTRAINT domains_name_key UNIQUE (name),
    CONSTRAINT domains_name_check
        CHECK (name <> '' AND name = btrim(name, E' \t\n\r\f\x0B') AND length(name) <= 255)
);

CREATE INDEX domains_parent_domain_id_idx ON domains (parent_domain_id);

CREATE TRIGGER domains_set_updated BEFORE UPDATE ON domains
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE domains IS 'Business domains that data feeds belong to; a domain may lie within another.';
COMMENT ON COLUMN domains.id IS 'Key, time-ordered.';
COMMENT ON COLUMN domains.name IS 'Unique name, e.g. Flight Operations: up to 255 characters, trimmed.';
COMMENT ON COLUMN domains.description IS 'What the domain covers.';
COMMENT ON COLUMN domains.parent_domain_id IS
    'The domain this one lies within; null for a top domain. A domain is never its own ancestor.';
COMMENT ON COLUMN domains.is_active IS 'False once it is no longer in use; kept for the contracts that name it.';
COMMENT ON COLUMN domains.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN domains.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN domains.created_by IS 'Who made the row: the database user, unless the writer names another.';
COMMENT ON COLUMN domains.updated_by IS 'The database user who last changed the row.';

CREATE TABLE teams (
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text COLLATE "C" NOT NULL,
    description text,
    team_type text,
    is_active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT teams_pkey PRIMARY KEY (id),
    CONSTRAINT teams_name_key UNIQUE (name),
    CONSTRAINT teams_name_check
        CHECK (name <> '' AND name = btrim(name, E' \t\n\r\f\x0B') AND length(name) <= 255)
);

CREATE TRIGGER teams_set_updated BEFORE UPDATE ON teams
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE teams IS 'Teams that have read or write access to data contracts.';
COMMENT ON COLUMN teams.id IS 'Key, time-ordered.';
COMMENT ON COLUMN teams.name IS 'Unique name, e.g. operations-team: up to 255 characters, trimmed.';
COMMENT ON COLUMN teams.description IS 'What the team does.';
COMMENT ON COLUMN teams.team_type IS 'Kind of team, e.g. engineering, operations, data.';
COMMENT ON COLUMN teams.is_active IS 'False once it is no longer in use; kept for the contracts that name it.';
COMMENT ON COLUMN teams.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN teams.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN teams.created_by IS 'Who made the row: the database user, unless the writer names another.';
COMMENT ON COLUMN teams.updated_by IS 'The database user who last changed the row.';

-- A domain is never its own ancestor. Moves take turns, so that two at once cannot close a cycle between them.
CREATE FUNCTION lock_domain_moves() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(TG_RELID::integer, 0);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION lock_domain_moves() IS
    'Trigger: makes moves of domains wait for one another, before any of them locks a row.';

CREATE FUNCTION refuse_domain_cycle() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    ancestor uuid := NEW.parent_domain_id;
    seen uuid[] := '{}';
BEGIN
    -- FOR SHARE: under REPEATABLE READ a concurrent move ends in a serialization failure, not in a cycle.
    WHILE ancestor IS NOT NULL AND ancestor <> ALL (seen) LOOP
        IF ancestor = NEW.id THEN
            RAISE EXCEPTION 'domain "%" would be its own ancestor', NEW.name
                USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
                      CONSTRAINT = 'domains_parent_domain_id_check',
                      HINT = 'Choose a parent domain that does not lie within "' || NEW.name || '".';
        END IF;
        seen := seen || ancestor;
        SELECT parent_domain_id INTO ancestor FROM domains WHERE id = ancestor FOR SHARE;
    END LOOP;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION refuse_domain_cycle() IS
    'Trigger: refuses a parent that lies within the domain itself.';

CREATE TRIGGER domains_lock_moves BEFORE UPDATE OF parent_domain_id ON domains
    FOR EACH STATEMENT EXECUTE FUNCTION lock_domain_moves();

-- AFTER: sees all rows of a statement, so that rows inserted together cannot form a cycle either.
CREATE TRIGGER domains_refuse_cycle AFTER INSERT OR UPDATE OF parent_domain_id ON domains
    FOR EACH ROW WHEN (NEW.parent_domain_id IS NOT NULL) EXECUTE FUNCTION refuse_domain_cycle();

-- What reaches a system is described here; what opens it belongs in a secret store.
-- Reads the JSON as one text: a key looks alike there wherever it stands, also in JSON within a string. The only white
-- space of that text is the blank, so a tab can stand for what is taken out.
CREATE FUNCTION contains_credential(info jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN
    -- Without what is no secret, and the sign before it: references to secrets, places to fill in, files, no value.
    regexp_replace(info::text COLLATE "C", '(?x) ["''=:{ ] (
          (arn|env|file|keychain|keyring|projects|ref|secrets?|ssm|vault) [:/] [^ "''\\;&,?@]+
        | ( \$ [A-Z_][A-Z0-9_]* | \$\{ [^"}]+ \} | \$\( [^")]+ \) | % [A-Z_][A-Z0-9_]* % | %s | % \( \w+ \) s
            | \{\{ [^{}]+ \}\} | \{ \w* (pass|PASS|pwd|PWD|secret|SECRET|token|TOKEN|key|KEY|port) \w* \}
            | < [^<>"]+ > | \*+ | [.~]? (/ [\w.-]+){2,} | [\w.-]+ \. (crt|json|key|p12|p8|pem|txt)
            | null | true | false | none | None | required
          ) (?= [] "''\\;&,?@)}/#] ) (?! \\* ["''] : ) )', E'\t', 'g')
    ~ ANY (ARRAY[
        -- A key (its last word), a sign that a value follows, and the first character of that value. The signs: JSON's;
        -- those of JSON, key=value and quoted YAML within a string; the colon of YAML and headers, before one word.
        '(?xi)
        ( pass(word|wd|phrase|code)s? | pwd | secret | token | credentials? | ([^a-z]|\\[nrt]|db|user) (pass|pw)
            | (access|account|api|master|private|secret|signing|subscription) [_.-]? key
            | shared [_-]? access [_-]? signature | [?&] (x-(amz|goog)-)? sig(nature)? )
        ( ":[ ] \[? (" (\\.|[][ '',;&(){}])* )? (?! [a-z][a-z0-9+.-]*:// )
            | ( (\\+"|'')[ ]*[:=] | [ ]*(=|%3d) | :[ ]+(?=\\+"|'') ) [ ]* (\\+"|[''{])? (?! [a-z][a-z0-9+.-]*:// )
            | :[ ]+ (?! [a-z][a-z0-9+.-]*:// | [^ "''\\,;}]+[ ] ) )
        [^][ "''\\,;&(){}\t]',
        -- user:password@ in a URL, and without a scheme before host:port or tcp(; Oracle's user/password@.
        '(?xi)
        :// [^][/@:?#; "\t]* (:|%3a) (?! [0-9]{1,5} [],/;?#)\\] ) [^?@ "\\\t]+ @
        | ["=] (?! (mailto|sips?|ssh): ) [\w.-]* : [^:/@ "\\\t]+ @ ( [\w.-]+ : [0-9]+ ["/?,] | tcp\( )
        | :thin: [^/@ "]+ / [^/@ "${<]+ @',
        -- password:word; a header of HTTP, or its value.
        '(?xi)
        pass(word|wd)?:[^][ "''\\:/@(){}\t]
        | authorization [ "''\\:=]+ (basic|bearer|digest|token) [ ]+ (?! auth|token ) [\w.~+/=-]{4,} ["''\\,;]
        | (basic|bearer) [ ]+ (?= [a-z.~+/-]*[0-9] ) [\w.~+/-]{16}',
        -- What gives itself away: private keys and the tokens of well-known providers.
        '(?x) BEGIN[ ]([A-Z0-9]+[ ])*PRIVATE[ ]KEY
        | ([^A-Za-z0-9]|\\[nrt]) ( A(KI|SI)A[A-Z0-9]{16} | AIza[\w-]{30} | eyJ[\w-]+\.eyJ[\w-]+\. | gh[oprsu]_\w{20}
            | github_pat_\w{20} | glpat-[\w-]{16} | [rs]k_(live|test)_\w{16} | sk-((ant|proj)-)?[A-Za-z0-9]{20}
            | xox[a-z]-[\w-]{10} )'
    ]);

COMMENT ON FUNCTION contains_credential(jsonb) IS
    'Whether connection details hold a password, token or key: as the value of a key that says so (JSON, also within '
    'a string, key=value, YAML, a header), in a URL, or in the shape of a private key or a well-known token. A '
    'reference to a secret (env:NAME, vault:path, ${NAME}, /path/to/file, scheme://path), a place to fill in '
    '(<password>, {{ password }}) and no value (null, "", none) are none.';

CREATE FUNCTION refuse_credential() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    -- The message must not repeat what it refuses.
    RAISE EXCEPTION 'connection_info of system "%" holds a credential', NEW.name
        USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME,
              CONSTRAINT = 'systems_connection_info_credential_check',
              HINT = 'Store where the secret is kept instead, e.g. {"password": "env:REPLICA_PASSWORD"}.';
END
$$;

COMMENT ON FUNCTION refuse_credential() IS
    'Trigger: refuses connection details that hold a credential, without repeating it.';

CREATE TRIGGER systems_refuse_credential BEFORE INSERT OR UPDATE OF connection_info ON systems
    FOR EACH ROW WHEN (contains_credential(NEW.connection_info)) EXECUTE FUNCTION refuse_credential();
