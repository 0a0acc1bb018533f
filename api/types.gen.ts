// Generated from openapi.yaml by npm run generate. Do not edit.

export type ClientOptions = {
    baseUrl: 'http://staff-api.codex-k8s.svc.cluster.local' | (string & {});
};

export type Problem = {
    type: string;
    title: string;
    status: number;
    code: string;
    /**
     * What to do next
     */
    detail?: string;
};

export type Role = 'viewer' | 'operator' | 'admin';

export type Person = {
    /**
     * As the cluster knows you
     */
    user: string;
    groups: Array<string>;
    roles: Array<{
        role: Role;
        /**
         * Null: on all projects
         */
        project: string | null;
    }>;
};

export type RunState = 'refused' | 'waiting_approval' | 'queued' | 'starting' | 'running' | 'publishing' | 'succeeded' | 'failed' | 'cancelled';

export type Actor = {
    /**
     * The forge's numeric id
     */
    id: string;
    login: string;
};

export type Run = {
    id: string;
    project: string;
    repository: RepositoryName;
    /**
     * Of the issue or pull request
     */
    number: number;
    stage: string;
    label: string;
    state: RunState;
    /**
     * Why it is in this state; what it means and what to do next
     */
    reason: Reason | null;
    detail: string | null;
    requester: Actor;
    requestedAt: string;
    createdAt: string;
    updatedAt: string;
    change: Change | null;
    /**
     * The failed run that this one repeats
     */
    retryOf: string | null;
};

export type Reason = {
    code: string;
    says: string;
    next: string;
};

export type Change = {
    id: string;
    branch: string;
    /**
     * Commit it starts from
     */
    base: string;
    pull: {
        number: number;
        url: string | null;
    } | null;
};

export type RunList = {
    runs: Array<Run>;
    next: string | null;
};

export type Attempt = {
    attempt: number;
    state: 'intended' | 'created' | 'finished' | 'lost' | 'stopped';
    reason: string | null;
    createdAt: string;
    deadlineAt: string;
    lastSeenAt: string | null;
    finishedAt: string | null;
    /**
     * Name of its Kubernetes Job
     */
    job: string | null;
};

export type Decision = {
    actor: Actor;
    decision: 'approve' | 'deny';
    reason: string | null;
    source: 'comment' | 'label' | 'api';
    /**
     * Why it does not count; null: it counts
     */
    refusal: string | null;
    decidedAt: string;
};

export type Approval = {
    state: 'pending' | 'approved' | 'denied' | 'expired' | 'stale' | 'withdrawn';
    /**
     * Of the bundle that is approved
     */
    digest: string;
    /**
     * Approvals that are needed
     */
    quorum: number;
    requestedAt: string;
    expiresAt: string;
    decidedAt: string | null;
    consumedAt: string | null;
    decisions: Array<Decision>;
};

export type Link = {
    fromKind: string;
    fromId: string;
    relation: string;
    toKind: string;
    toId: string;
};

export type RunDetails = {
    run: Run;
    /**
     * Of its input bundle
     */
    digest: string | null;
    tokens: {
        charged: number;
        budget: number | null;
    };
    attempts: Array<Attempt>;
    approval: Approval | null;
    /**
     * Oldest first, the first 200
     */
    events: Array<Event>;
    links: Array<Link>;
};

export type RunLogs = {
    lines: Array<{
        attempt: number;
        sequence: number;
        kind: string;
        text: string;
        at: string;
    }>;
    /**
     * Cursor of what comes after these lines
     */
    next: string;
    /**
     * The run has ended
     */
    over: boolean;
};

export type Why = {
    reason?: Line;
};

/**
 * One line of text; control characters become spaces
 */
export type Line = string;

export type RunChange = {
    run: Run;
    /**
     * False: it was so before
     */
    changed: boolean;
};

export type Consumer = 'label-router' | 'approval-gate' | 'stage-dispatcher' | 'change-publisher' | 'status-reporter' | 'audit-sink';

export type Event = {
    id: string;
    seq: number;
    type: string;
    subject: string;
    producer: string;
    project: string | null;
    createdAt: string;
    /**
     * The broker has it
     */
    sent: boolean;
    /**
     * At how many consumers it is in which state
     */
    deliveries: {
        done: number;
        pending: number;
        quarantined: number;
    };
};

export type EventList = {
    events: Array<Event>;
    next: string | null;
};

export type Delivery = {
    consumer: Consumer;
    state: 'pending' | 'done' | 'quarantined';
    /**
     * Tries by the sweep
     */
    attempts: number;
    dueAt: string;
    outcome: string | null;
    /**
     * What the broker said of the failure
     */
    error: {
        [key: string]: unknown;
    } | null;
    settledAt: string | null;
};

export type EventDetails = {
    event: Event;
    source: string;
    eventId: string;
    extensions: {
        [key: string]: string;
    };
    /**
     * Identifiers; null for a forge event, whose body stays in the inbox
     */
    data: unknown;
    deliveries: Array<Delivery>;
    ledger: LedgerEntry | null;
};

export type DeadLetter = {
    event: string;
    consumer: Consumer;
    type: string;
    subject: string;
    project: string | null;
    /**
     * Why it is there
     */
    outcome: string | null;
    attempts: number;
    quarantinedAt: string;
};

export type DeadLetterList = {
    deadLetters: Array<DeadLetter>;
    next: string | null;
};

export type DeliveryRef = {
    event: string;
    consumer: Consumer;
};

export type RedriveRequest = {
    deliveries: Array<DeliveryRef>;
};

export type Redriven = {
    redriven: Array<DeliveryRef>;
    /**
     * Not quarantined
     */
    left: Array<DeliveryRef>;
};

export type Webhook = {
    id: string;
    hook: string;
    /**
     * The forge's
     */
    deliveryId: string;
    /**
     * The forge's name of the event
     */
    name: string;
    project: string | null;
    reason: string;
    receivedAt: string;
};

export type WebhookList = {
    webhooks: Array<Webhook>;
    next: string | null;
};

/**
 * owner/name
 */
export type RepositoryName = string;

export type ProjectState = 'connected' | 'disconnected';

export type Hook = {
    id: string;
    /**
     * Below the public URL of webhook-gateway
     */
    path: string;
    /**
     * Key in the Secret `codex-k8s-hooks`
     */
    secretName: string;
    /**
     * `waiting`: the forge does not have it yet
     */
    state: 'waiting' | 'connected';
    /**
     * Why the forge's list of deliveries could not be read the last time
     */
    problem: string | null;
    /**
     * In the last seven days; null: none
     */
    lastDeliveryAt: string | null;
};

export type Project = {
    id: string;
    provider: 'github' | 'gitlab';
    /**
     * Root of the forge's API
     */
    instance: string;
    repository: RepositoryName;
    repositoryId: string;
    state: ProjectState;
    /**
     * Runs at a time
     */
    maxActive: number;
    /**
     * Where its Jobs run; null: the installation's default
     */
    runNamespace: string | null;
    createdAt: string;
    /**
     * Null where an App's own hook serves the repository
     */
    hook: Hook | null;
};

export type ProjectList = {
    projects: Array<Project>;
    next: string | null;
};

export type NewProject = {
    repository: RepositoryName;
    /**
     * Runs at a time; 2 if nobody says
     */
    maxActive?: number;
    /**
     * One of the installation's run namespaces
     */
    runNamespace?: string;
};

export type ProjectChange = {
    project: Project;
    changed: boolean;
};

export type LabelSync = {
    created: Array<string>;
    repaired: Array<string>;
    unchanged: number;
};

export type PingAsked = {
    /**
     * By the database's clock
     */
    askedAt: string;
};

export type Ping = {
    /**
     * `waiting`: webhook-gateway has not stored it; `received`: it is stored, the broker does not have it; `sent`: the broker has it; `in_ledger`: done
     */
    state: 'waiting' | 'received' | 'sent' | 'in_ledger';
    receivedAt: string | null;
    event: string | null;
    ledger: LedgerEntry | null;
};

export type CheckName = 'database' | 'migrations' | 'ledger' | 'outbox' | 'deliveries' | 'quarantine' | 'forge' | 'hooks' | 'model' | 'sweep';

export type Check = {
    name: CheckName;
    status: 'ok' | 'warning' | 'failed' | 'unknown';
    /**
     * One line
     */
    says: string;
    /**
     * What to do; null: nothing
     */
    next: string | null;
};

export type Checks = {
    at: string;
    checks: Array<Check>;
};

/**
 * SEQ:HASH
 */
export type LedgerHead = string;

export type LedgerEntry = {
    seq: number;
    hash: string;
};

export type Ledger = {
    head: LedgerHead;
    /**
     * Events that are not in it yet
     */
    behind: number;
};

export type LedgerVerification = {
    ok: boolean;
    head: LedgerHead;
    more: boolean;
    problem: {
        seq: number;
        says: string;
    } | null;
};

export type Grant = {
    id: string;
    kind: 'user' | 'group';
    /**
     * User name or group of the cluster
     */
    name: string;
    role: Role;
    /**
     * Null: all projects
     */
    project: string | null;
    grantedBy: string;
    grantedAt: string;
};

export type GrantList = {
    grants: Array<Grant>;
    next: string | null;
};

export type NewGrant = {
    kind: 'user' | 'group';
    name: string;
    role: Role;
    /**
     * Left out: all projects, also those to come
     */
    project?: string;
};

export type GrantChange = {
    grant: Grant;
    changed: boolean;
};

export type Run2 = string;

/**
 * Id of the outbox row
 */
export type Event2 = string;

export type Project2 = string;

export type Limit = number;

/**
 * `next` of the answer before
 */
export type Cursor = string;

export type WhoamiData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/v1/whoami';
};

export type WhoamiErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type WhoamiError = WhoamiErrors[keyof WhoamiErrors];

export type WhoamiResponses = {
    /**
     * You
     */
    200: Person;
};

export type WhoamiResponse = WhoamiResponses[keyof WhoamiResponses];

export type ListRunsData = {
    body?: never;
    path?: never;
    query?: {
        /**
         * Of this project only
         */
        project?: string;
        state?: RunState;
        stage?: string;
        /**
         * Of the issue or pull request with this number
         */
        number?: number;
        limit?: number;
        /**
         * `next` of the answer before
         */
        cursor?: string;
    };
    url: '/v1/runs';
};

export type ListRunsErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type ListRunsError = ListRunsErrors[keyof ListRunsErrors];

export type ListRunsResponses = {
    /**
     * A part of the list
     */
    200: RunList;
};

export type ListRunsResponse = ListRunsResponses[keyof ListRunsResponses];

export type GetRunData = {
    body?: never;
    path: {
        run: string;
    };
    query?: never;
    url: '/v1/runs/{run}';
};

export type GetRunErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type GetRunError = GetRunErrors[keyof GetRunErrors];

export type GetRunResponses = {
    /**
     * The run
     */
    200: RunDetails;
};

export type GetRunResponse = GetRunResponses[keyof GetRunResponses];

export type GetRunLogsData = {
    body?: never;
    path: {
        run: string;
    };
    query?: {
        limit?: number;
        /**
         * `next` of the answer before
         */
        cursor?: string;
    };
    url: '/v1/runs/{run}/logs';
};

export type GetRunLogsErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type GetRunLogsError = GetRunLogsErrors[keyof GetRunLogsErrors];

export type GetRunLogsResponses = {
    /**
     * Lines
     */
    200: RunLogs;
};

export type GetRunLogsResponse = GetRunLogsResponses[keyof GetRunLogsResponses];

export type CancelRunData = {
    body?: Why;
    path: {
        run: string;
    };
    query?: never;
    url: '/v1/runs/{run}/cancel';
};

export type CancelRunErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type CancelRunError = CancelRunErrors[keyof CancelRunErrors];

export type CancelRunResponses = {
    /**
     * The run as it is now
     */
    200: RunChange;
};

export type CancelRunResponse = CancelRunResponses[keyof CancelRunResponses];

export type RetryRunData = {
    body?: never;
    path: {
        run: string;
    };
    query?: never;
    url: '/v1/runs/{run}/retry';
};

export type RetryRunErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type RetryRunError = RetryRunErrors[keyof RetryRunErrors];

export type RetryRunResponses = {
    /**
     * The new run
     */
    200: RunChange;
};

export type RetryRunResponse = RetryRunResponses[keyof RetryRunResponses];

export type ListEventsData = {
    body?: never;
    path?: never;
    query?: {
        project?: string;
        /**
         * About this run
         */
        run?: string;
        /**
         * CloudEvents type, exactly
         */
        type?: string;
        limit?: number;
        /**
         * `next` of the answer before
         */
        cursor?: string;
    };
    url: '/v1/events';
};

export type ListEventsErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type ListEventsError = ListEventsErrors[keyof ListEventsErrors];

export type ListEventsResponses = {
    /**
     * A part of the list
     */
    200: EventList;
};

export type ListEventsResponse = ListEventsResponses[keyof ListEventsResponses];

export type GetEventData = {
    body?: never;
    path: {
        /**
         * Id of the outbox row
         */
        event: string;
    };
    query?: never;
    url: '/v1/events/{event}';
};

export type GetEventErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type GetEventError = GetEventErrors[keyof GetEventErrors];

export type GetEventResponses = {
    /**
     * The event
     */
    200: EventDetails;
};

export type GetEventResponse = GetEventResponses[keyof GetEventResponses];

export type RedriveEventData = {
    body?: never;
    path: {
        /**
         * Id of the outbox row
         */
        event: string;
    };
    query?: never;
    url: '/v1/events/{event}/redrive';
};

export type RedriveEventErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type RedriveEventError = RedriveEventErrors[keyof RedriveEventErrors];

export type RedriveEventResponses = {
    /**
     * What was put back
     */
    200: Redriven;
};

export type RedriveEventResponse = RedriveEventResponses[keyof RedriveEventResponses];

export type ListDeadLettersData = {
    body?: never;
    path?: never;
    query?: {
        project?: string;
        consumer?: Consumer;
        limit?: number;
        /**
         * `next` of the answer before
         */
        cursor?: string;
    };
    url: '/v1/dead-letters';
};

export type ListDeadLettersErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type ListDeadLettersError = ListDeadLettersErrors[keyof ListDeadLettersErrors];

export type ListDeadLettersResponses = {
    /**
     * A part of the list
     */
    200: DeadLetterList;
};

export type ListDeadLettersResponse = ListDeadLettersResponses[keyof ListDeadLettersResponses];

export type RedriveDeadLettersData = {
    body: RedriveRequest;
    path?: never;
    query?: never;
    url: '/v1/dead-letters/redrive';
};

export type RedriveDeadLettersErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type RedriveDeadLettersError = RedriveDeadLettersErrors[keyof RedriveDeadLettersErrors];

export type RedriveDeadLettersResponses = {
    /**
     * What was put back
     */
    200: Redriven;
};

export type RedriveDeadLettersResponse = RedriveDeadLettersResponses[keyof RedriveDeadLettersResponses];

export type ListQuarantinedWebhooksData = {
    body?: never;
    path?: never;
    query?: {
        project?: string;
        limit?: number;
        /**
         * `next` of the answer before
         */
        cursor?: string;
    };
    url: '/v1/quarantined-webhooks';
};

export type ListQuarantinedWebhooksErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type ListQuarantinedWebhooksError = ListQuarantinedWebhooksErrors[keyof ListQuarantinedWebhooksErrors];

export type ListQuarantinedWebhooksResponses = {
    /**
     * A part of the list
     */
    200: WebhookList;
};

export type ListQuarantinedWebhooksResponse = ListQuarantinedWebhooksResponses[keyof ListQuarantinedWebhooksResponses];

export type ListProjectsData = {
    body?: never;
    path?: never;
    query?: {
        state?: ProjectState;
        repository?: RepositoryName;
        limit?: number;
        /**
         * `next` of the answer before
         */
        cursor?: string;
    };
    url: '/v1/projects';
};

export type ListProjectsErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type ListProjectsError = ListProjectsErrors[keyof ListProjectsErrors];

export type ListProjectsResponses = {
    /**
     * A part of the list
     */
    200: ProjectList;
};

export type ListProjectsResponse = ListProjectsResponses[keyof ListProjectsResponses];

export type AddProjectData = {
    body: NewProject;
    path?: never;
    query?: never;
    url: '/v1/projects';
};

export type AddProjectErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type AddProjectError = AddProjectErrors[keyof AddProjectErrors];

export type AddProjectResponses = {
    /**
     * The project
     */
    200: ProjectChange;
};

export type AddProjectResponse = AddProjectResponses[keyof AddProjectResponses];

export type RemoveProjectData = {
    body?: never;
    path: {
        project: string;
    };
    query?: never;
    url: '/v1/projects/{project}';
};

export type RemoveProjectErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type RemoveProjectError = RemoveProjectErrors[keyof RemoveProjectErrors];

export type RemoveProjectResponses = {
    /**
     * The project
     */
    200: ProjectChange;
};

export type RemoveProjectResponse = RemoveProjectResponses[keyof RemoveProjectResponses];

export type GetProjectData = {
    body?: never;
    path: {
        project: string;
    };
    query?: never;
    url: '/v1/projects/{project}';
};

export type GetProjectErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type GetProjectError = GetProjectErrors[keyof GetProjectErrors];

export type GetProjectResponses = {
    /**
     * The project
     */
    200: Project;
};

export type GetProjectResponse = GetProjectResponses[keyof GetProjectResponses];

export type ConnectProjectData = {
    body?: never;
    path: {
        project: string;
    };
    query?: never;
    url: '/v1/projects/{project}/connect';
};

export type ConnectProjectErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type ConnectProjectError = ConnectProjectErrors[keyof ConnectProjectErrors];

export type ConnectProjectResponses = {
    /**
     * The project
     */
    200: ProjectChange;
};

export type ConnectProjectResponse = ConnectProjectResponses[keyof ConnectProjectResponses];

export type SyncLabelsData = {
    body?: never;
    path: {
        project: string;
    };
    query?: never;
    url: '/v1/projects/{project}/labels';
};

export type SyncLabelsErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type SyncLabelsError = SyncLabelsErrors[keyof SyncLabelsErrors];

export type SyncLabelsResponses = {
    /**
     * What was done
     */
    200: LabelSync;
};

export type SyncLabelsResponse = SyncLabelsResponses[keyof SyncLabelsResponses];

export type GetPingData = {
    body?: never;
    path: {
        project: string;
    };
    query: {
        /**
         * `askedAt` of the POST
         */
        since: string;
    };
    url: '/v1/projects/{project}/ping';
};

export type GetPingErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type GetPingError = GetPingErrors[keyof GetPingErrors];

export type GetPingResponses = {
    /**
     * How far it is
     */
    200: Ping;
};

export type GetPingResponse = GetPingResponses[keyof GetPingResponses];

export type PingProjectData = {
    body?: never;
    path: {
        project: string;
    };
    query?: never;
    url: '/v1/projects/{project}/ping';
};

export type PingProjectErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type PingProjectError = PingProjectErrors[keyof PingProjectErrors];

export type PingProjectResponses = {
    /**
     * When it was asked for
     */
    200: PingAsked;
};

export type PingProjectResponse = PingProjectResponses[keyof PingProjectResponses];

export type GetChecksData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/v1/checks';
};

export type GetChecksErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type GetChecksError = GetChecksErrors[keyof GetChecksErrors];

export type GetChecksResponses = {
    /**
     * The checks
     */
    200: Checks;
};

export type GetChecksResponse = GetChecksResponses[keyof GetChecksResponses];

export type GetLedgerData = {
    body?: never;
    path?: never;
    query?: never;
    url: '/v1/ledger';
};

export type GetLedgerErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type GetLedgerError = GetLedgerErrors[keyof GetLedgerErrors];

export type GetLedgerResponses = {
    /**
     * The head
     */
    200: Ledger;
};

export type GetLedgerResponse = GetLedgerResponses[keyof GetLedgerResponses];

export type VerifyLedgerData = {
    body?: never;
    path?: never;
    query?: {
        after?: LedgerHead;
    };
    url: '/v1/ledger/verification';
};

export type VerifyLedgerErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type VerifyLedgerError = VerifyLedgerErrors[keyof VerifyLedgerErrors];

export type VerifyLedgerResponses = {
    /**
     * What was found
     */
    200: LedgerVerification;
};

export type VerifyLedgerResponse = VerifyLedgerResponses[keyof VerifyLedgerResponses];

export type ListGrantsData = {
    body?: never;
    path?: never;
    query?: {
        limit?: number;
        /**
         * `next` of the answer before
         */
        cursor?: string;
    };
    url: '/v1/grants';
};

export type ListGrantsErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type ListGrantsError = ListGrantsErrors[keyof ListGrantsErrors];

export type ListGrantsResponses = {
    /**
     * A part of the list
     */
    200: GrantList;
};

export type ListGrantsResponse = ListGrantsResponses[keyof ListGrantsResponses];

export type AddGrantData = {
    body: NewGrant;
    path?: never;
    query?: never;
    url: '/v1/grants';
};

export type AddGrantErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type AddGrantError = AddGrantErrors[keyof AddGrantErrors];

export type AddGrantResponses = {
    /**
     * The grant
     */
    200: GrantChange;
};

export type AddGrantResponse = AddGrantResponses[keyof AddGrantResponses];

export type RevokeGrantData = {
    body?: never;
    path: {
        grant: string;
    };
    query?: never;
    url: '/v1/grants/{grant}';
};

export type RevokeGrantErrors = {
    /**
     * 400 `invalid`, 401 `unauthorized`, 403 `forbidden`, 404 `not_found`, 405 `method_not_allowed`, 409 as the operation
     * says, 413 `too_large`, 415 `not_json`, 503 `retry_later` with `Retry-After` in seconds.
     *
     */
    default: Problem;
};

export type RevokeGrantError = RevokeGrantErrors[keyof RevokeGrantErrors];

export type RevokeGrantResponses = {
    /**
     * The grant
     */
    200: GrantChange;
};

export type RevokeGrantResponse = RevokeGrantResponses[keyof RevokeGrantResponses];
