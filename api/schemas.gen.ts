// Generated from openapi.yaml by npm run generate. Do not edit.

import * as v from 'valibot';

export const vProblem = v.strictObject({
    type: v.string(),
    title: v.string(),
    status: v.pipe(v.number(), v.integer()),
    code: v.string(),
    detail: v.optional(v.string())
});

export const vRole = v.picklist([
    'viewer',
    'operator',
    'admin'
]);

export const vPerson = v.strictObject({
    user: v.string(),
    groups: v.array(v.string()),
    roles: v.array(v.strictObject({
        role: vRole,
        project: v.nullable(v.pipe(v.string(), v.uuid()))
    }))
});

export const vRunState = v.picklist([
    'refused',
    'waiting_approval',
    'queued',
    'starting',
    'running',
    'publishing',
    'succeeded',
    'failed',
    'cancelled'
]);

export const vActor = v.strictObject({
    id: v.string(),
    login: v.string()
});

export const vReason = v.strictObject({
    code: v.string(),
    says: v.string(),
    next: v.string()
});

export const vChange = v.strictObject({
    id: v.pipe(v.string(), v.uuid()),
    branch: v.string(),
    base: v.string(),
    pull: v.nullable(v.strictObject({
        number: v.pipe(v.number(), v.integer()),
        url: v.nullable(v.string())
    }))
});

export const vAttempt = v.strictObject({
    attempt: v.pipe(v.number(), v.integer()),
    state: v.picklist([
        'intended',
        'created',
        'finished',
        'lost',
        'stopped'
    ]),
    reason: v.nullable(v.string()),
    createdAt: v.pipe(v.string(), v.isoTimestamp()),
    deadlineAt: v.pipe(v.string(), v.isoTimestamp()),
    lastSeenAt: v.nullable(v.pipe(v.string(), v.isoTimestamp())),
    finishedAt: v.nullable(v.pipe(v.string(), v.isoTimestamp())),
    job: v.nullable(v.string())
});

export const vDecision = v.strictObject({
    actor: vActor,
    decision: v.picklist(['approve', 'deny']),
    reason: v.nullable(v.string()),
    source: v.picklist([
        'comment',
        'label',
        'api'
    ]),
    refusal: v.nullable(v.string()),
    decidedAt: v.pipe(v.string(), v.isoTimestamp())
});

export const vApproval = v.strictObject({
    state: v.picklist([
        'pending',
        'approved',
        'denied',
        'expired',
        'stale',
        'withdrawn'
    ]),
    digest: v.string(),
    quorum: v.pipe(v.number(), v.integer()),
    requestedAt: v.pipe(v.string(), v.isoTimestamp()),
    expiresAt: v.pipe(v.string(), v.isoTimestamp()),
    decidedAt: v.nullable(v.pipe(v.string(), v.isoTimestamp())),
    consumedAt: v.nullable(v.pipe(v.string(), v.isoTimestamp())),
    decisions: v.array(vDecision)
});

export const vLink = v.strictObject({
    fromKind: v.string(),
    fromId: v.string(),
    relation: v.string(),
    toKind: v.string(),
    toId: v.string()
});

export const vRunLogs = v.strictObject({
    lines: v.array(v.strictObject({
        attempt: v.pipe(v.number(), v.integer()),
        sequence: v.pipe(v.number(), v.integer()),
        kind: v.string(),
        text: v.string(),
        at: v.pipe(v.string(), v.isoTimestamp())
    })),
    next: v.string(),
    over: v.boolean()
});

/**
 * One line of text; control characters become spaces
 */
export const vLine = v.pipe(v.string(), v.minLength(1), v.maxLength(300));

export const vWhy = v.strictObject({
    reason: v.optional(vLine)
});

export const vConsumer = v.picklist([
    'label-router',
    'approval-gate',
    'stage-dispatcher',
    'change-publisher',
    'status-reporter',
    'audit-sink'
]);

export const vEvent = v.strictObject({
    id: v.pipe(v.string(), v.uuid()),
    seq: v.pipe(v.number(), v.integer()),
    type: v.string(),
    subject: v.string(),
    producer: v.string(),
    project: v.nullable(v.pipe(v.string(), v.uuid())),
    createdAt: v.pipe(v.string(), v.isoTimestamp()),
    sent: v.boolean(),
    deliveries: v.strictObject({
        done: v.pipe(v.number(), v.integer()),
        pending: v.pipe(v.number(), v.integer()),
        quarantined: v.pipe(v.number(), v.integer())
    })
});

export const vEventList = v.strictObject({
    events: v.array(vEvent),
    next: v.nullable(v.string())
});

export const vDelivery = v.strictObject({
    consumer: vConsumer,
    state: v.picklist([
        'pending',
        'done',
        'quarantined'
    ]),
    attempts: v.pipe(v.number(), v.integer()),
    dueAt: v.pipe(v.string(), v.isoTimestamp()),
    outcome: v.nullable(v.string()),
    error: v.nullable(v.record(v.string(), v.unknown())),
    settledAt: v.nullable(v.pipe(v.string(), v.isoTimestamp()))
});

export const vDeadLetter = v.strictObject({
    event: v.pipe(v.string(), v.uuid()),
    consumer: vConsumer,
    type: v.string(),
    subject: v.string(),
    project: v.nullable(v.pipe(v.string(), v.uuid())),
    outcome: v.nullable(v.string()),
    attempts: v.pipe(v.number(), v.integer()),
    quarantinedAt: v.pipe(v.string(), v.isoTimestamp())
});

export const vDeadLetterList = v.strictObject({
    deadLetters: v.array(vDeadLetter),
    next: v.nullable(v.string())
});

export const vDeliveryRef = v.strictObject({
    event: v.pipe(v.string(), v.uuid()),
    consumer: vConsumer
});

export const vRedriveRequest = v.strictObject({
    deliveries: v.pipe(v.array(vDeliveryRef), v.minLength(1), v.maxLength(100))
});

export const vRedriven = v.strictObject({
    redriven: v.array(vDeliveryRef),
    left: v.array(vDeliveryRef)
});

export const vWebhook = v.strictObject({
    id: v.pipe(v.string(), v.uuid()),
    hook: v.string(),
    deliveryId: v.string(),
    name: v.string(),
    project: v.nullable(v.pipe(v.string(), v.uuid())),
    reason: v.string(),
    receivedAt: v.pipe(v.string(), v.isoTimestamp())
});

export const vWebhookList = v.strictObject({
    webhooks: v.array(vWebhook),
    next: v.nullable(v.string())
});

/**
 * owner/name
 */
export const vRepositoryName = v.pipe(v.string(), v.maxLength(200), v.regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}\/[A-Za-z0-9._-]{1,100}$/));

export const vRun = v.strictObject({
    id: v.pipe(v.string(), v.uuid()),
    project: v.pipe(v.string(), v.uuid()),
    repository: vRepositoryName,
    number: v.pipe(v.number(), v.integer()),
    stage: v.string(),
    label: v.string(),
    state: vRunState,
    reason: v.nullable(vReason),
    detail: v.nullable(v.string()),
    requester: vActor,
    requestedAt: v.pipe(v.string(), v.isoTimestamp()),
    createdAt: v.pipe(v.string(), v.isoTimestamp()),
    updatedAt: v.pipe(v.string(), v.isoTimestamp()),
    change: v.nullable(vChange),
    retryOf: v.nullable(v.pipe(v.string(), v.uuid()))
});

export const vRunList = v.strictObject({
    runs: v.array(vRun),
    next: v.nullable(v.string())
});

export const vRunDetails = v.strictObject({
    run: vRun,
    digest: v.nullable(v.string()),
    tokens: v.strictObject({
        charged: v.pipe(v.number(), v.integer()),
        budget: v.nullable(v.pipe(v.number(), v.integer()))
    }),
    attempts: v.array(vAttempt),
    approval: v.nullable(vApproval),
    events: v.array(vEvent),
    links: v.array(vLink)
});

export const vRunChange = v.strictObject({
    run: vRun,
    changed: v.boolean()
});

export const vProjectState = v.picklist(['connected', 'disconnected']);

export const vHook = v.strictObject({
    id: v.string(),
    path: v.string(),
    secretName: v.string(),
    state: v.picklist(['waiting', 'connected']),
    problem: v.nullable(v.string()),
    lastDeliveryAt: v.nullable(v.pipe(v.string(), v.isoTimestamp()))
});

export const vProject = v.strictObject({
    id: v.pipe(v.string(), v.uuid()),
    provider: v.picklist(['github', 'gitlab']),
    instance: v.string(),
    repository: vRepositoryName,
    repositoryId: v.string(),
    state: vProjectState,
    maxActive: v.pipe(v.number(), v.integer()),
    runNamespace: v.nullable(v.string()),
    createdAt: v.pipe(v.string(), v.isoTimestamp()),
    hook: v.nullable(vHook)
});

export const vProjectList = v.strictObject({
    projects: v.array(vProject),
    next: v.nullable(v.string())
});

export const vNewProject = v.strictObject({
    repository: vRepositoryName,
    maxActive: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000))),
    runNamespace: v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)))
});

export const vProjectChange = v.strictObject({
    project: vProject,
    changed: v.boolean()
});

export const vLabelSync = v.strictObject({
    created: v.array(v.string()),
    repaired: v.array(v.string()),
    unchanged: v.pipe(v.number(), v.integer())
});

export const vPingAsked = v.strictObject({
    askedAt: v.pipe(v.string(), v.isoTimestamp())
});

export const vCheckName = v.picklist([
    'database',
    'migrations',
    'ledger',
    'outbox',
    'deliveries',
    'quarantine',
    'forge',
    'hooks',
    'model',
    'sweep'
]);

export const vCheck = v.strictObject({
    name: vCheckName,
    status: v.picklist([
        'ok',
        'warning',
        'failed',
        'unknown'
    ]),
    says: v.string(),
    next: v.nullable(v.string())
});

export const vChecks = v.strictObject({
    at: v.pipe(v.string(), v.isoTimestamp()),
    checks: v.array(vCheck)
});

/**
 * SEQ:HASH
 */
export const vLedgerHead = v.pipe(v.string(), v.regex(/^[0-9]{1,15}:[0-9a-f]{64}$/));

export const vLedgerEntry = v.strictObject({
    seq: v.pipe(v.number(), v.integer()),
    hash: v.string()
});

export const vEventDetails = v.strictObject({
    event: vEvent,
    source: v.string(),
    eventId: v.string(),
    extensions: v.record(v.string(), v.string()),
    data: v.unknown(),
    deliveries: v.array(vDelivery),
    ledger: v.nullable(vLedgerEntry)
});

export const vPing = v.strictObject({
    state: v.picklist([
        'waiting',
        'received',
        'sent',
        'in_ledger'
    ]),
    receivedAt: v.nullable(v.pipe(v.string(), v.isoTimestamp())),
    event: v.nullable(v.pipe(v.string(), v.uuid())),
    ledger: v.nullable(vLedgerEntry)
});

export const vLedger = v.strictObject({
    head: vLedgerHead,
    behind: v.pipe(v.number(), v.integer())
});

export const vLedgerVerification = v.strictObject({
    ok: v.boolean(),
    head: vLedgerHead,
    more: v.boolean(),
    problem: v.nullable(v.strictObject({
        seq: v.pipe(v.number(), v.integer()),
        says: v.string()
    }))
});

export const vGrant = v.strictObject({
    id: v.pipe(v.string(), v.uuid()),
    kind: v.picklist(['user', 'group']),
    name: v.string(),
    role: vRole,
    project: v.nullable(v.pipe(v.string(), v.uuid())),
    grantedBy: v.string(),
    grantedAt: v.pipe(v.string(), v.isoTimestamp())
});

export const vGrantList = v.strictObject({
    grants: v.array(vGrant),
    next: v.nullable(v.string())
});

export const vNewGrant = v.strictObject({
    kind: v.picklist(['user', 'group']),
    name: v.pipe(v.string(), v.regex(/^[!-~]{1,253}$/)),
    role: vRole,
    project: v.optional(v.pipe(v.string(), v.uuid()))
});

export const vGrantChange = v.strictObject({
    grant: vGrant,
    changed: v.boolean()
});

export const vRun2 = v.pipe(v.string(), v.uuid());

/**
 * Id of the outbox row
 */
export const vEvent2 = v.pipe(v.string(), v.uuid());

export const vProject2 = v.pipe(v.string(), v.uuid());

export const vLimit = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 50);

/**
 * `next` of the answer before
 */
export const vCursor = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,200}$/));

/**
 * You
 */
export const vWhoamiResponse = vPerson;

export const vListRunsQuery = v.object({
    project: v.optional(v.pipe(v.string(), v.uuid())),
    state: v.optional(vRunState),
    stage: v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,40}$/))),
    number: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(2147483647))),
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 50),
    cursor: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,200}$/)))
});

/**
 * A part of the list
 */
export const vListRunsResponse = vRunList;

export const vGetRunPath = v.object({
    run: v.pipe(v.string(), v.uuid())
});

/**
 * The run
 */
export const vGetRunResponse = vRunDetails;

export const vGetRunLogsPath = v.object({
    run: v.pipe(v.string(), v.uuid())
});

export const vGetRunLogsQuery = v.object({
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 50),
    cursor: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,200}$/)))
});

/**
 * Lines
 */
export const vGetRunLogsResponse = vRunLogs;

export const vCancelRunBody = vWhy;

export const vCancelRunPath = v.object({
    run: v.pipe(v.string(), v.uuid())
});

/**
 * The run as it is now
 */
export const vCancelRunResponse = vRunChange;

export const vRetryRunPath = v.object({
    run: v.pipe(v.string(), v.uuid())
});

/**
 * The new run
 */
export const vRetryRunResponse = vRunChange;

export const vListEventsQuery = v.object({
    project: v.optional(v.pipe(v.string(), v.uuid())),
    run: v.optional(v.pipe(v.string(), v.uuid())),
    type: v.optional(v.pipe(v.string(), v.regex(/^[a-zA-Z0-9._-]{1,100}$/))),
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 50),
    cursor: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,200}$/)))
});

/**
 * A part of the list
 */
export const vListEventsResponse = vEventList;

export const vGetEventPath = v.object({
    event: v.pipe(v.string(), v.uuid())
});

/**
 * The event
 */
export const vGetEventResponse = vEventDetails;

export const vRedriveEventPath = v.object({
    event: v.pipe(v.string(), v.uuid())
});

/**
 * What was put back
 */
export const vRedriveEventResponse = vRedriven;

export const vListDeadLettersQuery = v.object({
    project: v.optional(v.pipe(v.string(), v.uuid())),
    consumer: v.optional(vConsumer),
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 50),
    cursor: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,200}$/)))
});

/**
 * A part of the list
 */
export const vListDeadLettersResponse = vDeadLetterList;

export const vRedriveDeadLettersBody = vRedriveRequest;

/**
 * What was put back
 */
export const vRedriveDeadLettersResponse = vRedriven;

export const vListQuarantinedWebhooksQuery = v.object({
    project: v.optional(v.pipe(v.string(), v.uuid())),
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 50),
    cursor: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,200}$/)))
});

/**
 * A part of the list
 */
export const vListQuarantinedWebhooksResponse = vWebhookList;

export const vListProjectsQuery = v.object({
    state: v.optional(vProjectState),
    repository: v.optional(vRepositoryName),
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 50),
    cursor: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,200}$/)))
});

/**
 * A part of the list
 */
export const vListProjectsResponse = vProjectList;

export const vAddProjectBody = vNewProject;

/**
 * The project
 */
export const vAddProjectResponse = vProjectChange;

export const vRemoveProjectPath = v.object({
    project: v.pipe(v.string(), v.uuid())
});

/**
 * The project
 */
export const vRemoveProjectResponse = vProjectChange;

export const vGetProjectPath = v.object({
    project: v.pipe(v.string(), v.uuid())
});

/**
 * The project
 */
export const vGetProjectResponse = vProject;

export const vConnectProjectPath = v.object({
    project: v.pipe(v.string(), v.uuid())
});

/**
 * The project
 */
export const vConnectProjectResponse = vProjectChange;

export const vSyncLabelsPath = v.object({
    project: v.pipe(v.string(), v.uuid())
});

/**
 * What was done
 */
export const vSyncLabelsResponse = vLabelSync;

export const vGetPingPath = v.object({
    project: v.pipe(v.string(), v.uuid())
});

export const vGetPingQuery = v.object({
    since: v.pipe(v.string(), v.isoTimestamp())
});

/**
 * How far it is
 */
export const vGetPingResponse = vPing;

export const vPingProjectPath = v.object({
    project: v.pipe(v.string(), v.uuid())
});

/**
 * When it was asked for
 */
export const vPingProjectResponse = vPingAsked;

/**
 * The checks
 */
export const vGetChecksResponse = vChecks;

/**
 * The head
 */
export const vGetLedgerResponse = vLedger;

export const vVerifyLedgerQuery = v.object({
    after: v.optional(vLedgerHead)
});

/**
 * What was found
 */
export const vVerifyLedgerResponse = vLedgerVerification;

export const vListGrantsQuery = v.object({
    limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 50),
    cursor: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,200}$/)))
});

/**
 * A part of the list
 */
export const vListGrantsResponse = vGrantList;

export const vAddGrantBody = vNewGrant;

/**
 * The grant
 */
export const vAddGrantResponse = vGrantChange;

export const vRevokeGrantPath = v.object({
    grant: v.pipe(v.string(), v.uuid())
});

/**
 * The grant
 */
export const vRevokeGrantResponse = vGrantChange;
