"""Which connection details hold a credential: the forms that systems refuse, and what they are taken for."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from pytest_postgresql.executors.noop import NoopExecutor
from pytest_postgresql.janitor import DatabaseJanitor

from pycharter_sql.embedded import Server

Conn = psycopg.Connection[Any]

SECRET = "hunter2"
BASIC = base64.b64encode(f"me:{SECRET}".encode()).decode()
# What looks like a provider's token is put together here, so that no scanner takes this file for a leak.
FAKE = "0FAKE1FAKE2FAKE3FAKE4FAKE5FAKE6FAKE7"
JWT = ".".join("ey" + "J" + FAKE for _ in range(2)) + ".x"
PEM = f"-----BEGIN {'RSA'} PRIVATE KEY-----\n{FAKE}\n-----END {'RSA'} PRIVATE KEY-----\n"

KEYS = """
    password Password PASSWORD passwd pwd Pwd pass passphrase passcode secret client_secret clientSecret
    CLIENT-SECRET token access_token accessToken refresh_token x-auth-token sas_token api_key apiKey APIKEY
    x-api-key api.key aws_secret_access_key secretAccessKey account_key AccountKey private_key privateKey
    PRIVATE-KEY credentials
    db_password dbPassword db.password db-password db_pass userPass spring.datasource.password sasl.password
    ssl.keystore.password SharedAccessKey Ocp-Apim-Subscription-Key secret_key pw
    """
HARMLESS_KEYS = """
    password_file passfile passwordFile token_url token_endpoint tokenUrl auth_type secret_name secretName
    key_field primary_key partition_key foreign_key sort_key public_key publicKey api_key_header api_key_name
    access_key_id private_key_path private_key_id client_secret_ref password_policy key keyfile sslkey
    credentials_provider credential_name secrets tokens token_type pass_through compass bypass cwd tokenizer
    SharedAccessKeyName x-api-key-name passenger secretary
    """

REFUSED: dict[str, Any] = {
    **{f"key {key}": {key: SECRET} for key in KEYS.split()},
    "key that ends like a file": "user: me\napi.key: hunter2",
    "key that ends like a file in JSON": '{"api.key": "hunter2"}',
    # JSON
    "a number": {"password": 12345},
    "a negative number": {"password": -1},
    "blanks": {"password": "correct horse battery staple"},
    "first a sign": {"password": ";)hunter2"},
    "first a dollar": {"password": "$hunter2"},
    "first a dollar and a capital": {"password": "$Hunter2"},
    "first a quote": {"password": "'hunter2'"},
    "first a percent sign": {"password": "%hunter2"},
    "first a brace": {"password": "{hunter2}"},
    "first a backslash": {"password": "\\hunter2"},
    "first a double quote": {"password": '"hunter2'},
    "no ASCII": {"password": "\u043f\u0430\u0440\u043e\u043b\u044c"},
    "a list": {"passwords": [SECRET]},
    "a second in a list": {"systems": [{"host": "a"}, {"host": "b", "auth": {"password": SECRET}}]},
    "auth": {"auth": {"user": "me", "password": SECRET}},
    "deep": {"a": [[{"b": {"c": [{"d": {"API_KEY": SECRET}}]}}]]},
    "beside a reference": {"password": "env:DB_PASSWORD", "token": SECRET},
    "after an empty one": {"password": "", "token": SECRET},
    "after a reference in the same text": f"password=$DB_PASSWORD sslpassword={SECRET}",
    "after a reference to a secret": {"password": f"$DB_PASSWORD{SECRET}"},
    "service account": {"type": "service_account", "private_key_id": "0", "private_key": PEM},
    "service account as text": {
        "keyfile_json": json.dumps({"private_key": PEM, "client_email": "me@x.example"})
    },
    "Snowflake": {"account": "x", "authenticator": "snowflake_jwt", "private_key": "MIIE" + FAKE},
    "JSON within a string": json.dumps({"host": "h", "password": SECRET}),
    "JSON within JSON within a string": {"a": json.dumps({"b": json.dumps({"password": SECRET})})},
    "a number in JSON within a string": '{"password":12345}',
    "Python's repr": str({"host": "h", "password": SECRET}),
    "YAML within a string": f"host: h\npassword: {SECRET}\nport: 5432\n",
    "quoted YAML": 'host: h\npassword: "hunter2 or so"\n',
    "YAML at the end": {"config": f"host: h\napi_key: {SECRET}"},
    "properties within a string": f"user=me\npass={SECRET}\n",
    "colon without a blank": f"user:me,password:{SECRET}",
    # URLs
    "URL": f"postgresql://me:{SECRET}@host/db",
    "URL under a key": {"url": f"https://me:{SECRET}@host/path"},
    "URL without a user": f"redis://:{SECRET}@host:6379/0",
    "URL with an address as user": f"smtp://me%40corp.example:{SECRET}@mail.example:587",
    "URL with a percent-encoded password": "postgresql://me:hunter%402@host/db",
    "URL with a slash in the password": "s3://me:hunter/2@bucket",
    "URL with a number as password": "amqp://me:12345@host",
    "URL with several hosts": f"postgresql://me:{SECRET}@a:5432,b:5433/db?target_session_attrs=any",
    "URL with a user that is called like a store": f"https://vault:{SECRET}@host",
    "URL with a user kept elsewhere": f"postgresql://${{USER}}:{SECRET}@host/db",
    "URL of SQLAlchemy": f"mysql+pymysql://me:{SECRET}@host/db",
    "URL in a text": {"note": f"reach it at https://me:{SECRET}@host, port 80"},
    "URL with a token as user": "https://" + "ghp" + f"_{FAKE}@github.example/a/b",
    "URL with a query": f"postgresql://host/db?user=me&password={SECRET}&sslmode=require",
    "URL with sslpassword": f"postgresql://host/db?sslmode=require&sslpassword={SECRET}",
    "URL with a percent-encoded query": f"mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3D{SECRET}%3B",
    "URL with a token": f"https://api.example/v1?access_token={SECRET}",
    "URL with an API key": f"https://api.example/v1?apikey={SECRET}",
    "URL with a signature": f"https://x.blob.example/c?sv=2024-01-01&sp=r&sig={SECRET}%3D",
    "URL that is signed": f"https://bucket.example/x?X-Amz-Expires=60&X-Amz-Signature={SECRET}",
    "user, password and host without a scheme": {"proxy": f"me:{SECRET}@proxy.example:3128"},
    "DSN of Go": f"me:{SECRET}@tcp(db.example:3306)/db",
    # key=value
    "libpq": f"host=h user=me password={SECRET}",
    "libpq with quotes": f"host=h password='{SECRET} or so' user=me",
    "libpq with blanks": f"host = h password = {SECRET}",
    "libpq with blanks and quotes": f"host = h password = '{SECRET}'",
    "after an empty password": f"password='' sslpassword={SECRET}",
    "ODBC": f"Driver={{PostgreSQL}};Server=h;UID=me;PWD={SECRET};",
    "ODBC with braces": f"Server=h;PWD={{{SECRET}}};UID=me",
    "ADO.NET": f"Server=h;User Id=me;Password={SECRET};Encrypt=yes",
    "JDBC with a query": f"jdbc:postgresql://host/db?user=me&password={SECRET}",
    "JDBC with semicolons": f"jdbc:sqlserver://h:1433;databaseName=d;user=me;password={SECRET};encrypt=true;",
    "JDBC of Oracle": f"jdbc:oracle:thin:scott/{SECRET}@//host:1521/service",
    "JAAS": {"sasl.jaas.config": f'x.PlainLoginModule required username="me" password="{SECRET}";'},
    "SASL": {"bootstrap.servers": "h:9092", "sasl.mechanism": "PLAIN", "sasl.password": SECRET},
    "Azure storage": f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={SECRET}==;EndpointSuffix=e",
    "Azure shared access key": f"Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey={SECRET}=",
    "Azure shared access signature": f"BlobEndpoint=https://x/;SharedAccessSignature={SECRET}",
    "an option": {"options": [f"--password={SECRET}"]},
    "environment": {"env": [f"DB_PASSWORD={SECRET}", "PGHOST=h"]},
    # HTTP headers
    "Basic": {"headers": {"Authorization": f"Basic {BASIC}"}},
    "Bearer": {"headers": {"authorization": f"Bearer {SECRET}"}},
    "Bearer in a list": {"headers": [{"name": "Authorization", "value": f"Bearer {FAKE}"}]},
    "a header as text": f"Authorization: Bearer {SECRET}",
    "a proxy's header": {"Proxy-Authorization": f"Basic {BASIC}"},
    "a header of the house": {"headers": [f"X-Api-Key: {SECRET}"]},
    # Well-known shapes, whatever the key
    "PEM": {"cert": PEM},
    "PEM of a kind": {"x": "-----BEGIN " + "OPENSSH PRIVATE KEY-----"},
    "PEM of PKCS 8": {"x": "-----BEGIN " + "ENCRYPTED PRIVATE KEY-----"},
    "JWT": {"jwt": JWT},
    **{
        f"shape {start}": {"value": start + rest}
        for start, rest in {
            "AK" + "IA": FAKE[:16],
            "AS" + "IA": FAKE[:16],
            "gh" + "p_": FAKE,
            "gh" + "s_": FAKE,
            "github" + "_pat_": FAKE,
            "gl" + "pat-": FAKE[:20],
            "xo" + "xb-": f"1-{FAKE}",
            "sk" + "_live_": FAKE,
            "rk" + "_test_": FAKE,
            "sk" + "-proj-": FAKE,
            "AI" + "za": FAKE[:35],
        }.items()
    },
    "a shape in a text": "call with\n" + "AK" + f"IA{FAKE[:16]}",
}

ACCEPTED: dict[str, Any] = {
    "nothing": None,
    "an empty object": {},
    "an empty string": "",
    # References to secrets kept elsewhere
    **{
        f"reference {reference}": {"password": reference}
        for reference in (
            "env:REPLICA_PASSWORD",
            "vault:kv/replica",
            "vault:kv/data/replica#password",
            "vault://kv/replica?version=2",
            "secret/data/replica",
            "${REPLICA_PASSWORD}",
            "$REPLICA_PASSWORD",
            "$(REPLICA_PASSWORD)",
            "%REPLICA_PASSWORD%",
            "file:/run/secrets/replica",
            "/run/secrets/replica",
            "file:///run/secrets/replica",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/replica-AbCdEf",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/replica-AbCdEf:password::",
            "projects/x/secrets/y/versions/latest",
            "https://x.vault.example/secrets/replica",
            "{{ replica_password }}",
            "{{ env_var('REPLICA_PASSWORD') }}",
            '{{ env_var("REPLICA_PASSWORD") }}',
            "{{resolve:secretsmanager:prod/replica:SecretString:password}}",
            "aws-sm://prod/replica",
            "op://vault/item/field",
            "keyring:replica",
            "ssm:/prod/replica/password:3",
            "<password>",
            "***",
        )
    },
    "references of several sorts": {"password": "${REPLICA_PASSWORD}", "token": "vault:kv/replica"},
    "a reference in a list": {"passwords": ["env:A", "env:B"]},
    "a reference as an object": {
        "password": {"valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
    },
    "a reference in a URL": "postgresql://me:${REPLICA_PASSWORD}@host/db",
    "a reference in a URL, plain": "postgresql://$REPLICA_USER:$REPLICA_PASSWORD@host/db",
    "a place to fill in, in a URL": "postgresql://me:<password>@host/db",
    "a template of Python in a URL": "postgresql://{user}:{password}@{host}:{port}/db?contact=me@corp.example",
    "jinja in a URL": "postgresql://me:{{ replica_password }}@host/db",
    "stars in a URL": "postgresql://me:***@host/db",
    "a reference in a query": "https://api.example/v1?api_key=${API_KEY}&page=1",
    "a reference in libpq's text": "host=h user=me password=$REPLICA_PASSWORD",
    "a reference in quotes": "host=h password='${REPLICA_PASSWORD}' user=me",
    "a reference in ODBC's text": "Server=h;UID=me;PWD=env:REPLICA_PASSWORD;Encrypt=yes",
    "a reference in JDBC's text": "jdbc:sqlserver://h:1433;user=me;password=${REPLICA_PASSWORD};encrypt=true",
    "a reference in JAAS": {"sasl.jaas.config": 'x required username="me" password="${env:KAFKA_PASSWORD}";'},
    "a reference in JSON within a string": '{"password": "env:REPLICA_PASSWORD"}',
    "a reference in a header": {"headers": {"Authorization": "Bearer ${API_TOKEN}"}},
    "jinja in a header": {"headers": {"Authorization": "Bearer {{ api_token }}"}},
    "a place to fill in, in a header": "Authorization: Bearer <token>",
    # No value
    "null": {"password": None},
    "empty": {"password": "", "secret": "", "host": "h"},
    "empty in libpq's text": "host=h password='' user=me",
    "empty in ODBC's text": "UID=me;PWD=;Encrypt=yes",
    "empty at the end": {"dsn": "host=h password=", "user": "me"},
    "empty in a URL": "postgresql://me:@host/db",
    "empty in a query": "https://api.example/v1?token=&page=1",
    "empty in JSON within a string": '{"password": "", "token": null}',
    "a boolean": {"password": True, "token": False, "secret": True},
    "none": {"token": "none", "password": "required"},
    # Keys that only speak of a secret
    **{f"key {key}": {key: "some_name"} for key in HARMLESS_KEYS.split()},
    "numbers": {"max_tokens": 5, "password_rotation_days": 90, "token_ttl": 3600, "tokens": 7},
    "numbers in a text": "max_tokens=5;password_rotation_days=90;token_ttl=3600",
    "a path as token_url": {"token_url": "/oauth/token", "token": "https://host/oauth/token"},
    "a file as private key": {
        "private_key": "/etc/ssl/private/me.pem",
        "credentials": "service-account.json",
    },
    "passfile": "host=h user=me passfile=/home/me/.pgpass sslkey=client.key",
    # Values that only speak of one
    "ways to authenticate": {
        "auth_type": "password",
        "methods": ["token", "oauth2"],
        "grant_type": "password",
    },
    "ways to authenticate in a text": "auth_method=password;grant_type=client_credentials;flow=token",
    "an API key's header": {"in": "header", "name": "X-Api-Key", "authorization": "basic"},
    "the name of a scheme": {"authorization": "Bearer token", "note": "Basic authentication over HTTPS"},
    "a note": {"note": "ask the operators for a password"},
    "a note with a colon": {"note": "Password: ask the team. Token: see the wiki."},
    "a note with a link": {"note": "Access token: https://wiki.example/tokens"},
    "topics": {"topics": ["tokens", "secrets", "password-resets"], "topic": "tokens"},
    "scopes": {"scopes": ["token:read", "secret:read"]},
    "an image": "registry.example/get-token:1.4.2",
    "a task": {"task_name": "disk_test_environment_sda1", "id": "task_live_reporting_daily"},
    "a region": {"region": "asiapacificnortheast"},
    "a public key": {"key": "-----BEGIN PUBLIC KEY-----\n" + FAKE},
    "a certificate": {"sslrootcert": "-----BEGIN CERTIFICATE-----\n" + FAKE},
    "an SSH host": {"host_key": "ssh-ed25519 AAAAC3" + FAKE},
    # Plain connection details
    "an object": {
        "host": "db",
        "port": 5432,
        "user": "reader",
        "sslmode": "verify-full",
        "sslrootcert": "system",
    },
    "libpq's text": "host=h port=5432 user=me dbname=d sslmode=verify-full sslrootcert=/etc/ssl/ca.pem",
    "a URL with a user": "postgresql://reader@host:5432/db?sslmode=require",
    "a URL with an address as user": "smtp://me%40corp.example@mail.example:587",
    "a URL with several hosts": "postgresql://a:5432,b:5433/db?contact=me@corp.example",
    "a URL with a port and an @": "https://host:8443/a:b@c",
    "a URL with an @ in its path": "https://registry.example/@scope/package?to=a:b@c",
    "a URL with a port and a query": "https://host:8443?to=me@corp.example",
    "a URL of IPv6": "https://[::1]:8443/users/@me",
    "a URL of git": "git+ssh://git@host:team/repository.git",
    "a list of hosts": {"bootstrap.servers": "a:9092,b:9092", "contact": "me@corp.example"},
    "JDBC": "jdbc:postgresql://host:5432/db?user=me&ssl=true",
    "JDBC of Oracle": "jdbc:oracle:thin:@//host:1521/service",
    "JDBC of Oracle with a wallet": "jdbc:oracle:thin:/@service",
    "ODBC": "Driver={PostgreSQL Unicode};Server=h;UID=me;Trusted_Connection=yes",
    "host and port": "scr:1",
    "an e-mail address": {"contact": "mailto:me@corp.example", "owner": "me@corp.example"},
    "a UUID": {
        "id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "tenant": "01890a5d-ac96-774b-bcce-b302099a8057",
    },
    "a hash": {
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "password_sha256": "9f86",
    },
    "an image by its digest": "registry.example/tool:1.0@sha256:9f86d081884c7d659a2feaa0c55ad015",
    "a signature of a function": {"signature": "f(x) -> y", "sig": "x"},
    "a window of time": "PT1H:PT2H@daily",
}

CHECK = "SELECT pycharter.contains_credential(%s)"


@pytest.fixture(scope="module")
def catalogue(server: Server, migrated_server: NoopExecutor) -> Iterator[Conn]:
    """One for all tests, which undo what they write."""
    with (
        DatabaseJanitor(
            user=migrated_server.user,
            host=migrated_server.host,
            port=migrated_server.port,
            dbname="credentials",
            template_dbname=migrated_server.template_dbname,
        ),
        psycopg.connect(server.url_of("credentials"), autocommit=True) as connection,
    ):
        yield connection


@pytest.mark.parametrize("info", REFUSED.values(), ids=REFUSED)
def test_a_credential_is_refused_and_not_repeated(catalogue: Conn, info: Any) -> None:
    with pytest.raises(psycopg.errors.CheckViolation) as caught, catalogue.transaction(force_rollback=True):
        catalogue.execute(
            "INSERT INTO pycharter.systems (name, connection_info) VALUES ('s', %s)", [Jsonb(info)]
        )
    said = caught.value.diag
    assert said.constraint_name == "systems_connection_info_credential_check"
    assert "env:REPLICA_PASSWORD" in (said.message_hint or "")
    everything = [getattr(said, name) for name in dir(said) if name.startswith(("message", "context"))]
    assert not any(value in str([*everything, caught.value]) for value in (SECRET, BASIC, FAKE[:16], "12345"))


@pytest.mark.parametrize("info", ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_no_credential_is_kept(catalogue: Conn, info: Any) -> None:
    with catalogue.transaction(force_rollback=True):
        [row] = catalogue.execute(
            "INSERT INTO pycharter.systems (name, connection_info) VALUES ('s', %s) "
            "RETURNING connection_info",
            [info if info is None else Jsonb(info)],
        )
    assert row == (info,)


@pytest.mark.parametrize(
    "value",
    [
        "'null'",
        "'true'",
        "'-1e400'",
        "'\"\"'",
        "'[]'",
        """'{"": "", " ": {"": [null, [], {}]}}'""",
        r"""'{"\\": "\"\u0001\t", "password": {"": {}}}'""",
        "(repeat('[', 5000) || repeat(']', 5000))",
        "(repeat('{\"a\":', 3000) || '1' || repeat('}', 3000))",
        "to_jsonb(repeat('x', 10000000))",
        "to_jsonb(repeat('://a:', 100000))",
        "to_jsonb(repeat('basic ', 100000))",
        "to_jsonb(repeat('env:{{', 100000))",
        "to_jsonb(repeat('=$(', 100000))",
        "to_jsonb(repeat('token: a', 100000) || ' ')",
        "(SELECT jsonb_object_agg('key' || n, n) FROM generate_series(1, 100000) AS n)",
    ],
    ids=lambda value: value[:24],
)
def test_an_odd_value_is_no_error(catalogue: Conn, value: str) -> None:
    assert catalogue.execute(f"SELECT pycharter.contains_credential({value}::jsonb)".encode()).fetchone() == (
        False,
    )


def test_null_is_no_credential(catalogue: Conn) -> None:
    assert catalogue.execute("SELECT pycharter.contains_credential(NULL)").fetchone() == (None,)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda value: st.lists(value) | st.dictionaries(TEXT, value),
)


@settings(max_examples=200, deadline=None)
@given(json=JSON, secret=st.from_regex(r"[A-Za-z0-9]{8}[!-~]{0,8}", fullmatch=True))
def test_any_value_is_checked_and_hides_no_password(catalogue: Conn, json: Any, secret: str) -> None:
    assert catalogue.execute(CHECK, [Jsonb(json)]).fetchone() is not None
    assert catalogue.execute(CHECK, [Jsonb({"before": json, "password": secret})]).fetchone() == (True,)
