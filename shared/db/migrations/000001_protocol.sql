-- The delivery protocol and everything it moves. Times are timestamptz(3), milliseconds, so that a row survives the trip
-- through the ledger unchanged. States are text with a check: a new one is one migration that is safe for the old version.

create table projects (
  id uuid primary key default gen_random_uuid(),
  provider text not null check (provider in ('github', 'gitlab')),
  -- Root of the forge's API; from our configuration, never from a request.
  instance text not null check (instance ~ '^https?://[^/]'),
  -- The forge's numeric id. A repository deleted and created again under the same name is another one.
  repository_id text not null check (repository_id ~ '^[0-9]{1,20}$'),
  full_name text not null check (full_name ~ '^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$'),
  installation_id text check (installation_id ~ '^[0-9]{1,20}$'),
  -- Numeric id of the user that our own App or machine user acts as: its labels and comments start nothing.
  own_actor_id text not null check (own_actor_id ~ '^[0-9]{1,20}$'),
  settings jsonb not null default '{}',
  max_active integer not null default 2 check (max_active between 1 and 1000),
  state text not null default 'connected' check (state in ('connected', 'disconnected')),
  created_at timestamptz(3) not null default now(),
  unique (provider, instance, repository_id)
);

create table hooks (
  -- Part of the hook's URL; not a secret.
  id text primary key check (id ~ '^[a-z0-9]{8,64}$'),
  provider text not null check (provider in ('github', 'gitlab')),
  instance text not null,
  -- Null for an App's hook: then the repository in the body says which project, of those on this instance.
  project_id uuid references projects (id),
  -- Names of files in the secrets directory; the secret itself is never in the database.
  secret_name text not null check (secret_name ~ '^[a-z0-9][a-z0-9.-]{0,100}$'),
  previous_secret_name text check (previous_secret_name ~ '^[a-z0-9][a-z0-9.-]{0,100}$'),
  previous_until timestamptz(3),
  created_at timestamptz(3) not null default now(),
  check ((previous_secret_name is null) = (previous_until is null))
);

create table inbox (
  id uuid primary key default gen_random_uuid(),
  hook_id text not null references hooks (id),
  -- X-GitHub-Delivery, Idempotency-Key: what the forge repeats when it repeats a delivery.
  delivery_id text not null check (length(delivery_id) between 1 and 200),
  event_name text not null check (length(event_name) between 1 and 100),
  -- The untouched bytes. Text would refuse NUL, jsonb would refuse more.
  body bytea not null,
  body_digest text not null check (body_digest ~ '^[0-9a-f]{64}$'),
  project_id uuid references projects (id),
  state text not null check (state in ('accepted', 'quarantined')),
  reason text,
  received_at timestamptz(3) not null default now(),
  unique (hook_id, delivery_id),
  check ((state = 'quarantined') = (reason is not null))
);
create index inbox_quarantined on inbox (received_at) where state = 'quarantined';

create table outbox (
  id uuid primary key default gen_random_uuid(),
  seq bigint generated always as identity unique,
  -- CloudEvents identity. For a forge's event the adapter tables say what both are, for ours event_id = id.
  source text not null,
  event_id text not null,
  type text not null,
  subject text not null,
  -- The function that wrote it.
  producer text not null,
  -- Attributes, extensions and `data` as they are published. A forge event's data is the inbox row's body.
  event jsonb not null,
  -- What the ledger keeps: the full change, large content by digest.
  record jsonb not null,
  inbox_id uuid unique references inbox (id),
  created_at timestamptz(3) not null default now(),
  due_at timestamptz(3) not null default now(),
  attempts integer not null default 0,
  lease uuid,
  lease_until timestamptz(3),
  sent_at timestamptz(3),
  unique (source, event_id)
);
create index outbox_unsent on outbox (due_at) where sent_at is null;

create table deliveries (
  outbox_id uuid not null references outbox (id),
  consumer text not null,
  state text not null default 'pending' check (state in ('pending', 'done', 'quarantined')),
  -- When the owner's sweep takes it up because the broker did not.
  due_at timestamptz(3) not null,
  attempts integer not null default 0,
  -- done: what became of it; quarantined: why.
  outcome text,
  -- What the broker said of the failure: knativeerrordest, -code, -data.
  error jsonb,
  settled_at timestamptz(3),
  primary key (outbox_id, consumer),
  check ((state = 'pending') = (settled_at is null))
);
create index deliveries_pending on deliveries (consumer, due_at) where state = 'pending';
-- What the ledger does not have yet; a settled row leaves the index, so an append reads only its own batch.
create index deliveries_unaudited on deliveries (outbox_id) where consumer = 'audit-sink' and state <> 'done';
create index deliveries_quarantined on deliveries (consumer, settled_at) where state = 'quarantined';

-- One row per issue or pull request. Every transition of its runs and changes takes this row's lock first.
create table subjects (
  project_id uuid not null references projects (id),
  id text not null,
  kind text not null check (kind in ('issue', 'pull_request')),
  number integer not null check (number > 0),
  primary key (project_id, id)
);

create table blobs (
  digest text primary key check (digest ~ '^[0-9a-f]{64}$'),
  bytes bytea not null,
  created_at timestamptz(3) not null default now()
);

create table bundles (
  -- SHA-256 over the RFC 8785 form of the manifest.
  digest text primary key check (digest ~ '^[0-9a-f]{64}$'),
  manifest jsonb not null,
  created_at timestamptz(3) not null default now()
);

create table changes (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null,
  subject_id text not null,
  base_ref text not null,
  base_commit text not null check (base_commit ~ '^[0-9a-f]{40}$'),
  branch text not null check (branch ~ '^agent/'),
  head_commit text check (head_commit ~ '^[0-9a-f]{40}$'),
  pull_number integer check (pull_number > 0),
  pull_url text,
  version integer not null default 1,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  foreign key (project_id, subject_id) references subjects (project_id, id),
  unique (project_id, branch),
  unique (project_id, pull_number)
);

create table runs (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null,
  provider text not null,
  instance text not null,
  repository_id text not null,
  subject_id text not null,
  subject_number integer not null,
  -- The forge's own id of the label event: one intent, one run, for ever.
  label_event_id text not null check (length(label_event_id) between 1 and 100),
  label text not null,
  stage text not null,
  requester_id text not null,
  requester_login text not null,
  requested_at timestamptz(3) not null,
  state text not null check (state in
    ('refused', 'waiting_approval', 'queued', 'starting', 'running', 'publishing', 'succeeded', 'failed', 'cancelled')),
  -- Why it is in this state, a code of the table in shared/workflow/reasons.ts.
  reason text,
  detail text,
  version integer not null default 1,
  -- When the router last looked whether the requester may still ask; a run that waited is judged again before it starts.
  judged_at timestamptz(3) not null default now(),
  bundle_digest text references bundles (digest),
  change_id uuid references changes (id),
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  foreign key (project_id, subject_id) references subjects (project_id, id),
  unique (provider, instance, repository_id, subject_id, label_event_id),
  check (state in ('refused', 'cancelled', 'failed') or (bundle_digest is not null and change_id is not null)),
  check (state not in ('refused', 'cancelled', 'failed') or reason is not null)
);
-- The second wall: whatever the keys say, two runs of one stage are never active on one subject.
create unique index runs_active on runs (project_id, subject_id, stage)
  where state in ('waiting_approval', 'queued', 'starting', 'running', 'publishing');
create index runs_queue on runs (project_id, created_at, id) where state = 'queued';

create sequence fences;

create table attempts (
  run_id uuid not null references runs (id),
  attempt integer not null check (attempt > 0),
  -- Grows with every attempt of every run. A result that carries a smaller one than its run's newest is refused.
  fence bigint not null unique default nextval('fences'),
  state text not null default 'intended' check (state in ('intended', 'created', 'finished', 'lost', 'stopped')),
  -- The result manifest is a blob, in RFC 8785 form: events and the ledger hold its digest, which also tells a repeated
  -- result from another one.
  result_digest text references blobs (digest),
  reason text,
  deadline_at timestamptz(3) not null,
  last_seen_at timestamptz(3),
  progressed_at timestamptz(3),
  created_at timestamptz(3) not null default now(),
  finished_at timestamptz(3),
  primary key (run_id, attempt),
  check ((state = 'finished') = (result_digest is not null))
);
-- One attempt of a run at a time.
create unique index attempts_open on attempts (run_id) where state in ('intended', 'created');

-- Effects outside: committed before they are tried, so that a crash between try and record is found again.
create table intents (
  id uuid primary key default gen_random_uuid(),
  kind text not null check (kind in ('job', 'comment', 'pull_request')),
  -- The name under which the effect can be found again: the Job's name, the marker of a comment, the branch.
  name text not null,
  run_id uuid not null references runs (id),
  attempt integer,
  state text not null default 'intended' check (state in ('intended', 'done', 'gone')),
  -- What the other side calls it: the Job's uid, the comment's id, the pull request's number.
  external_id text,
  created_at timestamptz(3) not null default now(),
  settled_at timestamptz(3),
  unique (kind, name),
  foreign key (run_id, attempt) references attempts (run_id, attempt),
  check ((kind = 'job') = (attempt is not null)),
  check (state = 'intended' or settled_at is not null)
);

-- Jobs that may still be there.
create index intents_jobs on intents (run_id) where kind = 'job' and state <> 'gone';

create table uploads (
  run_id uuid not null,
  attempt integer not null,
  digest text not null references blobs (digest),
  primary key (run_id, attempt, digest),
  foreign key (run_id, attempt) references attempts (run_id, attempt)
);

create table progress (
  run_id uuid not null,
  attempt integer not null,
  sequence integer not null check (sequence > 0),
  kind text not null,
  text text not null,
  at timestamptz(3) not null default now(),
  primary key (run_id, attempt, sequence),
  foreign key (run_id, attempt) references attempts (run_id, attempt)
);

create table model_calls (
  id uuid primary key default gen_random_uuid(),
  run_id uuid not null,
  attempt integer not null,
  state text not null default 'reserved' check (state in ('reserved', 'settled', 'charged')),
  reserved_tokens bigint not null check (reserved_tokens > 0),
  -- What the budget is charged: the reservation until the model has said what it used.
  charged_tokens bigint not null check (charged_tokens >= 0),
  input_tokens bigint,
  output_tokens bigint,
  expires_at timestamptz(3) not null,
  created_at timestamptz(3) not null default now(),
  foreign key (run_id, attempt) references attempts (run_id, attempt)
);
create index model_calls_run on model_calls (run_id);
-- One stream per run.
create unique index model_calls_open on model_calls (run_id) where state = 'reserved';

create table approvals (
  id uuid primary key default gen_random_uuid(),
  run_id uuid not null unique references runs (id),
  bundle_digest text not null references bundles (digest),
  policy jsonb not null,
  state text not null default 'pending' check (state in ('pending', 'approved', 'denied', 'expired', 'stale')),
  version integer not null default 1,
  requested_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  decided_at timestamptz(3),
  check ((state = 'pending') = (decided_at is null))
);

create table decisions (
  -- Idempotency key of the command: the comment's id, the label event's id, the API's key.
  key text primary key,
  approval_id uuid not null references approvals (id),
  actor_id text not null,
  decision text not null check (decision in ('approve', 'deny')),
  reason text,
  decided_at timestamptz(3) not null default now(),
  unique (approval_id, actor_id)
);

-- issue -> run -> approval -> change -> deployment, as one query.
create table links (
  from_kind text not null,
  from_id text not null,
  relation text not null,
  to_kind text not null,
  to_id text not null,
  created_at timestamptz(3) not null default now(),
  primary key (from_kind, from_id, relation, to_kind, to_id)
);

create table comments (
  run_id uuid primary key references runs (id),
  -- The forge's id of the comment, once it is known to exist.
  comment_id text,
  -- sha256 of the text the comment shows, so that nothing is written that is there already.
  shown text,
  edited_at timestamptz(3),
  -- Events seen and events shown: while they differ, somebody has to render again.
  wanted integer not null default 0,
  done integer not null default 0,
  lease uuid,
  lease_until timestamptz(3)
);

create index comments_behind on comments (run_id) where wanted > done;

create table ledger (
  seq bigint primary key check (seq > 0),
  outbox_id uuid not null unique references outbox (id),
  previous text not null check (previous ~ '^[0-9a-f]{64}$'),
  hash text not null unique check (hash ~ '^[0-9a-f]{64}$'),
  -- RFC 8785 form, the bytes that were hashed.
  entry text not null
);

-- accepted = done + pending + quarantined, and nothing is lost: the condition of the whole protocol as one row.
create view accounting as
with accepted as (
  select inbox.id, inbox.state as inbox_state, outbox.id as outbox_id
  from inbox left join outbox on outbox.inbox_id = inbox.id
), settled as (
  select outbox.id,
    bool_or(deliveries.state = 'quarantined') as quarantined,
    bool_or(deliveries.state = 'pending') as pending
  from outbox left join deliveries on deliveries.outbox_id = outbox.id group by outbox.id
)
select
  (select count(*) from accepted)::int as accepted,
  (select count(*) from accepted join settled on settled.id = outbox_id where not quarantined and not pending)::int as done,
  (select count(*) from accepted join settled on settled.id = outbox_id where pending and not quarantined)::int as pending,
  (select count(*) from accepted left join settled on settled.id = outbox_id
    where inbox_state = 'quarantined' or quarantined)::int as quarantined,
  (select count(*) from accepted where inbox_state = 'accepted' and outbox_id is null)::int
    + (select count(*) from settled where pending is null)::int as lost,
  (select count(*) from deliveries where state = 'pending')::int as deliveries_pending,
  (select count(*) from deliveries where state = 'quarantined')::int as deliveries_quarantined,
  (select count(*) from outbox where sent_at is null)::int as unsent;
