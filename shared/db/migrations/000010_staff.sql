-- Who of the cluster may do what through the staff API, besides the admins that the installation's configuration names.
-- A grant that ended stays, with who ended it.
create table grants (
  id uuid primary key default gen_random_uuid(),
  kind text not null check (kind in ('user', 'group')),
  -- As a TokenReview says it.
  name text not null check (name ~ '^[!-~]{1,253}$'),
  role text not null check (role in ('viewer', 'operator', 'admin')),
  -- Null: all projects, also those to come.
  project_id uuid references projects (id),
  granted_by text not null check (length(granted_by) between 1 and 500),
  granted_at timestamptz(3) not null default now(),
  revoked_by text check (length(revoked_by) between 1 and 500),
  revoked_at timestamptz(3),
  check ((revoked_at is null) = (revoked_by is null))
);
-- One role on one scope.
create unique index grants_active on grants (kind, name, project_id) nulls not distinct where revoked_at is null;

-- A run has one retry, for ever: `runs unique (..., label_event_id)` with the id `retry:<run>`, which no forge gives out.
alter table runs add constraint runs_retry check (
  label_event_id !~ '^retry:' or label_event_id ~ '^retry:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') not valid;

-- What lists ask for.
create index runs_created on runs (created_at desc, id desc);
create index outbox_runs on outbox (subject, seq) where subject like 'runs/%';

-- The staff API says which version the database has.
grant select on migrations to codex_k8s_functions;

-- When the reconciler last went round, for whoever asks whether anybody sweeps. One row.
create table sweeps (
  one boolean primary key default true check (one),
  last_at timestamptz(3) not null
);
