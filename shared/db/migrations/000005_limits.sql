-- How many handled events have changed what is asked for on the subject: a run was made of one, or something was taken
-- away. The router reads it before it asks the forge and compares it under the lock: another number, and it asks again.
alter table subjects add column version integer not null default 0 check (version >= 0);

-- Runs before this one in its project's queue when that was last said; null while it has not been said.
alter table runs add column ahead integer check (ahead >= 0);
