-- Catching up with the forge, and its rate limits for all processes together. Bookkeeping: what it leads to enters through
-- the inbox or as an event, so none of these rows is history.

-- How far a hook's list of deliveries has been held against the inbox. A hook without a row is one whose list nobody can
-- read: for its repository only label events are looked for.
create table hook_checks (
  hook_id text primary key references hooks (id),
  -- The forge's own id of the hook, by which its list is read.
  forge_hook_id text not null check (forge_hook_id ~ '^[0-9]{1,20}$'),
  next_check_at timestamptz(3) not null default now() + interval '5 minutes',
  -- Every delivery that the forge lists up to this time is in the inbox or in `redeliveries`.
  checked_until timestamptz(3) not null default now(),
  -- A list too long for one round is read on from this page, and has been read down to it from this time.
  cursor text check (length(cursor) between 1 and 500),
  listed_from timestamptz(3),
  -- Why the list could not be read the last time.
  problem text check (length(problem) <= 500),
  check ((cursor is null) = (listed_from is null))
);
create index hook_checks_due on hook_checks (next_check_at);

-- Deliveries that the forge made and the inbox does not have. A row goes when its delivery has come.
create table redeliveries (
  hook_id text not null references hooks (id),
  delivery_id text not null check (length(delivery_id) between 1 and 200),
  -- The forge's id of its latest attempt, which is what it repeats.
  attempt_id text not null check (attempt_id ~ '^[0-9]{1,20}$'),
  repository_id text,
  delivered_at timestamptz(3) not null,
  state text not null default 'missing' check (state in ('missing', 'given_up')),
  -- Times that the forge was asked, and when it may be asked again.
  requests integer not null default 0,
  due_at timestamptz(3) not null default now(),
  found_at timestamptz(3) not null default now(),
  primary key (hook_id, delivery_id)
);
create index redeliveries_due on redeliveries (due_at) where state = 'missing';

-- How far a repository's label events have been held against the runs.
create table label_scans (
  project_id uuid primary key references projects (id),
  next_scan_at timestamptz(3) not null,
  scanned_until timestamptz(3) not null,
  -- As in hook_checks.
  page integer check (page > 1),
  listed_from timestamptz(3),
  check ((page is null) = (listed_from is null))
);
create index label_scans_due on label_scans (next_scan_at);
-- What was asked for before this version has been answered or is forgotten.
insert into label_scans (project_id, next_scan_at, scanned_until) select id, now(), now() from projects;

-- What one account of a forge has been granted: the time until which each rate is used up, and silence it has asked for.
create table forge_pace (
  -- Root of the forge's API and the account whose limits they are.
  instance text not null,
  account text not null,
  points_until timestamptz(3) not null,
  minute_until timestamptz(3) not null,
  hour_until timestamptz(3) not null,
  silent_until timestamptz(3) not null,
  -- Silences in a row for which the forge named no time.
  strikes integer not null default 0,
  primary key (instance, account)
);
