-- A ledger of schema version 1, with a source that had run for a while: the file that every later version must read.
PRAGMA application_id = 1096041816;
CREATE TABLE meta (key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key));
CREATE TABLE sources (source TEXT NOT NULL, first_start BIGINT NOT NULL, watermark BIGINT, PRIMARY KEY (source));
CREATE TABLE runs (
    source TEXT NOT NULL, task_id TEXT NOT NULL, run TEXT NOT NULL,
    opened BOOLEAN NOT NULL, counted BOOLEAN NOT NULL, status TEXT, operation TEXT,
    finished_at BIGINT, duration BIGINT, queued BIGINT,
    PRIMARY KEY (source, task_id, run)
) WITHOUT ROWID;
CREATE TABLE series (
    birth INTEGER NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL, value BIGINT NOT NULL,
    PRIMARY KEY (birth), UNIQUE (name, labels)
);
CREATE TABLE buckets (
    birth BIGINT NOT NULL, bucket INTEGER NOT NULL, count BIGINT NOT NULL, PRIMARY KEY (birth, bucket)
) WITHOUT ROWID;
CREATE TABLE latest (
    source TEXT NOT NULL, operation TEXT NOT NULL,
    success_at BIGINT, finish_at BIGINT, duration BIGINT,
    PRIMARY KEY (source, operation)
);
CREATE TABLE entries (
    source TEXT NOT NULL, task_id TEXT NOT NULL, run TEXT NOT NULL, entry TEXT NOT NULL,
    PRIMARY KEY (source, task_id, run)
);
CREATE TABLE watched (
    source TEXT NOT NULL, task_id TEXT NOT NULL, operation TEXT NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (source, task_id)
);
CREATE TABLE scrapers (
    key TEXT NOT NULL, seen BIGINT NOT NULL, last BIGINT NOT NULL, interval DOUBLE NOT NULL, PRIMARY KEY (key)
);
CREATE TABLE outbox (id INTEGER NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL, PRIMARY KEY (id), UNIQUE (event));

INSERT INTO meta VALUES ('schema_version', '1'), ('released', '9'),
    ('bounds:asynctask_duration_seconds', '[1, 10]'), ('bounds:asynctask_queue_duration_seconds', '[1, 10]');
INSERT INTO sources VALUES ('epm', 1767268800000000, 1767272400000000);
INSERT INTO runs VALUES
    ('epm', '1', '#0', 1, 1, 'success', 'import', 1767268805000000, 5000000, 1000000),
    ('epm', '2', '#0', 1, 1, 'success', 'import', 1767268803000000, 500000, NULL),
    ('epm', '3', '#0', 0, 1, 'error', 'import', 1767268806000000, 20000000, NULL),
    ('epm', '4', '#0', 1, 0, NULL, NULL, NULL, NULL, NULL);
INSERT INTO series VALUES
    (1, 'asynctask_discovered_total', '["epm", "import"]', 4),
    (2, 'asynctask_finished_total', '["epm", "import", "success"]', 2),
    (3, 'asynctask_finished_total', '["epm", "import", "error"]', 1),
    (4, 'asynctask_errors_total', '["epm", "import", "E7"]', 1),
    (5, 'asynctask_duration_seconds', '["epm", "import", "success"]', 5500000),
    (6, 'asynctask_duration_seconds', '["epm", "import", "error"]', 20000000),
    (7, 'asynctask_queue_duration_seconds', '["epm", "import"]', 1000000);
INSERT INTO buckets VALUES (5, 0, 1), (5, 1, 1), (6, 2, 1), (7, 0, 1);
INSERT INTO latest VALUES ('epm', 'import', 1767268805000000, 1767268806000000, 20000000);
INSERT INTO entries VALUES ('epm', '4', '#0', '{"task": {"id": "4", "status": "running", "operation": "import"},
    "run": "#0", "first_seen": {"wall": "2026-01-01T12:00:00Z", "mono": 7.5},
    "since": {"wall": "2026-01-01T12:00:00Z", "mono": 7.5}, "moved": {"wall": "2026-01-01T12:00:00Z", "mono": 7.5}}');
INSERT INTO watched VALUES ('epm', '4', 'import', 'Nightly import');
INSERT INTO scrapers VALUES ('10.0.0.1', 9, 1767272400000000, 15.0);
