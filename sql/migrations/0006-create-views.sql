-- depends: 0005-create-link-tables
-- What analysts read. Relations are aggregated by scalar subqueries, so that one contract stays a handful of index
-- look-ups; text sorts under COLLATE "C" because every name column does.

CREATE VIEW contract_full AS
SELECT
    c.id AS contract_id,
    c.name,
    c.version,
    c.status,
    c.description,
    c.is_data_feed,
    (SELECT f.name FROM data_feeds AS f WHERE f.id = c.data_feed_id) AS data_feed,
    (SELECT f.feed_type FROM data_feeds AS f WHERE f.id = c.data_feed_id) AS feed_type,
    (SELECT d.name FROM domains AS d WHERE d.id = c.domain_id) AS domain,
    (SELECT s.schema_data FROM schemas AS s WHERE s.id = c.schema_id) AS schema,
    (SELECT r.rules FROM coercion_rules AS r WHERE r.id = c.coercion_rules_id) AS coercion_rules,
    (SELECT r.rules FROM validation_rules AS r WHERE r.id = c.validation_rules_id) AS validation_rules,
    (SELECT g.rule_definition FROM governance_rules AS g WHERE g.id = c.governance_rules_id) AS governance_rules,
    (SELECT m.metadata_data FROM metadata_record AS m WHERE m.id = c.metadata_id) AS metadata,
    (
        SELECT jsonb_build_object(
            'resource_id', o.resource_id, 'owner', o.owner, 'team', o.team, 'additional_info', o.additional_info)
        FROM ownership AS o WHERE o.resource_id = c.ownership_id
    ) AS ownership,
    ARRAY(
        SELECT s.name FROM data_contract_system_pulls AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name
    ) AS pulls_from,
    ARRAY(
        SELECT s.name FROM data_contract_system_pushes AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name
    ) AS pushes_to,
    ARRAY(
        SELECT s.name FROM data_contract_system_sources AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name
    ) AS system_sources,
    ARRAY(
        SELECT b.name FROM data_contract_business_owners AS l JOIN business_owners AS b ON b.id = l.business_owner_id
        WHERE l.data_contract_id = c.id AND l.role = 'business_owner' ORDER BY b.name
    ) AS business_owners,
    ARRAY(
        SELECT DISTINCT t.name FROM data_contract_team_access AS l JOIN teams AS t ON t.id = l.team_id
        WHERE l.data_contract_id = c.id ORDER BY t.name
    ) AS read_teams,
    ARRAY(
        SELECT t.name FROM data_contract_team_access AS l JOIN teams AS t ON t.id = l.team_id
        WHERE l.data_contract_id = c.id AND l.permission = 'write' ORDER BY t.name
    ) AS write_teams,
    ARRAY(
        SELECT f.name FROM data_feed_dependencies AS l JOIN data_feeds AS f ON f.id = l.dependency_feed_id
        WHERE l.data_contract_id = c.id ORDER BY f.name
    ) AS dependencies,
    c.created_at,
    c.updated_at,
    c.created_by,
    c.updated_by
FROM data_contracts AS c;

CREATE VIEW contract_latest AS
SELECT f.*
FROM contract_full AS f
WHERE f.contract_id = (
    SELECT v.id FROM data_contracts AS v
    WHERE v.name = f.name
    ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1
);

CREATE VIEW contract_current AS
SELECT f.*
FROM contract_full AS f
WHERE f.contract_id = (
    SELECT v.id FROM data_contracts AS v
    WHERE v.name = f.name AND v.status = 'active'
    ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1
);

CREATE VIEW contract_systems AS
SELECT c.id AS contract_id, c.name AS contract, c.version, c.status, s.name AS system, 'pulls_from' AS direction
FROM data_contract_system_pulls AS l
JOIN data_contracts AS c ON c.id = l.data_contract_id
JOIN systems AS s ON s.id = l.system_id
UNION ALL
SELECT c.id, c.name, c.version, c.status, s.name, 'pushes_to'
FROM data_contract_system_pushes AS l
JOIN data_contracts AS c ON c.id = l.data_contract_id
JOIN systems AS s ON s.id = l.system_id
UNION ALL
SELECT c.id, c.name, c.version, c.status, s.name, 'system_sources'
FROM data_contract_system_sources AS l
JOIN data_contracts AS c ON c.id = l.data_contract_id
JOIN systems AS s ON s.id = l.system_id;

CREATE VIEW contract_owners AS
SELECT c.id AS contract_id, c.name AS contract, c.version, c.status, b.name AS business_owner, l.role
FROM data_contract_business_owners AS l
JOIN data_contracts AS c ON c.id = l.data_contract_id
JOIN business_owners AS b ON b.id = l.business_owner_id;

CREATE VIEW contract_access AS
SELECT c.id AS contract_id, c.name AS contract, c.version, c.status, t.name AS team, true AS can_read,
    l.permission = 'write' AS can_write
FROM data_contract_team_access AS l
JOIN data_contracts AS c ON c.id = l.data_contract_id
JOIN teams AS t ON t.id = l.team_id
-- One row a team: its write permission where it has both.
WHERE l.permission = 'write'
    OR NOT EXISTS (
        SELECT FROM data_contract_team_access AS w
        WHERE w.data_contract_id = l.data_contract_id AND w.team_id = l.team_id AND w.permission = 'write'
    );

CREATE VIEW contract_dependencies AS
SELECT c.id AS contract_id, c.name AS contract, c.version, c.status, own.name AS data_feed, f.name AS dependency,
    l.dependency_type
FROM data_feed_dependencies AS l
JOIN data_contracts AS c ON c.id = l.data_contract_id
JOIN data_feeds AS own ON own.id = l.data_feed_id
JOIN data_feeds AS f ON f.id = l.dependency_feed_id;

CREATE VIEW domain_tree AS
WITH RECURSIVE tree AS (
    SELECT id, name, NULL::text COLLATE "C" AS parent_domain, ARRAY[name] AS path, 1 AS depth
    FROM domains WHERE parent_domain_id IS NULL
    UNION ALL
    SELECT d.id, d.name, t.name, t.path || d.name, t.depth + 1
    FROM tree AS t JOIN domains AS d ON d.parent_domain_id = t.id
),
within AS (
    SELECT id AS ancestor_id, id FROM domains
    UNION ALL
    SELECT w.ancestor_id, d.id FROM within AS w JOIN domains AS d ON d.parent_domain_id = w.id
),
total AS (
    SELECT w.ancestor_id, count(*) AS contracts, count(*) FILTER (WHERE w.id = w.ancestor_id) AS direct
    FROM within AS w JOIN data_contracts AS c ON c.domain_id = w.id
    GROUP BY w.ancestor_id
)
SELECT t.id AS domain_id, t.name AS domain, t.parent_domain, t.path, t.depth,
    coalesce(n.direct, 0) AS direct_contracts, coalesce(n.contracts, 0) AS total_contracts
FROM tree AS t LEFT JOIN total AS n ON n.ancestor_id = t.id;

COMMENT ON VIEW contract_full IS 'One row a contract version, all of it.';
COMMENT ON COLUMN contract_full.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_full.name IS 'Contract name.';
COMMENT ON COLUMN contract_full.version IS
    'Contract version; order by contract_latest or version_sort_key, never by this text.';
COMMENT ON COLUMN contract_full.status IS 'Lifecycle: proposed, draft, active, deprecated or retired.';
COMMENT ON COLUMN contract_full.description IS 'What the contract is about.';
COMMENT ON COLUMN contract_full.is_data_feed IS 'Whether the dataset is itself served as a data feed.';
COMMENT ON COLUMN contract_full.data_feed IS 'Name of the data feed that the contract describes.';
COMMENT ON COLUMN contract_full.feed_type IS 'Kind of that feed, e.g. Operational.';
COMMENT ON COLUMN contract_full.domain IS 'Name of the business domain; null where none is named.';
COMMENT ON COLUMN contract_full.schema IS 'The JSON Schema.';
COMMENT ON COLUMN contract_full.coercion_rules IS 'Coercion rules by field name; null where there are none.';
COMMENT ON COLUMN contract_full.validation_rules IS 'Validation rules by field name; null where there are none.';
COMMENT ON COLUMN contract_full.governance_rules IS
    'Governance policies: retention, PII, access; null where there are none.';
COMMENT ON COLUMN contract_full.metadata IS
    'Further metadata: for a loaded contract its legacy document; null where there is none.';
COMMENT ON COLUMN contract_full.ownership IS
    'Object with resource_id, owner, team and additional_info; null where there is none.';
COMMENT ON COLUMN contract_full.pulls_from IS 'Names of the systems it pulls from, sorted.';
COMMENT ON COLUMN contract_full.pushes_to IS 'Names of the systems it pushes to, sorted.';
COMMENT ON COLUMN contract_full.system_sources IS 'Names of the systems that are its sources, sorted.';
COMMENT ON COLUMN contract_full.business_owners IS
    'Names of those who own it in the role business_owner, sorted; other roles are in contract_owners.';
COMMENT ON COLUMN contract_full.read_teams IS 'Names of the teams that can read, sorted; write implies read.';
COMMENT ON COLUMN contract_full.write_teams IS 'Names of the teams that can write, sorted.';
COMMENT ON COLUMN contract_full.dependencies IS 'Names of the feeds it depends on, sorted.';
COMMENT ON COLUMN contract_full.created_at IS 'When the version was entered here.';
COMMENT ON COLUMN contract_full.updated_at IS 'When the version was last changed.';
COMMENT ON COLUMN contract_full.created_by IS 'Who made the version.';
COMMENT ON COLUMN contract_full.updated_by IS 'Who last changed the version.';

COMMENT ON VIEW contract_latest IS
    'The highest version of each contract by SemVer precedence, whatever its status; columns as contract_full.';
COMMENT ON COLUMN contract_latest.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_latest.name IS 'Contract name.';
COMMENT ON COLUMN contract_latest.version IS
    'Contract version; order by contract_latest or version_sort_key, never by this text.';
COMMENT ON COLUMN contract_latest.status IS 'Lifecycle: proposed, draft, active, deprecated or retired.';
COMMENT ON COLUMN contract_latest.description IS 'What the contract is about.';
COMMENT ON COLUMN contract_latest.is_data_feed IS 'Whether the dataset is itself served as a data feed.';
COMMENT ON COLUMN contract_latest.data_feed IS 'Name of the data feed that the contract describes.';
COMMENT ON COLUMN contract_latest.feed_type IS 'Kind of that feed, e.g. Operational.';
COMMENT ON COLUMN contract_latest.domain IS 'Name of the business domain; null where none is named.';
COMMENT ON COLUMN contract_latest.schema IS 'The JSON Schema.';
COMMENT ON COLUMN contract_latest.coercion_rules IS 'Coercion rules by field name; null where there are none.';
COMMENT ON COLUMN contract_latest.validation_rules IS 'Validation rules by field name; null where there are none.';
COMMENT ON COLUMN contract_latest.governance_rules IS
    'Governance policies: retention, PII, access; null where there are none.';
COMMENT ON COLUMN contract_latest.metadata IS
    'Further metadata: for a loaded contract its legacy document; null where there is none.';
COMMENT ON COLUMN contract_latest.ownership IS
    'Object with resource_id, owner, team and additional_info; null where there is none.';
COMMENT ON COLUMN contract_latest.pulls_from IS 'Names of the systems it pulls from, sorted.';
COMMENT ON COLUMN contract_latest.pushes_to IS 'Names of the systems it pushes to, sorted.';
COMMENT ON COLUMN contract_latest.system_sources IS 'Names of the systems that are its sources, sorted.';
COMMENT ON COLUMN contract_latest.business_owners IS
    'Names of those who own it in the role business_owner, sorted; other roles are in contract_owners.';
COMMENT ON COLUMN contract_latest.read_teams IS 'Names of the teams that can read, sorted; write implies read.';
COMMENT ON COLUMN contract_latest.write_teams IS 'Names of the teams that can write, sorted.';
COMMENT ON COLUMN contract_latest.dependencies IS 'Names of the feeds it depends on, sorted.';
COMMENT ON COLUMN contract_latest.created_at IS 'When the version was entered here.';
COMMENT ON COLUMN contract_latest.updated_at IS 'When the version was last changed.';
COMMENT ON COLUMN contract_latest.created_by IS 'Who made the version.';
COMMENT ON COLUMN contract_latest.updated_by IS 'Who last changed the version.';

COMMENT ON VIEW contract_current IS
    'The highest active version of each contract by SemVer precedence; columns as contract_full.';
COMMENT ON COLUMN contract_current.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_current.name IS 'Contract name.';
COMMENT ON COLUMN contract_current.version IS
    'Contract version; order by contract_latest or version_sort_key, never by this text.';
COMMENT ON COLUMN contract_current.status IS 'Lifecycle: proposed, draft, active, deprecated or retired.';
COMMENT ON COLUMN contract_current.description IS 'What the contract is about.';
COMMENT ON COLUMN contract_current.is_data_feed IS 'Whether the dataset is itself served as a data feed.';
COMMENT ON COLUMN contract_current.data_feed IS 'Name of the data feed that the contract describes.';
COMMENT ON COLUMN contract_current.feed_type IS 'Kind of that feed, e.g. Operational.';
COMMENT ON COLUMN contract_current.domain IS 'Name of the business domain; null where none is named.';
COMMENT ON COLUMN contract_current.schema IS 'The JSON Schema.';
COMMENT ON COLUMN contract_current.coercion_rules IS 'Coercion rules by field name; null where there are none.';
COMMENT ON COLUMN contract_current.validation_rules IS 'Validation rules by field name; null where there are none.';
COMMENT ON COLUMN contract_current.governance_rules IS
    'Governance policies: retention, PII, access; null where there are none.';
COMMENT ON COLUMN contract_current.metadata IS
    'Further metadata: for a loaded contract its legacy document; null where there is none.';
COMMENT ON COLUMN contract_current.ownership IS
    'Object with resource_id, owner, team and additional_info; null where there is none.';
COMMENT ON COLUMN contract_current.pulls_from IS 'Names of the systems it pulls from, sorted.';
COMMENT ON COLUMN contract_current.pushes_to IS 'Names of the systems it pushes to, sorted.';
COMMENT ON COLUMN contract_current.system_sources IS 'Names of the systems that are its sources, sorted.';
COMMENT ON COLUMN contract_current.business_owners IS
    'Names of those who own it in the role business_owner, sorted; other roles are in contract_owners.';
COMMENT ON COLUMN contract_current.read_teams IS 'Names of the teams that can read, sorted; write implies read.';
COMMENT ON COLUMN contract_current.write_teams IS 'Names of the teams that can write, sorted.';
COMMENT ON COLUMN contract_current.dependencies IS 'Names of the feeds it depends on, sorted.';
COMMENT ON COLUMN contract_current.created_at IS 'When the version was entered here.';
COMMENT ON COLUMN contract_current.updated_at IS 'When the version was last changed.';
COMMENT ON COLUMN contract_current.created_by IS 'Who made the version.';
COMMENT ON COLUMN contract_current.updated_by IS 'Who last changed the version.';

COMMENT ON VIEW contract_systems IS
    'One row a contract version, system and direction, e.g. all contracts that pull from a system: WHERE system = ... '
    'AND direction = ''pulls_from''.';
COMMENT ON COLUMN contract_systems.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_systems.contract IS 'Contract name.';
COMMENT ON COLUMN contract_systems.version IS 'Contract version.';
COMMENT ON COLUMN contract_systems.status IS 'Status of that version.';
COMMENT ON COLUMN contract_systems.system IS 'Name of the system.';
COMMENT ON COLUMN contract_systems.direction IS 'pulls_from, pushes_to or system_sources.';

COMMENT ON VIEW contract_owners IS
    'One row a contract version, business owner and role, e.g. all contracts owned by a business owner: WHERE '
    'business_owner = ... AND role = ''business_owner''.';
COMMENT ON COLUMN contract_owners.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_owners.contract IS 'Contract name.';
COMMENT ON COLUMN contract_owners.version IS 'Contract version.';
COMMENT ON COLUMN contract_owners.status IS 'Status of that version.';
COMMENT ON COLUMN contract_owners.business_owner IS 'Name of the business owner.';
COMMENT ON COLUMN contract_owners.role IS
    'What the owner is to the contract: business_owner, business_sme, technical_owner ...';

COMMENT ON VIEW contract_access IS 'One row a contract version and team, with what the team may do.';
COMMENT ON COLUMN contract_access.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_access.contract IS 'Contract name.';
COMMENT ON COLUMN contract_access.version IS 'Contract version.';
COMMENT ON COLUMN contract_access.status IS 'Status of that version.';
COMMENT ON COLUMN contract_access.team IS 'Name of the team.';
COMMENT ON COLUMN contract_access.can_read IS 'Whether the team may read; write implies read.';
COMMENT ON COLUMN contract_access.can_write IS 'Whether the team may write.';

COMMENT ON VIEW contract_dependencies IS 'One row a contract version and data feed that it depends on.';
COMMENT ON COLUMN contract_dependencies.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_dependencies.contract IS 'Contract name.';
COMMENT ON COLUMN contract_dependencies.version IS 'Contract version.';
COMMENT ON COLUMN contract_dependencies.status IS 'Status of that version.';
COMMENT ON COLUMN contract_dependencies.data_feed IS 'Name of the feed that the contract describes.';
COMMENT ON COLUMN contract_dependencies.dependency IS 'Name of the feed it depends on.';
COMMENT ON COLUMN contract_dependencies.dependency_type IS 'required or optional.';

COMMENT ON VIEW domain_tree IS
    'The domains with their place in the hierarchy and their numbers of contract versions; ORDER BY path shows the '
    'tree.';
COMMENT ON COLUMN domain_tree.domain_id IS 'Key of the domain.';
COMMENT ON COLUMN domain_tree.domain IS 'Name of the domain.';
COMMENT ON COLUMN domain_tree.parent_domain IS 'Name of the domain it lies within; null for a top domain.';
COMMENT ON COLUMN domain_tree.path IS 'Names from the top domain down to this one.';
COMMENT ON COLUMN domain_tree.depth IS '1 for a top domain, 2 below it, and so on.';
COMMENT ON COLUMN domain_tree.direct_contracts IS 'Contract versions in the domain itself.';
COMMENT ON COLUMN domain_tree.total_contracts IS 'Contract versions in the domain and all below it.';
