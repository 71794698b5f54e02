-- +goose Up

-- The same entries as before, by a condition that is two comparisons. For a list of
-- three values SQLite builds a temporary table, at every insert and twice at every
-- update of an entry.
DROP INDEX entries_of_note;
CREATE INDEX entries_of_note ON entries (state, tenant, id)
    WHERE state <> 'in_flight' AND state <> 'logged';
