"""Contract documents of an invented airline and its shops: as many as are asked for, always the same ones.

They are alike what a catalogue holds: about 7 kB of JSON each, 3 to 5 versions a feed, of which the last is
active, and a few hundred systems, teams and owners, a few of them in many documents and most of them rare.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import orjson
import yaml

SYSTEMS, TEAMS, OWNERS, DOMAINS = 300, 200, 150, 40  # how many there are to choose from

SUBJECTS = ["bag", "basket", "booking", "crew", "fare", "flight", "gate", "invoice", "meal", "order", "seat"]
FEED_KINDS = ["changes", "forecast", "history", "register", "snapshot"]
FEED_TYPES = ["Operational", "Analytical", "Reference"]
STATES = ["planned", "open", "held", "closed", "cancelled"]

# What a field may be about: its schema, how it is coerced, how it is validated.
ASPECTS: dict[str, tuple[dict[str, Any], str, dict[str, Any] | None]] = {
    "code": (
        {"type": "string", "maxLength": 8, "examples": ["LHR2", "X17B"]},
        "coerce_to_string",
        {"max_length": {"threshold": 8}, "non_empty_string": None},
    ),
    "state": (
        {"type": "string", "enum": STATES},
        "coerce_to_string",
        {"only_allow": {"allowed_values": STATES}},
    ),
    "count": (
        {"type": "integer", "minimum": 0},
        "coerce_to_integer",
        {"greater_than_or_equal_to": {"threshold": 0}},
    ),
    "weight": (
        {"type": "number", "minimum": 0},
        "coerce_to_float",
        {"greater_than_or_equal_to": {"threshold": 0}},
    ),
    "changed_at": ({"type": "string", "format": "date-time"}, "coerce_to_datetime", None),
    "is_final": ({"type": "boolean", "default": False}, "coerce_to_boolean", None),
    "remark": (
        {"type": ["string", "null"], "maxLength": 200},
        "coerce_to_string",
        {"max_length": {"threshold": 200}},
    ),
}
FIELDS = [f"{subject}_{aspect}" for subject in SUBJECTS for aspect in ASPECTS]


def documents(count: int, *, seed: int = 1) -> Iterator[dict[str, Any]]:
    """``count`` contract documents; those of a smaller count are the first of those of a larger one."""
    return islice(_documents(Random(seed)), count)


def write_ndjson(path: Path, count: int, *, seed: int = 1) -> None:
    """The same documents, one a line."""
    with path.open("wb") as file:
        for document in documents(count, seed=seed):
            file.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))


def write_legacy(directory: Path, count: int, suffix: str, *, seed: int = 1) -> None:
    """The same contracts as an older PyCharter kept them: a contract file each, .json or .yaml."""
    directory.mkdir()
    for number, document in enumerate(documents(count, seed=seed)):
        content = _legacy(document)
        text = (
            orjson.dumps(content)
            if suffix == ".json"
            else yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False).encode()
        )
        (directory / f"{number}_contract{suffix}").write_bytes(text)


def _legacy(document: dict[str, Any]) -> dict[str, Any]:
    relations = ("pulls_from", "pushes_to", "system_sources", "business_owners", "dependencies", "domain")
    return {
        "schema": document["schema"],
        "coercion_rules": document["coercion_rules"],
        "validation_rules": document["validation_rules"],
        "ownership": document["ownership"],
        "governance_rules": document["governance_rules"] | {"access_control": document["team_access"]},
        "metadata": document["metadata"]
        | {key: document[key] for key in relations}
        | {
            "description": document["description"],
            "is_data_feed": document["is_data_feed"],
            "data_feed_association": [
                {"title": document["data_feed"]["name"], "type": document["data_feed"]["feed_type"]}
            ],
        },
    }


def _documents(random: Random) -> Iterator[dict[str, Any]]:
    feeds: list[str] = []
    while True:
        subject, kind = random.choice(SUBJECTS), random.choice(FEED_KINDS)
        feed = f"{subject.title()} {kind.title()} {len(feeds) + 1}"
        yield from _versions(random, feed, feeds)
        feeds.append(feed)


def _versions(random: Random, feed: str, other_feeds: list[str]) -> Iterator[dict[str, Any]]:
    """The versions of one contract: each has one field more than the one before."""
    count = random.randint(3, 5)
    fields = random.sample(FIELDS, 23 + count)
    data_feed = {"name": feed, "title": feed, "feed_type": random.choice(FEED_TYPES)}
    domain = _zipf(random, "Domain", DOMAINS)
    author = _zipf(random, "Team", TEAMS)
    dependencies = random.sample(other_feeds, min(random.randint(0, 4), len(other_feeds)))
    for number in range(count):
        version = f"{1 + number // 3}.{number % 3}.0"
        status = "active" if number == count - 1 else "deprecated"
        present = fields[: 24 + number]
        yield {
            "name": feed,
            "version": version,
            "status": status,
            "description": f"What {feed} promises to those who read it, field by field.",
            "is_data_feed": True,
            "data_feed": data_feed,
            "domain": domain,
            "schema": _schema(feed, version, present),
            "coercion_rules": {
                "version": version,
                "rules": {field: ASPECTS[_aspect(field)][1] for field in present},
            },
            "validation_rules": {
                "version": version,
                "rules": {field: rule for field in present if (rule := ASPECTS[_aspect(field)][2])},
            },
            "governance_rules": _governance(random),
            "metadata": _metadata(random, feed, version, status, author),
            "ownership": {
                "owner": _zipf(random, "Owner", OWNERS),
                "team": author,
                "additional_info": {"on_call": f"+44 20 7946 0{random.randint(100, 999)}"},
            },
            "pulls_from": _some(random, "System", SYSTEMS, 1, 3),
            "pushes_to": _some(random, "System", SYSTEMS, 0, 3),
            "system_sources": _some(random, "System", SYSTEMS, 1, 2),
            "business_owners": _some(random, "Owner", OWNERS, 1, 2),
            "team_access": {
                "read": _some(random, "Team", TEAMS, 1, 4),
                "write": _some(random, "Team", TEAMS, 1, 2),
            },
            "dependencies": dependencies,
            "created_by": author,
        }


def _zipf(random: Random, kind: str, count: int) -> str:
    """One of ``count`` names, the n-th with a probability near 1/n (Zipf's law)."""
    return f"{kind} {int(count ** random.random())}"


def _some(random: Random, kind: str, count: int, least: int, most: int) -> list[str]:
    return sorted({_zipf(random, kind, count) for _ in range(random.randint(least, most))})


def _aspect(field: str) -> str:
    return field.partition("_")[2]


def _schema(feed: str, version: str, fields: list[str]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": feed,
        "version": version,
        "type": "object",
        "required": fields[:6],
        "properties": {
            field: {
                "description": f"{field.replace('_', ' ').capitalize()} as last known",
                **ASPECTS[_aspect(field)][0],
            }
            for field in fields
        },
    }


def _governance(random: Random) -> dict[str, Any]:
    return {
        "data_retention": {"days": random.choice([90, 365, 2555]), "reason": "Audit of revenue and safety"},
        "pii_fields": {"fields": random.sample(FIELDS, 2)},
        "sensitivity": random.choice(["Public", "Internal", "Confidential"]),
        "access_control": {"approval": _zipf(random, "Team", TEAMS), "review_months": 6},
    }


def _metadata(random: Random, feed: str, version: str, status: str, author: str) -> dict[str, Any]:
    """What an older catalogue's metadata file says beside the contract itself."""
    name = feed.lower().replace(" ", "_")
    day = f"2025-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
    keys = random.sample(FIELDS, 4)
    return {
        "title": feed,
        "version": version,
        "status": status,
        "type": "object",
        "validation_title": feed,
        "created_at": f"{day}T04:10:{random.randint(10, 59)}+00:00",
        "created_by": author,
        "data_quality": {
            "accuracy": round(random.random(), 4),
            "monitoring_enabled": random.random() < 0.5,
            "sla": None,
            "total_records": random.randint(1_000, 9_999_999),
            "last_updated": f"{day}T00:00:00",
        },
        "business_rules": {
            "validity_period": {"description": f"{keys[0]} never precedes {keys[1]}", "enforced": True},
            "completeness": {"description": f"{keys[2]} is known once {keys[3]} is", "enforced": False},
        },
        "serve": {
            "api": {
                "type": "GET",
                "endpoint": f"/v1/{name}",
                "rate_limit": f"{random.randint(10, 600)}/min",
                "cache_ttl": 3600,
                "documentation": f"https://catalogue.example/feeds/{name}/{version}",
                "params": [
                    {
                        "name": key,
                        "in": "query",
                        "required": False,
                        "description": f"Only rows with this {key}",
                        "schema": {"type": "string"},
                    }
                    for key in keys[:2]
                ],
            }
        },
        "indexes": [
            {
                "cluster": f"cluster-{random.randint(1, 20)}",
                "database": "serving",
                "collection": f"{name}_{stage}",
                "keys": {keys[0]: 1, keys[1]: 1},
                "unique": True,
            }
            for stage in ("serve", "staging")
        ],
        "changelog": [
            {"version": version, "date": day, "author": author, "changes": [f"{keys[3]} added for {feed}"]}
        ],
    }
