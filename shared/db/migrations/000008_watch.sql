-- Where a run belongs in a trace: W3C trace context of the span that created it. Everything that happens to the run later
-- continues it, however long that takes and whoever is asked; null where nothing was traced.
alter table runs add column traceparent text check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$');

-- For the metrics of the last hour. The inbox only grows and its rows never change, so a range index costs next to nothing.
create index inbox_received on inbox using brin (received_at) with (autosummarize = on, pages_per_range = 32);
create index model_calls_created on model_calls (created_at);
