-- Settings for what every event goes through; nothing here changes what a row says.

-- Each row is updated once or twice within a second and then never again. By default the dead versions would stay until a
-- fifth of the table is dead, which is never in a table that keeps every row, and looks for what is unsent or pending
-- would wade through them.
alter table outbox set (
  fillfactor = 90,
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
alter table deliveries set (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000);
-- A comment's row is counted up with every event about its run, and no index covers what changes.
alter table comments set (fillfactor = 70);
