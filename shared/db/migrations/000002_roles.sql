-- Who may do what. Functions log in as members of `codex_k8s_functions`: they work on every table and only read the ledger.
-- audit-sink logs in as a member of `codex_k8s_audit`, which may call `ledger_append` and nothing else. Whoever migrates owns
-- everything and is used by no function. Roles belong to the server: another database may have made them just now.
do $$
declare
  role name;
begin
  foreach role in array array['codex_k8s_functions', 'codex_k8s_audit'] loop
    if not exists (select from pg_roles where rolname = role) then
      begin
        execute format('create role %I nologin', role);
      exception when duplicate_object or unique_violation then null;
      end;
    end if;
  end loop;
end $$;

revoke create on schema public from public;
grant usage on schema public to codex_k8s_functions, codex_k8s_audit;

grant select, insert, update, delete on all tables in schema public to codex_k8s_functions;
grant usage on all sequences in schema public to codex_k8s_functions;
alter default privileges in schema public grant select, insert, update, delete on tables to codex_k8s_functions;
alter default privileges in schema public grant usage on sequences to codex_k8s_functions;

revoke insert, update, delete on ledger from codex_k8s_functions;
revoke all on migrations, accounting from codex_k8s_functions;
grant select on accounting to codex_k8s_functions;
-- What was accepted or said stays; of an event only how far it has travelled may change.
revoke delete on inbox, deliveries from codex_k8s_functions;
revoke update, delete on outbox from codex_k8s_functions;
grant update (due_at, attempts, lease, lease_until, sent_at) on outbox to codex_k8s_functions;

-- History is not edited, by nobody's mistake.
create function ledger_is_history() returns trigger language plpgsql as $$
begin
  raise exception 'the ledger is only ever appended to' using errcode = 'insufficient_privilege';
end $$;
create trigger ledger_is_history before update or delete or truncate on ledger
  for each statement execute function ledger_is_history();

-- Only the ledger settles a delivery to the ledger: nobody makes a record pass for one that is in it.
create function delivery_is_in_ledger() returns trigger language plpgsql as $$
begin
  if not exists (select from public.ledger where outbox_id = new.outbox_id) then
    raise exception 'event % is not in the ledger', new.outbox_id using errcode = 'check_violation';
  end if;
  return new;
end $$;
create trigger delivery_is_in_ledger before update on deliveries for each row
  when (new.consumer = 'audit-sink' and new.state = 'done' and old.state <> 'done')
  execute function delivery_is_in_ledger();

-- The only door to the ledger. Appends the given entries if they continue the chain after the entry `after`; if the chain
-- has grown since, nothing. Returns the head and the oldest records that are not in the ledger: what to call it with
-- next. An entry has to say exactly what its event recorded, so a caller can neither invent nor leave out a part.
--   entries  RFC 8785 text of {version, seq, outboxId, at, record}
--   hashes   as functions/audit-sink/chain.ts makes them
create function ledger_append(after bigint, outbox_ids uuid[], entries text[], hashes text[]) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  head_seq bigint;
  head_hash text;
  wrong bigint;
  oldest uuid[];
begin
  if cardinality(outbox_ids) <> cardinality(entries) or cardinality(outbox_ids) <> cardinality(hashes) then
    raise exception 'each entry needs an event and a hash' using errcode = 'invalid_parameter_value';
  end if;
  -- One at a time. Every statement below sees what the one before us has committed.
  perform pg_advisory_xact_lock(7236420);
  select seq, hash into head_seq, head_hash from public.ledger order by seq desc limit 1;
  head_seq := coalesce(head_seq, 0);
  head_hash := coalesce(head_hash, repeat('0', 64));

  if after = head_seq and cardinality(outbox_ids) > 0 then
    select min(place) into wrong from (
      select place, coalesce(
        hash = encode(sha256(
          int4send(18) || convert_to('codex-k8s ledger 1', 'UTF8')
          || int4send(64) || convert_to(lag(hash, 1, head_hash) over in_order, 'UTF8')
          || int4send(length((head_seq + place)::text)) || convert_to((head_seq + place)::text, 'UTF8')
          || int4send(octet_length(entry)) || convert_to(entry, 'UTF8')), 'hex')
        and entry::jsonb = jsonb_build_object('version', 1, 'seq', head_seq + place, 'outboxId', outbox.id,
          'at', to_char(outbox.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'record', outbox.record)
        and deliveries.state <> 'done'
        and outbox.seq > lag(outbox.seq, 1, 0::bigint) over in_order, false) as fits
      from unnest(outbox_ids, entries, hashes) with ordinality as given (outbox_id, entry, hash, place)
      left join public.outbox on outbox.id = given.outbox_id
      left join public.deliveries on deliveries.outbox_id = given.outbox_id and deliveries.consumer = 'audit-sink'
      window in_order as (order by place)
    ) checked where not fits;
    if wrong is not null then
      raise exception 'the entry for event % does not continue the ledger', outbox_ids[wrong] using errcode = 'check_violation';
    end if;
    insert into public.ledger (seq, outbox_id, previous, hash, entry)
    select head_seq + place, outbox_id, lag(hash, 1, head_hash) over (order by place), hash, entry
    from unnest(outbox_ids, entries, hashes) with ordinality as given (outbox_id, entry, hash, place);
    update public.deliveries set state = 'done', outcome = 'in the ledger', error = null, settled_at = now()
    where consumer = 'audit-sink' and outbox_id = any(outbox_ids);
    head_seq := head_seq + cardinality(outbox_ids);
    head_hash := hashes[cardinality(hashes)];
  end if;

  loop
    -- By state, so that a record that committed late is not passed over.
    select array_agg(id) into oldest from (
      select outbox.id from public.deliveries join public.outbox on outbox.id = deliveries.outbox_id
      where deliveries.consumer = 'audit-sink' and deliveries.state <> 'done'
      order by outbox.seq limit 500) pending;
    -- One that somebody made pending again although it is in the ledger.
    update public.deliveries set state = 'done', outcome = 'in the ledger', error = null, settled_at = now()
    where consumer = 'audit-sink' and outbox_id = any(oldest)
      and exists (select from public.ledger where ledger.outbox_id = deliveries.outbox_id);
    exit when not found;
  end loop;
  return jsonb_build_object('head', jsonb_build_object('seq', head_seq, 'hash', head_hash), 'records', (
    select coalesce(jsonb_agg(jsonb_build_object('outboxId', id,
      'at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'record', record) order by seq), '[]')
    from public.outbox where id = any(oldest)));
end $$;
revoke all on function ledger_append(bigint, uuid[], text[], text[]) from public;
grant execute on function ledger_append(bigint, uuid[], text[], text[]) to codex_k8s_audit;
