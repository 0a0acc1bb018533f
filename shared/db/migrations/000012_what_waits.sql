-- What waits is found without reading what is done.

-- Jobs are gone once their runs are over, comments and pull requests stay: the planner, who knows of each column alone,
-- would expect a fifth of all intents to be Jobs that may still be there, and read all runs for them.
create statistics intents_kind_state (mcv) on kind, state from intents;
analyze intents;

-- The ledger takes what is pending in order and in batches. Without the order in the row itself each batch sorts all
-- that is pending, and a backlog of a million is never worked off.
alter table deliveries add column outbox_seq bigint;
update deliveries set outbox_seq = outbox.seq from outbox
where outbox.id = outbox_id and consumer = 'audit-sink' and state <> 'done';
-- What an older release writes has no number and comes last; inside a batch the outbox's own order holds.
create index deliveries_unaudited_in_order on deliveries (outbox_seq) where consumer = 'audit-sink' and state <> 'done';
drop index deliveries_unaudited;

-- As before but for the look at what is pending.
create or replace function ledger_append(after bigint, outbox_ids uuid[], entries text[], hashes text[]) returns jsonb
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
    select array_agg(outbox_id) into oldest from (
      select outbox_id from public.deliveries
      where consumer = 'audit-sink' and state <> 'done'
      order by outbox_seq limit 500) pending;
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
