-- +goose Up

-- Times are microseconds since 1970 in UTC. Texts compare byte by byte.

-- "Patc": tells this file from any other SQLite database.
PRAGMA application_id = 1348564067;

-- One row per CRM record, made or to be made. What nobody filters by is in
-- detail, a JSON object.
CREATE TABLE entries (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL,
    tenant       TEXT    NOT NULL,
    adapter      TEXT    NOT NULL,
    contact_type TEXT    NOT NULL,
    contact_id   TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    next_at      INTEGER,
    detail       TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX entries_by_id ON entries (id);

-- The columns after id let a list skip what it filters out without reading rows.
CREATE INDEX entries_by_tenant ON entries (tenant, id, contact_id, created_at);

CREATE INDEX entries_due ON entries (next_at) WHERE next_at IS NOT NULL;

-- The states that a call which goes well never sees: it pays nothing for this.
CREATE INDEX entries_of_note ON entries (state, tenant, id)
    WHERE state IN ('queued', 'unknown', 'failed');

-- Who holds a message: released is 0 while it is held, and afterwards the entry's
-- seq, so that one index keeps holders unique and finds a message's old entries.
CREATE TABLE claims (
    message      TEXT    NOT NULL,
    tenant       TEXT    NOT NULL,
    adapter      TEXT    NOT NULL,
    account      TEXT    NOT NULL,
    contact_type TEXT    NOT NULL,
    contact_id   TEXT    NOT NULL,
    released     INTEGER NOT NULL,
    entry        INTEGER NOT NULL,
    PRIMARY KEY (message, tenant, adapter, account, contact_type, contact_id, released)
) STRICT, WITHOUT ROWID;

-- The encrypted requests, in a table of their own: they come and go, and would
-- spread the entries over many pages.
CREATE TABLE payloads (
    entry      INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL,
    body       BLOB    NOT NULL
) STRICT;

-- How many entries each tenant has in each state.
CREATE TABLE counts (
    tenant TEXT    NOT NULL,
    state  TEXT    NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (tenant, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE tenants (
    id           TEXT PRIMARY KEY,
    display_name TEXT    NOT NULL,
    timezone     TEXT    NOT NULL,
    created_at   INTEGER,
    deleted_at   INTEGER,
    revision     INTEGER NOT NULL
) STRICT;

CREATE TABLE enablements (
    tenant         TEXT    NOT NULL,
    adapter        TEXT    NOT NULL,
    enabled        INTEGER NOT NULL,
    version        TEXT    NOT NULL,
    isolation      TEXT    NOT NULL,
    on_unavailable TEXT    NOT NULL,
    settings       BLOB,
    created_at     INTEGER,
    updated_at     INTEGER,
    revision       INTEGER NOT NULL,
    PRIMARY KEY (tenant, adapter)
) STRICT;

CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    name       TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    created_at INTEGER,
    expires_at INTEGER
) STRICT;

CREATE TABLE pins (
    name    TEXT NOT NULL,
    version TEXT NOT NULL,
    digest  TEXT NOT NULL,
    PRIMARY KEY (name, version)
) STRICT;

CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- One row: who this store is, and the directory's last revision.
CREATE TABLE installation (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    identity TEXT    NOT NULL,
    revision INTEGER NOT NULL
) STRICT;

INSERT INTO installation (only, identity, revision) VALUES (1, lower(hex(randomblob(16))), 0);
