-- Where an intent's Job is, chosen and committed with the intent: a setting that changes later does not lose sight of it. Null
-- where Jobs have one place only, and for every other kind of intent.
alter table intents add column namespace text
  check (namespace is null or (kind = 'job' and namespace ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'));
